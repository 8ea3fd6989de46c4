-- DKIM keys (requirement O5). The private key is sealed under the appliance key, for this domain and selector only.
CREATE TABLE dkim_key (
  domain TEXT NOT NULL,
  selector TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  state TEXT NOT NULL,
  -- What stands behind p= in the record: base64.
  public_key TEXT NOT NULL,
  private_key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  activated_at INTEGER,
  retire_at INTEGER,
  -- What the last look at the DNS said.
  publication_state TEXT NOT NULL,
  publication_checked_at INTEGER,
  publication_words TEXT NOT NULL,
  PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;
