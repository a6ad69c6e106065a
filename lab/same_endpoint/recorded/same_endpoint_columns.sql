SELECT academy_course.id, /* 3 more */ academy_course.starts_on
FROM academy_course
WHERE (academy_course.published
       AND academy_course.level = 'beginner')
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 20;
