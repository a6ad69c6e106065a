-- 4 queries

BEGIN;

DELETE
FROM database_design_slot
WHERE database_design_slot.room_id IN (1);

DELETE
FROM database_design_room
WHERE database_design_room.id IN (1);

COMMIT;
