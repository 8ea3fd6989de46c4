-- What people are told about outgoing mail: one-time links, and what notices must remember. Times are milliseconds UTC.

-- Only the SHA-256 of a token is kept: a copy of the database opens nothing.
CREATE TABLE one_time_link (
  token_hash TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_link_expiry ON one_time_link (expires_at);

-- When something was last told, and what is held back until it may be told again.
CREATE TABLE notice_state (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;
