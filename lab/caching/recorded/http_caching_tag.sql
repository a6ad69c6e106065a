-- 1 query

SELECT COUNT(academy_certificate.id) AS count,
       MAX(academy_certificate.id) AS last
FROM academy_certificate;
