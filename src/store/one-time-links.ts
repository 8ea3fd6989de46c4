// The contract of one-time links: a secret in a mail that may be used once, within its time. `createOneTimeLinks` is in
// `run-one-time-links.ts`. Only a hash of the token is kept.

export type LinkKind = "unlock" | "relay-password";

/** What a token is worth. `subject` is what it was made for; null when the token is unknown. */
export interface LinkState {
  readonly state: "valid" | "used" | "expired" | "unknown";
  readonly subject: Readonly<Record<string, string>> | null;
}

export interface OneTimeLinks {
  /** Resolves to the token (base64url, 256 bit) when it is kept. */
  create(link: {
    readonly kind: LinkKind;
    readonly subject: Readonly<Record<string, string>>;
    readonly validMs: number;
  }): Promise<string>;
  /** Looks without using: link scanners may do that as often as they like. */
  look(kind: LinkKind, token: string): Promise<LinkState>;
  /** Uses it: `valid` for exactly one caller ever. */
  use(kind: LinkKind, token: string): Promise<LinkState>;
}
