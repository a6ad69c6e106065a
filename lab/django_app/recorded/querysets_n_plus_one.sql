-- 61 queries; the first three:

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;

SELECT academy_learner.id, /* 3 more */ academy_learner.joined_on
FROM academy_learner
WHERE academy_learner.id = 1
LIMIT 21;

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.id = 7
LIMIT 21;
