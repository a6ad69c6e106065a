-- A sheet of enrollments, taken apart into tables. PostgreSQL. The tests run the sections in order.

CREATE TABLE sheet (
    email text,
    name text,
    phone_1 text,
    phone_2 text,
    course text,
    tags text,
    teacher text,
    room text,
    building text,
    mentor text,
    grade smallint
);
COPY sheet FROM STDIN (FORMAT csv, HEADER); -- normalization.csv

-- --8<-- [start:first]
CREATE TABLE phones (
    email text,
    phone text,
    PRIMARY KEY (email, phone)
);
INSERT INTO phones
SELECT DISTINCT email, phone
FROM sheet, unnest(ARRAY[phone_1, phone_2]) AS phone
WHERE phone IS NOT NULL;

CREATE TABLE course_tags (
    course text,
    tag text,
    PRIMARY KEY (course, tag)
);
INSERT INTO course_tags
SELECT DISTINCT course, trim(tag)
FROM sheet, string_to_table(tags, ',') AS tag;

CREATE TABLE enrollments (
    email text,
    course text,
    name text NOT NULL,
    teacher text NOT NULL,
    room text NOT NULL,
    building text NOT NULL,
    mentor text NOT NULL,
    grade smallint CHECK (grade BETWEEN 0 AND 100),
    PRIMARY KEY (email, course)
);
INSERT INTO enrollments
SELECT email, course, name, teacher, room, building, mentor, grade
FROM sheet;
-- --8<-- [end:first]

-- --8<-- [start:second]
CREATE TABLE learners (
    email text PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO learners SELECT DISTINCT email, name FROM enrollments;

CREATE TABLE courses (
    course text PRIMARY KEY,
    teacher text NOT NULL,
    room text NOT NULL,
    building text NOT NULL
);
INSERT INTO courses
SELECT DISTINCT course, teacher, room, building FROM enrollments;

ALTER TABLE enrollments
    DROP COLUMN name,
    DROP COLUMN teacher,
    DROP COLUMN room,
    DROP COLUMN building,
    ADD FOREIGN KEY (email) REFERENCES learners,
    ADD FOREIGN KEY (course) REFERENCES courses;
ALTER TABLE phones ADD FOREIGN KEY (email) REFERENCES learners;
ALTER TABLE course_tags ADD FOREIGN KEY (course) REFERENCES courses;
-- --8<-- [end:second]

-- --8<-- [start:third]
CREATE TABLE rooms (
    room text PRIMARY KEY,
    building text NOT NULL
);
INSERT INTO rooms SELECT DISTINCT room, building FROM courses;

ALTER TABLE courses
    DROP COLUMN building,
    ADD FOREIGN KEY (room) REFERENCES rooms;
-- --8<-- [end:third]

-- --8<-- [start:bcnf]
CREATE TABLE mentors (
    mentor text PRIMARY KEY,
    course text NOT NULL REFERENCES courses
);
INSERT INTO mentors SELECT DISTINCT mentor, course FROM enrollments;

ALTER TABLE enrollments
    DROP COLUMN course, -- and with it the key (email, course)
    ADD PRIMARY KEY (email, mentor),
    ADD FOREIGN KEY (mentor) REFERENCES mentors;
-- --8<-- [end:bcnf]

-- In place of the section above, and from the same tables.
-- --8<-- [start:held]
CREATE TABLE mentors (
    mentor text PRIMARY KEY,
    course text NOT NULL REFERENCES courses,
    UNIQUE (mentor, course) -- what the foreign key below points at
);
INSERT INTO mentors SELECT DISTINCT mentor, course FROM enrollments;

ALTER TABLE enrollments -- still with PRIMARY KEY (email, course)
    ADD FOREIGN KEY (mentor, course)
    REFERENCES mentors (mentor, course);
-- --8<-- [end:held]

-- --8<-- [start:lossless]
CREATE VIEW before AS
SELECT email, name, course, teacher, room, building, mentor, grade,
    ARRAY(SELECT phone FROM unnest(ARRAY[phone_1, phone_2]) AS phone
          WHERE phone IS NOT NULL ORDER BY phone) AS phones,
    ARRAY(SELECT trim(tag) FROM string_to_table(tags, ',') AS tag
          ORDER BY 1) AS tags
FROM sheet;

CREATE VIEW after AS
SELECT email, name, course, teacher, room, building, mentor, grade,
    ARRAY(SELECT phone FROM phones
          WHERE email = e.email ORDER BY phone) AS phones,
    ARRAY(SELECT tag FROM course_tags
          WHERE course = e.course ORDER BY tag) AS tags
FROM enrollments AS e
JOIN learners USING (email)
JOIN courses USING (course)
JOIN rooms USING (room);
-- --8<-- [end:lossless]

-- From the tables of the first section.
-- --8<-- [start:wrong_split]
CREATE TABLE learner_rooms AS
SELECT DISTINCT email, room FROM enrollments;

CREATE TABLE course_rooms AS
SELECT DISTINCT course, room FROM enrollments;
-- --8<-- [end:wrong_split]
