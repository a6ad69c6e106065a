-- What Django has no words for. The tests send each section to its server.

-- --8<-- [start:mariadb]
ALTER TABLE database_design_loosebooking
    ADD PERIOD FOR during (starts_at, ends_at),
    ADD UNIQUE one_booking_at_a_time (room_id, during WITHOUT OVERLAPS);
-- --8<-- [end:mariadb]
