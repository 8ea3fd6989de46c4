-- The mail servers an attempt had to do with, as text: few different ones, so a part of a name is looked for among them and found in the index.

-- null: none was reached.
ALTER TABLE attempt ADD COLUMN servers TEXT;
UPDATE attempt SET servers = (
  SELECT group_concat(server, ' ') FROM (
    SELECT DISTINCT value ->> 'server' AS server FROM json_each(attempt.outcomes) WHERE value ->> 'server' IS NOT NULL
  ));
CREATE INDEX attempt_servers ON attempt (servers, message_id);
