-- Who waits for whom: everybody begins a transaction before the first line.

-- queue
/* Ama  */ SELECT COUNT(*) FROM academy_tag;
/* Esi  */ ALTER TABLE academy_tag ADD COLUMN color text;
/* Kofi */ SELECT COUNT(*) FROM academy_tag;
/* Ama  */ COMMIT;
/* Esi  */ ROLLBACK;
/* Kofi */ COMMIT;
