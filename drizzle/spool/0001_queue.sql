-- The queue: what was answered 250 for and is not finished.
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  body_file TEXT,
  body BLOB
) STRICT;
CREATE INDEX message_id ON message (id);

-- One row per recipient that is not settled. Only waiting rows stand in the two indexes of the queue, so that a
-- message that is delivered at once touches neither.
CREATE TABLE recipient (
  message_seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'held', 'quarantine')),
  address TEXT NOT NULL,
  destination_key TEXT NOT NULL,
  detail TEXT NOT NULL,
  next_attempt_at INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempt_started_at INTEGER,
  last_outcome TEXT,
  PRIMARY KEY (message_seq, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (destination_key, next_attempt_at) WHERE state = 'queued';
CREATE INDEX recipient_deadline ON recipient (deadline_at) WHERE state = 'queued';
CREATE INDEX recipient_quarantine ON recipient (message_seq) WHERE state = 'quarantine';

-- Destinations that cannot be reached: nothing is tried there before next_probe_at.
CREATE TABLE unreachable (
  destination_key TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  next_probe_at INTEGER NOT NULL,
  outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids of quarantine items that were taken back into the queue; one id is delivered once.
CREATE TABLE released (
  id TEXT PRIMARY KEY,
  released_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events for the message log, in the order of their commit, until gatepost.db has them.
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY,
  payload TEXT NOT NULL
) STRICT;
