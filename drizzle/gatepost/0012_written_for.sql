-- For which domains of the gateway outgoing mail was written (JSON list): each of them is asked again before it is released. Null: it came
-- from outside, or an older version put it here, and its header tells.
ALTER TABLE quarantine ADD COLUMN written_for TEXT;
