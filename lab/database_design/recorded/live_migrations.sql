CREATE INDEX CONCURRENTLY "enrollment_day" ON "academy_enrollment" ("enrolled_on");

ALTER TABLE "academy_enrollment" ADD CONSTRAINT "grade_at_least_1" CHECK ("grade" >= 1) NOT VALID;

ALTER TABLE "academy_enrollment" VALIDATE CONSTRAINT "grade_at_least_1";
