SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
WHERE academy_enrollment.id = 1
LIMIT 21;
