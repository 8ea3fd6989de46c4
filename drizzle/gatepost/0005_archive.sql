-- Messages kept in the archive of a domain (requirement O7). The bodies are in the vault.
CREATE TABLE archive (
  id TEXT PRIMARY KEY,
  message_id TEXT NOT NULL UNIQUE,
  domain TEXT NOT NULL,
  sender TEXT COLLATE NOCASE NOT NULL,
  reverse_path TEXT NOT NULL,
  -- JSON list of addresses.
  recipients TEXT NOT NULL,
  subject TEXT NOT NULL,
  header_from TEXT NOT NULL,
  direction TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  body_hash TEXT NOT NULL
) STRICT;
CREATE INDEX archive_domain ON archive (domain, received_at, id);
CREATE INDEX archive_sender ON archive (sender, received_at, id);
CREATE INDEX archive_body ON archive (body_hash);
