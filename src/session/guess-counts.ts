// Guesses of hosts that are never banned (trusted networks, IP senders, the machine itself), and one password tried at many accounts from
// wherever. Counts accounts and hosts together, so that guessing ends and everybody else behind the same host goes on. In memory, bounded.
import type { Clock } from "../observe/clock.ts";
import { createLeakyCount } from "./leaky-count.ts";
import { createRecentMap } from "./recent-map.ts";

/** What leaks away, does so within an hour. */
export const GUESS_LIMITS = {
  /** Different wrong passwords of one account from one host, before that account is not judged for that host. */
  ofPair: 20,
  /** Different accounts at which one host, or all strangers together, try the same password, before it is not judged any more. */
  accountsOfHost: 10,
  accountsOfAll: 30,
  /** Failures of a host in all, before only accounts that have logged in from it are judged. */
  ofHost: 300,
  leakMs: 3_600_000,
  firstDelayMs: 100,
  maxDelayMs: 8000,
  maxKeys: 50_000,
} as const;

/** A guess that was or will be judged. */
export interface Guess {
  readonly login: string;
  /** The host's network. */
  readonly host: string;
  /** A keyed digest of the password. */
  readonly digest: string;
  /** The login has succeeded from there before. */
  readonly known: boolean;
}

export interface GuessCounts {
  /** How long the next attempt of the account from the host waits. */
  delayMs(guess: Pick<Guess, "login" | "host">): number;
  /** Why the attempt is not judged now, or null. `spared`: of a host that cannot be banned. */
  refuse(guess: Guess, spared: boolean): string | null;
  failed(guess: Guess, spared: boolean): void;
  /** Takes a mistyped password or two back, not more: a guesser must not begin anew whenever the owner logs in. */
  right(guess: Pick<Guess, "login" | "host">): void;
}

const EVERYWHERE = "*";
/** Wrong passwords of a pair that are told apart. */
const MAX_REMEMBERED = 8;
const MISTYPED = 3;

/** Makes counts of nothing. */
export function createGuessCounts(clock: Pick<Clock, "now">): GuessCounts {
  const { ofPair, ofHost, accountsOfHost, accountsOfAll, leakMs, maxKeys } = GUESS_LIMITS;
  const count = (capacity: number) => createLeakyCount({ capacity, leakMs, maxKeys });
  const pairs = count(ofPair);
  const hosts = count(ofHost);
  const spraysOfHost = count(accountsOfHost);
  const spraysOfAll = count(accountsOfAll);
  /** The last wrong passwords of a pair: a program with an old one sends it again and again. */
  const tried = createRecentMap<Set<string>>(maxKeys);
  /** Which accounts a password was tried at: each counts once. */
  const sprayed = createRecentMap<true>(maxKeys);
  const pairKey = ({ login, host }: Pick<Guess, "login" | "host">): string => `${login}\n${host}`;

  function isNew(guess: Guess): boolean {
    const key = pairKey(guess);
    const known = tried.get(key) ?? new Set<string>();
    const fresh = !known.delete(guess.digest);
    known.add(guess.digest);
    const oldest = known.values().next();
    if (known.size > MAX_REMEMBERED && oldest.done !== true) known.delete(oldest.value);
    tried.set(key, known);
    return fresh;
  }

  function spray(place: string, { login, digest }: Guess): boolean {
    const key = `${place}\n${digest}\n${login}`;
    const fresh = sprayed.get(key) === undefined;
    sprayed.set(key, true);
    return fresh;
  }

  return {
    delayMs(guess) {
      const failures = Math.floor(pairs.of(pairKey(guess), clock.now()) + 0.2);
      if (failures < 1) return 0;
      return Math.min(GUESS_LIMITS.firstDelayMs * 2 ** (failures - 1), GUESS_LIMITS.maxDelayMs);
    },
    refuse(guess, spared) {
      const now = clock.now();
      const { host, digest, known } = guess;
      if (spared && Math.ceil(pairs.of(pairKey(guess), now)) >= ofPair)
        return `${ofPair} different wrong passwords for this login from ${host} within an hour`;
      if (known) return null;
      if (spared && Math.ceil(spraysOfHost.of(`${host}\n${digest}`, now)) >= accountsOfHost)
        return `the same password was tried at ${accountsOfHost} logins from ${host} within an hour`;
      if (Math.ceil(spraysOfAll.of(digest, now)) >= accountsOfAll)
        return `the same password was tried at ${accountsOfAll} logins within an hour`;
      if (spared && Math.ceil(hosts.of(host, now)) >= ofHost)
        return `${ofHost} failed logins from ${host} within an hour; only logins that have succeeded from there are judged`;
      return null;
    },
    failed(guess, spared) {
      const now = clock.now();
      if (spray(EVERYWHERE, guess)) spraysOfAll.add(guess.digest, 1, now);
      // Strangers are banned instead: remembered here, they would push out what is known of our own devices.
      if (!spared || !isNew(guess)) return;
      pairs.add(pairKey(guess), 1, now);
      hosts.add(guess.host, 1, now);
      if (spray(guess.host, guess)) spraysOfHost.add(`${guess.host}\n${guess.digest}`, 1, now);
    },
    right(guess) {
      const key = pairKey(guess);
      const back = Math.min(MISTYPED, pairs.of(key, clock.now()));
      if (back > 0) pairs.add(key, -back, clock.now());
    },
  };
}
