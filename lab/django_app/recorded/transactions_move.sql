-- 9 queries

BEGIN;

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
WHERE (academy_enrollment.course_id = 2
       AND academy_enrollment.learner_id = 1)
LIMIT 21;

SELECT academy_certificate.id,
       academy_certificate.enrollment_id,
       academy_certificate.number,
       academy_certificate.issued_on
FROM academy_certificate
WHERE academy_certificate.enrollment_id IN (1)
ORDER BY academy_certificate.issued_on ASC,
         academy_certificate.id ASC;

DELETE
FROM academy_enrollment
WHERE academy_enrollment.id IN (1);

SAVEPOINT s_x1;

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.id = 10
LIMIT 21
FOR UPDATE;

ROLLBACK TO SAVEPOINT s_x1;

RELEASE SAVEPOINT s_x1;

ROLLBACK;
