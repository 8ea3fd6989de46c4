-- Why it was refused, where we know more than we said: a mail server's own words, found by a search.
ALTER TABLE message ADD COLUMN cause TEXT;
