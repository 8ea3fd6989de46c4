// Console sessions: a random token in the browser's cookie, only its SHA-256 in the store. Ends when idle and at the latest after a day's work.
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../observe/clock.ts";
import type { Accounts } from "../../store/accounts.ts";
import type { SignedIn } from "../console-env.ts";

/** `__Host-` binds the cookie to this very host and to HTTPS; a subdomain cannot plant one. */
export const SESSION_COOKIE = "__Host-gatepost-session";
export const SESSION_MS = 12 * 3_600_000;
export const IDLE_MS = 2 * 3_600_000;
const MAX_TRACKED = 10_000;

export interface Sessions {
  /**
   * Starts a session; resolves to the token for the cookie, which is kept nowhere else. null: the password that was `proven` (its hash) is
   * not the account's any more.
   */
  start(account: { readonly id: string; readonly proven: string }, ip: string): Promise<string | null>;
  /** Who the token belongs to. `active: false` (a page refreshing itself) does not count as use. */
  find(token: string, options: { readonly active: boolean }): Promise<SignedIn | null>;
  end(tokenHash: string): Promise<void>;
}

/** SHA-256 of a token in hex: what the store keeps of sessions and API tokens. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** 256 random bits for a session or an API token. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

export function createSessions(accounts: Accounts, clock: Clock): Sessions {
  // Last use is kept in memory only: after a restart every session is idle from that moment on.
  const lastUsed = new Map<string, number>();
  const touch = (hash: string, now: number): void => {
    lastUsed.delete(hash);
    lastUsed.set(hash, now);
    if (lastUsed.size <= MAX_TRACKED) return;
    const oldest = lastUsed.keys().next();
    if (!oldest.done) lastUsed.delete(oldest.value);
  };
  return {
    async start({ id, proven }, ip) {
      const token = newToken();
      const now = clock.now();
      const tokenHash = hashToken(token);
      const session = { tokenHash, accountId: id, expiresAt: now + SESSION_MS, ip, proven };
      if (!(await accounts.createSession(session))) return null;
      touch(tokenHash, now);
      return token;
    },
    async find(token, { active }) {
      if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return null;
      const tokenHash = hashToken(token);
      const now = clock.now();
      const account = await accounts.session(tokenHash, now);
      if (account === null) return null;
      const used = lastUsed.get(tokenHash);
      if (used !== undefined && now - used > IDLE_MS) {
        lastUsed.delete(tokenHash);
        await accounts.endSession(tokenHash);
        return null;
      }
      if (active || used === undefined) touch(tokenHash, now);
      return { account, tokenHash };
    },
    async end(tokenHash) {
      lastUsed.delete(tokenHash);
      await accounts.endSession(tokenHash);
    },
  };
}
