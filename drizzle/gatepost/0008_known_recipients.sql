-- Recipients that their mail server has confirmed in a call-out, so that they are still taken while it does not answer.
CREATE TABLE known_recipient (
  address TEXT PRIMARY KEY,
  seen_at INTEGER NOT NULL
) WITHOUT ROWID;
