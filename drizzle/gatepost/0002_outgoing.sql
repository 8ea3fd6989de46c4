-- Outgoing control: who sends, how much, and who is stopped. `name` is "" for the sender itself.

-- What must outlive the process of one identity: windows of its limits, whom it wrote to. `state` is the program's own form.
CREATE TABLE outgoing_identity (
  sender TEXT NOT NULL,
  name TEXT NOT NULL,
  domain TEXT NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  state BLOB NOT NULL,
  PRIMARY KEY (sender, name)
) STRICT;
CREATE INDEX outgoing_identity_seen ON outgoing_identity (last_seen, sender, name);
CREATE INDEX outgoing_identity_sender ON outgoing_identity (sender, last_seen, name);
CREATE INDEX outgoing_identity_domain ON outgoing_identity (domain, last_seen, sender, name);

-- Volume by UTC day: `day` is 2026-11-21.
CREATE TABLE outgoing_day (
  sender TEXT NOT NULL,
  name TEXT NOT NULL,
  day TEXT NOT NULL,
  messages INTEGER NOT NULL,
  recipients INTEGER NOT NULL,
  spam INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  PRIMARY KEY (sender, name, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_day_day ON outgoing_day (day);

-- A row stays after the lock has ended by time-out, because `timeouts` counts on until a person unlocks.
CREATE TABLE outgoing_lock (
  sender TEXT NOT NULL,
  name TEXT NOT NULL,
  domain TEXT NOT NULL,
  since INTEGER NOT NULL,
  -- Null: only a person lifts it.
  until INTEGER,
  timeouts INTEGER NOT NULL,
  words TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  active INTEGER NOT NULL,
  PRIMARY KEY (sender, name)
) STRICT;
CREATE INDEX outgoing_lock_active ON outgoing_lock (active, since);

CREATE TABLE outgoing_lock_event (
  id INTEGER PRIMARY KEY,
  sender TEXT NOT NULL,
  name TEXT NOT NULL,
  domain TEXT NOT NULL,
  at INTEGER NOT NULL,
  what TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  words TEXT NOT NULL,
  until INTEGER
) STRICT;
CREATE INDEX outgoing_lock_event_identity ON outgoing_lock_event (sender, name, at);
CREATE INDEX outgoing_lock_event_at ON outgoing_lock_event (at);

-- Who outside wrote to whom of us, as hashes of four octets each; the chunk with the highest number is the newest.
CREATE TABLE outgoing_correspondents (
  chunk INTEGER PRIMARY KEY,
  hashes BLOB NOT NULL
) STRICT;
