ALTER TABLE database_design_locker
    ADD CONSTRAINT number_from_1 CHECK (number >= 1);

CREATE UNIQUE INDEX label_once ON database_design_locker ((LOWER(label)));

CREATE UNIQUE INDEX one_locker_each ON database_design_locker (learner)
    WHERE given_back IS NULL;

ALTER TABLE database_design_locker
    ADD CONSTRAINT number_once UNIQUE NULLS NOT DISTINCT (room_id, wing, number);

ALTER TABLE database_design_locker
    ADD CONSTRAINT place_once UNIQUE (place) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE database_design_booking
    ADD CONSTRAINT one_booking_at_a_time
    EXCLUDE USING GIST (room_id WITH =, (TSTZRANGE(starts_at, ends_at)) WITH &&)
    WHERE (NOT cancelled);
