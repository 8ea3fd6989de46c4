-- gatepost.db: everything people look at or set. Times are milliseconds UTC; message ids sort by time.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_item (
  section TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (section, key)
) STRICT;

CREATE TABLE account (
  id TEXT PRIMARY KEY,
  login TEXT COLLATE NOCASE NOT NULL,
  role TEXT NOT NULL,
  domains TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_login ON account (login);

CREATE TABLE console_session (
  token_hash TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ip TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX console_session_account ON console_session (account_id);
CREATE INDEX console_session_expiry ON console_session (expires_at);

CREATE TABLE api_token (
  token_hash TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_token_name ON api_token (name);

CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  via TEXT NOT NULL,
  ip TEXT,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_at ON audit_log (at);

-- The narrow side of the message log, in order of time: what lists and searches read.
CREATE TABLE message (
  id TEXT PRIMARY KEY,
  received_at INTEGER NOT NULL,
  client_ip TEXT NOT NULL,
  sender TEXT COLLATE NOCASE NOT NULL,
  sender_domain TEXT NOT NULL,
  header_from TEXT NOT NULL,
  header_address TEXT COLLATE NOCASE,
  subject TEXT NOT NULL,
  size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX message_sender ON message (sender, id);
CREATE INDEX message_sender_domain ON message (sender_domain, id);
-- Only where the header From is not the envelope sender.
CREATE INDEX message_header_address ON message (header_address, id) WHERE header_address IS NOT NULL;

-- The whole record as JSON, apart from the narrow side so that scans do not read it.
CREATE TABLE message_detail (
  id TEXT PRIMARY KEY,
  record TEXT NOT NULL
) STRICT;

CREATE TABLE message_recipient (
  message_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  address TEXT COLLATE NOCASE NOT NULL,
  domain TEXT NOT NULL,
  rule TEXT,
  state TEXT NOT NULL,
  state_at INTEGER NOT NULL,
  next_attempt_at INTEGER,
  words TEXT NOT NULL,
  PRIMARY KEY (message_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_recipient_address ON message_recipient (address, message_id);
CREATE INDEX message_recipient_domain ON message_recipient (domain, message_id);
CREATE INDEX message_recipient_state ON message_recipient (state, message_id);
CREATE INDEX message_recipient_rule ON message_recipient (rule, message_id) WHERE rule IS NOT NULL;

CREATE TABLE attempt (
  message_id TEXT NOT NULL,
  id TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  destination TEXT NOT NULL,
  outcomes TEXT NOT NULL,
  PRIMARY KEY (message_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
  id TEXT PRIMARY KEY,
  message_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  recipient TEXT COLLATE NOCASE NOT NULL,
  recipient_domain TEXT NOT NULL,
  reverse_path TEXT NOT NULL,
  header_from TEXT NOT NULL,
  subject TEXT NOT NULL,
  direction TEXT NOT NULL,
  rule TEXT NOT NULL,
  words TEXT NOT NULL,
  size INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  -- The body in the vault; null when it is no longer kept.
  body_hash TEXT,
  -- A release that was begun: it is finished at the next start when the process died in between.
  release_asked_at INTEGER,
  release_asked_by TEXT
) STRICT;
CREATE INDEX quarantine_received ON quarantine (received_at, id);
CREATE INDEX quarantine_state ON quarantine (state, received_at, id);
CREATE INDEX quarantine_recipient ON quarantine (recipient, received_at, id);
CREATE INDEX quarantine_domain ON quarantine (recipient_domain, received_at, id);
CREATE INDEX quarantine_rule ON quarantine (rule, received_at, id);
CREATE INDEX quarantine_expiry ON quarantine (state, expires_at);
CREATE INDEX quarantine_body ON quarantine (body_hash) WHERE body_hash IS NOT NULL;
CREATE INDEX quarantine_release ON quarantine (release_asked_at) WHERE release_asked_at IS NOT NULL;
