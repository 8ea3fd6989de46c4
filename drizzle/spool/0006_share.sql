-- For whom the mail counts where the places at a server are shared; empty: nobody in particular.
ALTER TABLE recipient ADD COLUMN share TEXT NOT NULL DEFAULT '';
-- The oldest of each, however long the queue of another is.
CREATE INDEX recipient_share ON recipient (destination_key, share, next_attempt_at) WHERE state = 'queued';
