-- When an item came into the quarantine, which is later than its mail: scheduled reports go by it. NULL: filed by an older version.
ALTER TABLE quarantine ADD COLUMN filed_at INTEGER;
