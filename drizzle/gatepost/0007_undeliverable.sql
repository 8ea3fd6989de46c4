-- Mail that was accepted and could not be delivered stands in the quarantine beside what rules put there: with the server that said
-- no, its words, when that was, and when somebody has looked at it.
ALTER TABLE quarantine ADD COLUMN class TEXT NOT NULL DEFAULT 'rule';
ALTER TABLE quarantine ADD COLUMN server TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN answer TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN failed_at INTEGER;
ALTER TABLE quarantine ADD COLUMN seen_at INTEGER;

CREATE INDEX quarantine_undeliverable ON quarantine (received_at, id) WHERE class = 'undeliverable';
CREATE INDEX quarantine_failed ON quarantine (failed_at) WHERE class = 'undeliverable';
CREATE INDEX quarantine_unseen ON quarantine (failed_at) WHERE class = 'undeliverable' AND state = 'kept' AND seen_at IS NULL;
