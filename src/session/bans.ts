// The contract of bans (requirement L4): failed logins and guessed recipients are counted, guessers wait longer and longer, then
// their network is shut out for a time. `createBans` is in `run-bans.ts`. Answered from memory at once.

/** A client network that is shut out. */
export interface Ban {
  /** `192.0.2.7/32`, `192.0.2.0/24`, `2001:db8:1:2::/64` or `2001:db8:1::/48`. */
  readonly network: string;
  readonly since: number;
  /** Milliseconds UTC. */
  readonly until: number;
  /** How often the network was banned in the last days, this one included. */
  readonly times: number;
  readonly failedLogins: number;
  readonly unknownRecipients: number;
  /** The logins it tried last, at most `BAN_LIMITS.loginsShown`. */
  readonly logins: readonly string[];
  /** What it did and for how long it is shut out, for the console and the log. */
  readonly words: string;
}

/** Somebody who wants to log in. `login` in lower case, as the client wrote it. */
export interface LoginAttempt {
  readonly ip: string;
  readonly login: string;
}

/**
 * All figures of L4. Points leak away evenly: `hostPoints` in `leakMs`. A network with `hostPoints` is banned, its neighbourhood with
 * `widePoints`, the n-th time for `lengthsMs[n]`.
 */
export const BAN_LIMITS = {
  /** Ten different wrong passwords ban, or a hundred unknown recipients. */
  failedLoginPoints: 10,
  unknownRecipientPoints: 1,
  hostPoints: 100,
  /** Counted for failed logins alone: a large provider has many honest servers side by side. */
  widePoints: 500,
  leakMs: 3_600_000,
  lengthsMs: [15 * 60_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000],
  /** After so long without a ban the next one is a first one. */
  forgetBansMs: 7 * 24 * 3_600_000,
  /** Waits before a login is judged: doubled with each failure of the client's network or, for strangers, of the account. */
  firstDelayMs: 100,
  maxDelayMs: 8000,
  /** From this unknown recipient on each answer waits so much longer than the one before. */
  slowUnknownFrom: 10,
  unknownStepMs: 500,
  maxUnknownDelayMs: 5000,
  /** How long an address that has logged in counts as known to the account. */
  knownMs: 30 * 24 * 3_600_000,
  loginsShown: 5,
  maxHosts: 50_000,
  maxWide: 20_000,
  maxAccounts: 20_000,
  maxKnown: 50_000,
  maxBans: 10_000,
} as const;

export interface Bans {
  /** The ban that holds for a client now, or null. Trusted networks, the machine itself and known proxies have none. */
  banned(ip: string): Ban | null;
  /**
   * The ban that keeps this login from being tried, or null: a banned address may still log in to accounts it has logged in to
   * before, so that a stranger behind the same address cannot shut a person out.
   */
  refuseLogin(attempt: LoginAttempt): Ban | null;
  /**
   * Why the attempt is not judged now, or null: too many guesses at this login from a host that is never banned, or with this password
   * at many logins. Says nothing of who may log in from elsewhere.
   */
  refuseGuess(attempt: LoginAttempt, guess: string): string | null;
  /** Has anybody logged in from this address before? Such a one is let in to log in even while it is banned. */
  isKnown(ip: string): boolean;
  /** How long the attempt waits before it is judged: the more failures before it, the longer. 0 for known addresses. */
  loginDelayMs(attempt: LoginAttempt): number;
  /** Counts a failure. The same guess again (a mail program with an old password) counts once. True: the network is banned now. */
  noteFailedLogin(attempt: LoginAttempt, guess: string): boolean;
  noteLogin(attempt: LoginAttempt): void;
  /** Counts a recipient that does not exist. True: the network is banned now. */
  noteUnknownRecipient(ip: string): boolean;
  /** How long the answer about an unknown recipient waits: from the tenth of the client's network on, longer each time. */
  unknownRecipientDelayMs(ip: string): number;
  /** Those in force, the newest first. */
  list(): readonly Ban[];
  /** Ends a ban and forgets what was counted. False: there is none. */
  lift(network: string): boolean;
}
