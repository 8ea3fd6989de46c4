-- An API token ends with the account that made it, and may end by itself. Tokens of accounts that are gone end now.
ALTER TABLE api_token ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
ALTER TABLE api_token ADD COLUMN expires_at INTEGER;

UPDATE api_token SET account_id = coalesce(
  (SELECT id FROM account WHERE account.login = api_token.created_by AND account.role = 'administrator'), '');
DELETE FROM api_token WHERE account_id = '';
CREATE INDEX api_token_account ON api_token (account_id);
