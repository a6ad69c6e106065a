-- What two transactions do to each other. Each begins before the first line.

-- dirty read
/* Kofi */ UPDATE academy_course SET seats = 99 WHERE slug = 'python';
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Kofi */ ROLLBACK;
/* Ama  */ COMMIT;

-- non-repeatable read
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Kofi */ UPDATE academy_course SET seats = 30 WHERE slug = 'python';
/* Kofi */ COMMIT;
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Ama  */ COMMIT;

-- phantom
/* Ama  */ SELECT COUNT(*) FROM academy_tag WHERE name < 'm';
/* Kofi */ INSERT INTO academy_tag (name) VALUES ('cloud');
/* Kofi */ COMMIT;
/* Ama  */ SELECT COUNT(*) FROM academy_tag WHERE name < 'm';
/* Ama  */ COMMIT;

-- lost update
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Kofi */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Ama  */ UPDATE academy_course SET seats = 30 WHERE slug = 'python';
/* Kofi */ UPDATE academy_course SET seats = 35 WHERE slug = 'python';
/* Ama  */ COMMIT;
/* Kofi */ COMMIT;

-- write skew
/* Ama  */ SELECT COUNT(*) FROM academy_course WHERE level = 'advanced' AND published;
/* Kofi */ SELECT COUNT(*) FROM academy_course WHERE level = 'advanced' AND published;
/* Ama  */ UPDATE academy_course SET published = FALSE WHERE slug = 'django';
/* Kofi */ UPDATE academy_course SET published = FALSE WHERE slug = 'docker';
/* Ama  */ COMMIT;
/* Kofi */ COMMIT;

-- two views
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Kofi */ UPDATE academy_course SET seats = 30 WHERE slug = 'python';
/* Kofi */ COMMIT;
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python' FOR UPDATE;
/* Ama  */ SELECT seats FROM academy_course WHERE slug = 'python';
/* Ama  */ COMMIT;
