-- What was confirmed long ago is found without a look at every row.
CREATE INDEX known_recipient_seen ON known_recipient (seen_at);
