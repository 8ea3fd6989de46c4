-- CRC-32 of what `body` was written with: a failing disk is found before damaged mail is sent. Null: a row from before, or no body in it.
ALTER TABLE message ADD COLUMN body_sum INTEGER;
