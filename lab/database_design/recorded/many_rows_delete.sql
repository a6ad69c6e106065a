-- 5 queries

SELECT academy_learner.id, /* 3 more */ academy_learner.joined_on
FROM academy_learner
WHERE academy_learner.name IN ('Ama', 'Kofi');

SELECT academy_enrollment.id
FROM academy_enrollment
WHERE academy_enrollment.learner_id IN (1, 2)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;

SELECT academy_certificate.id,
       academy_certificate.enrollment_id,
       academy_certificate.number,
       academy_certificate.issued_on
FROM academy_certificate
WHERE academy_certificate.enrollment_id IN (3, 1, 2, 6, 5, 4)
ORDER BY academy_certificate.issued_on ASC,
         academy_certificate.id ASC;

DELETE
FROM academy_enrollment
WHERE academy_enrollment.id IN (6, 5, 4, 3, 2, 1);

DELETE
FROM academy_learner
WHERE academy_learner.id IN (2, 1);
