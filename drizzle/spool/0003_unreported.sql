-- Recipients that are settled and of whom the sender is still to be told, so that one notice tells of all of them. A message stays as
-- long as it stands here: the notice gives it back.
CREATE TABLE unreported (
  message_seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  failed_at INTEGER NOT NULL,
  entry TEXT NOT NULL,
  PRIMARY KEY (message_seq, n)
) STRICT, WITHOUT ROWID;
