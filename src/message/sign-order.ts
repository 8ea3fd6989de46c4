// With which DKIM key a copy is signed when it is sent. Plain data, kept in the spool with the recipient.

/** Requirement O5. */
export interface SignOrder {
  readonly domain: string;
  /** null: every active key of the domain, RSA before Ed25519. */
  readonly selector: string | null;
}
