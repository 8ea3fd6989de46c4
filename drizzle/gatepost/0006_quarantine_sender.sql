-- Who sent what is in the outgoing quarantine: the outgoing sender (its login, range or @domain), the identity behind it, and the
-- domain whose administrators may see it. Empty for inbound mail.
ALTER TABLE quarantine ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN identity TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN sender_domain TEXT NOT NULL DEFAULT '';

-- What is kept already tells its envelope sender only.
UPDATE quarantine SET sender = lower(reverse_path), sender_domain = lower(substr(reverse_path, instr(reverse_path, '@') + 1))
  WHERE direction <> 'inbound' AND instr(reverse_path, '@') > 0;

CREATE INDEX quarantine_sender ON quarantine (sender, received_at, id) WHERE sender <> '';
CREATE INDEX quarantine_sender_domain ON quarantine (sender_domain, received_at, id) WHERE sender_domain <> '';
