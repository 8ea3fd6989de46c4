// The contract of accounts, console sessions, API tokens and the audit log. `createAccounts` is in `run-accounts.ts`.

export interface Account {
  readonly id: string;
  readonly login: string;
  readonly role: "administrator" | "domain-administrator" | "user";
  readonly domains: readonly string[];
}

/** An account in the list of all. */
export interface AccountLine extends Account {
  readonly createdAt: number;
  /** Sessions that have not ended. */
  readonly sessions: number;
}

/** `last-administrator`: nobody could administer the gateway any more. `gone`: there is no such account. */
export type AccountChange = "done" | "last-administrator" | "gone";

export interface AuditEntry {
  readonly at: number;
  readonly actor: string;
  readonly via: string;
  readonly ip: string | null;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
}

/** An entry as it is listed. Many may have one time: `at` and `id` together say where it stands. */
export interface AuditLine extends AuditEntry {
  readonly id: number;
}

/** An API token in the list of all. */
export interface TokenLine {
  readonly name: string;
  readonly scope: "read" | "write";
  readonly createdBy: string;
  readonly createdAt: number;
  /** Milliseconds UTC; null: it does not end by itself. */
  readonly expiresAt: number | null;
}

/** Accounts, sessions and tokens; kept in gatepost.db. Secrets are stored as hashes only. */
export interface Accounts {
  count(): Promise<number>;
  byLogin(login: string): Promise<(Account & { readonly passwordHash: string }) | null>;
  create(account: Omit<Account, "id"> & { readonly passwordHash: string }): Promise<Account>;
  /**
   * Ends its sessions too. With `proven`, the hash that the present password was proven against, only while that is still the stored one:
   * false, and nothing is changed, when somebody has set another since, or the account is gone.
   */
  setPassword(id: string, passwordHash: string, proven?: string): Promise<boolean>;
  /** By login, at most 1,000. */
  list(): Promise<readonly AccountLine[]>;
  byId(id: string): Promise<Account | null>;
  /** Gives it another role or other domains and ends its sessions; its tokens too unless it stays administrator. Nothing is changed unless `done`. */
  change(id: string, to: Pick<Account, "role" | "domains">): Promise<AccountChange>;
  /** Removes it with its sessions and tokens. Nothing is changed unless `done`. */
  remove(id: string): Promise<AccountChange>;
  createSession(session: {
    readonly tokenHash: string;
    readonly accountId: string;
    readonly expiresAt: number;
    readonly ip: string;
    /** The hash that its password was proven against. False, and there is no session, when that is not the stored one any more. */
    readonly proven: string;
  }): Promise<boolean>;
  session(tokenHash: string, now: number): Promise<Account | null>;
  endSession(tokenHash: string): Promise<void>;
  /** `scope`: what a JSON API token may do. */
  createToken(token: {
    readonly tokenHash: string;
    readonly name: string;
    readonly scope: TokenLine["scope"];
    readonly createdBy: string;
    readonly createdAt: number;
    /** The administrator it belongs to, and ends with. */
    readonly accountId: string;
    readonly expiresAt: number | null;
  }): Promise<void>;
  /** The token, also one whose time is over; null: unknown, or its account is no administrator any more. */
  token(tokenHash: string): Promise<Pick<TokenLine, "name" | "scope" | "expiresAt"> | null>;
  tokens(): Promise<readonly TokenLine[]>;
  removeToken(name: string): Promise<boolean>;
  audit(entry: AuditEntry): Promise<void>;
  /** The same for a log-in that failed. Strangers bring these about: beyond so many in a day they are counted together in one entry. */
  auditFailedLogIn(entry: AuditEntry, options: { readonly isAccount: boolean }): Promise<void>;
  /** The newest first, `before`: behind the line a page ended with. */
  auditLog(options: {
    readonly limit: number;
    readonly before?: Pick<AuditLine, "at" | "id">;
  }): Promise<readonly AuditLine[]>;
}
