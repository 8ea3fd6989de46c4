-- Messages of which a copy is still to be filed in the archive. A message stays as long as it stands here.
CREATE TABLE archive_copy (
  message_seq INTEGER PRIMARY KEY,
  detail TEXT NOT NULL
) STRICT;

-- How many recipients wait, so that nobody counts a long queue. Recipients that are delivered at once never wait: their rows are
-- inserted and deleted as "active" and touch nothing here.
CREATE TABLE waiting (
  state TEXT PRIMARY KEY,
  recipients INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO waiting (state, recipients)
  SELECT kind.state, (SELECT count(*) FROM recipient WHERE recipient.state = kind.state)
  FROM (SELECT 'queued' AS state UNION ALL SELECT 'held') AS kind;

CREATE TRIGGER recipient_waits AFTER INSERT ON recipient WHEN NEW.state IN ('queued', 'held') BEGIN
  UPDATE waiting SET recipients = recipients + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER recipient_changes AFTER UPDATE OF state ON recipient WHEN NEW.state <> OLD.state BEGIN
  UPDATE waiting SET recipients = recipients - 1 WHERE state = OLD.state;
  UPDATE waiting SET recipients = recipients + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER recipient_goes AFTER DELETE ON recipient WHEN OLD.state IN ('queued', 'held') BEGIN
  UPDATE waiting SET recipients = recipients - 1 WHERE state = OLD.state;
END;
