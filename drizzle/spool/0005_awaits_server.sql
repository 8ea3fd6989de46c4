-- 1: the recipient waits because its server was not reached or not well, and is due as soon as the server is back.
ALTER TABLE recipient ADD COLUMN awaits_server INTEGER NOT NULL DEFAULT 0;
UPDATE recipient SET awaits_server = 1
  WHERE last_outcome IS NOT NULL
    AND (coalesce(last_outcome ->> '$.code', 421) = 421
      OR last_outcome ->> '$.enhanced' LIKE '4.3.%' OR last_outcome ->> '$.enhanced' LIKE '4.4.%'
      OR (last_outcome ->> '$.code' = 451 AND last_outcome ->> '$.enhanced' IS NULL)
      OR last_outcome ->> '$.text' LIKE '%service%unavailable%'
      OR last_outcome ->> '$.text' LIKE '%server error%')
    AND last_outcome ->> '$.text' NOT LIKE '%gr_ylist%' AND last_outcome ->> '$.text' NOT LIKE '%gr_y_list%';
-- The oldest first, whatever the schedule says of them.
CREATE INDEX recipient_awaits_server ON recipient (destination_key, message_seq, n) WHERE state = 'queued' AND awaits_server = 1;
