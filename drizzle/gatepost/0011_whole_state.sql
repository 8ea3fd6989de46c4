-- What was refused before any recipient has no row that says so: its state stands with the message, so that it is found and counted.

-- null: its recipients have states of their own.
ALTER TABLE message ADD COLUMN state TEXT;
UPDATE message SET
  state = CASE
    WHEN coalesce(refusal, (SELECT record ->> '$.record.reply' FROM message_detail d WHERE d.id = message.id)) LIKE '4%'
    THEN 'put-off' ELSE 'refused' END
  WHERE NOT EXISTS (SELECT 1 FROM message_recipient r WHERE r.message_id = message.id);
CREATE INDEX message_state ON message (state, id) WHERE state IS NOT NULL;
