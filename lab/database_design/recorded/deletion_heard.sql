-- 5 queries

SELECT database_design_slot.id,
       database_design_slot.day,
       database_design_slot.room_id
FROM database_design_slot
WHERE database_design_slot.room_id IN (2);

BEGIN;

DELETE
FROM database_design_room
WHERE database_design_room.id IN (2);

DELETE
FROM database_design_slot
WHERE database_design_slot.id IN (4, 3);

COMMIT;
