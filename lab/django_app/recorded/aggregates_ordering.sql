-- 2 queries

SELECT academy_course.level AS level,
       COUNT(academy_course.id) AS courses
FROM academy_course
GROUP BY 1;

SELECT academy_course.level AS level,
       COUNT(academy_course.id) AS courses
FROM academy_course
GROUP BY 1,
         academy_course.title
ORDER BY academy_course.title ASC;
