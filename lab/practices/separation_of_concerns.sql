-- --8<-- [start:trigger]
CREATE FUNCTION refuse_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.course_id = NEW.course_id THEN
        RETURN NEW;  -- a grade, a date: no seat is given
    END IF;
    PERFORM FROM academy_course WHERE id = NEW.course_id FOR UPDATE;
    IF (SELECT seats FROM academy_course WHERE id = NEW.course_id)
       <= (SELECT count(*) FROM academy_enrollment
           WHERE course_id = NEW.course_id) THEN
        RAISE check_violation USING MESSAGE = 'the course is full';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER seat BEFORE INSERT OR UPDATE ON academy_enrollment
FOR EACH ROW EXECUTE FUNCTION refuse_full();
-- --8<-- [end:trigger]
