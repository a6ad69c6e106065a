-- 1 query

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
WHERE ((academy_enrollment.enrolled_on > (academy_course.ends_on)
        OR academy_enrollment.grade < 50)
       AND academy_course.published)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;
