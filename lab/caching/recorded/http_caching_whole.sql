-- 1 query

SELECT academy_certificate.number AS number
FROM academy_certificate
ORDER BY academy_certificate.id ASC;
