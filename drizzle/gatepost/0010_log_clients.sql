-- What came from an address, and what clients were answered: times are in the ids, so both go newest first.

-- Our own 4yz or 5yz to the transaction; null: it was taken, or the message is older than this column.
ALTER TABLE message ADD COLUMN refusal TEXT;
CREATE INDEX message_client ON message (client_ip, id);
