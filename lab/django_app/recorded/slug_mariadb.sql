-- 0002
ALTER TABLE academy_course ADD COLUMN slug varchar(140) NULL UNIQUE;

-- 0004
ALTER TABLE academy_course MODIFY slug varchar(140) NOT NULL;
