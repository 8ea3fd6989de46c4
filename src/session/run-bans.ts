// Runs the bans of L4: counts per network and account, the addresses known to an account, the bans in force. In memory only and bounded;
// after a restart everybody begins anew. Keeps no password.
import { createHmac, randomBytes } from "node:crypto";
import { type ClientNetwork, clientNetwork, isLoopback } from "../message/client-network.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { BAN_LIMITS, type Ban, type Bans, type LoginAttempt } from "./bans.ts";
import { inNetworks, isTrusted } from "./connect.ts";
import { createGuessCounts, type Guess, type GuessCounts } from "./guess-counts.ts";
import { createLeakyCount } from "./leaky-count.ts";
import { createRecentMap } from "./recent-map.ts";

export interface BansOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly snapshot: () => PolicySnapshot;
}

/** What a network did since its points were last zero. */
interface Deeds {
  readonly since: number;
  failedLogins: number;
  unknownRecipients: number;
  /** Points by login, the last ones: what a login that succeeds takes back. */
  readonly logins: Map<string, number>;
  /** Keyed digests of the last guesses. */
  readonly guesses: Set<string>;
}

/** In failures: a minute's worth. */
const LEAKED_JUST_NOW = 0.2;
const MAX_GUESSES = 16;
const MAX_LOGINS = 16;
const LOGIN_SHOWN = 60;
/** The same wrong password again: hardly counted, but not free either. */
const REPEATED_POINTS = 1;
/** Failures of an account that are remembered; the delay is at its longest long before. */
const ACCOUNT_CAPACITY = 12;

/** Makes bans with nothing counted. */
export function createBans(options: BansOptions): Bans {
  return new RunningBans(options);
}

class RunningBans implements Bans {
  readonly #options: BansOptions;
  readonly #key = randomBytes(32);
  readonly #hosts = createLeakyCount({
    capacity: BAN_LIMITS.hostPoints,
    leakMs: BAN_LIMITS.leakMs,
    maxKeys: BAN_LIMITS.maxHosts,
  });
  readonly #wide = createLeakyCount({
    capacity: BAN_LIMITS.widePoints,
    leakMs: BAN_LIMITS.leakMs,
    maxKeys: BAN_LIMITS.maxWide,
  });
  /** Failures of strangers by account. */
  readonly #accounts = createLeakyCount({
    capacity: ACCOUNT_CAPACITY,
    leakMs: BAN_LIMITS.leakMs,
    maxKeys: BAN_LIMITS.maxAccounts,
  });
  readonly #guesses: GuessCounts;
  readonly #deeds = createRecentMap<Deeds>(BAN_LIMITS.maxHosts);
  readonly #bans = createRecentMap<Ban>(BAN_LIMITS.maxBans);
  readonly #history = createRecentMap<{ readonly times: number; readonly at: number }>(BAN_LIMITS.maxBans);
  /** Last login by account and host, and by host alone. */
  readonly #known = createRecentMap<number>(BAN_LIMITS.maxKnown);
  readonly #knownHosts = createRecentMap<number>(BAN_LIMITS.maxKnown);

  constructor(options: BansOptions) {
    this.#options = options;
    this.#guesses = createGuessCounts(options.clock);
  }

  banned(ip: string): Ban | null {
    if (this.#bans.size === 0) return null;
    const network = clientNetwork(ip);
    if (network === null) return null;
    const ban = this.#inForce(network.host) ?? (this.isKnown(ip) ? null : this.#inForce(network.wide));
    return ban === null || this.#spared(ip) ? null : ban;
  }

  refuseLogin(attempt: LoginAttempt): Ban | null {
    const ban = this.banned(attempt.ip);
    return ban === null || this.#knows(attempt) ? null : ban;
  }

  refuseGuess(attempt: LoginAttempt, guess: string): string | null {
    const network = clientNetwork(attempt.ip);
    if (network === null) return null;
    return this.#guesses.refuse(this.#guessOf(attempt, guess, network), this.#spared(attempt.ip));
  }

  isKnown(ip: string): boolean {
    const network = clientNetwork(ip);
    return network !== null && this.#recent(this.#knownHosts.get(network.host));
  }

  loginDelayMs(attempt: LoginAttempt): number {
    const network = clientNetwork(attempt.ip);
    if (network === null) return 0;
    // Whoever is never banned is slowed all the same, for the login it guesses at.
    if (this.#spared(attempt.ip)) return this.#guesses.delayMs({ login: attempt.login, host: network.host });
    if (this.#knows(attempt)) return 0;
    const now = this.#options.clock.now();
    const ofHost = this.#hosts.of(network.host, now) / BAN_LIMITS.failedLoginPoints;
    // What leaked away within the last moments does not make one failure none.
    const failures = Math.floor(Math.max(ofHost, this.#accounts.of(attempt.login, now)) + LEAKED_JUST_NOW);
    if (failures < 1) return 0;
    return Math.min(BAN_LIMITS.firstDelayMs * 2 ** (failures - 1), BAN_LIMITS.maxDelayMs);
  }

  noteFailedLogin(attempt: LoginAttempt, guess: string): boolean {
    const network = clientNetwork(attempt.ip);
    if (network === null) return false;
    const spared = this.#spared(attempt.ip);
    this.#guesses.failed(this.#guessOf(attempt, guess, network), spared);
    if (spared) return false;
    const now = this.#options.clock.now();
    const login = shown(attempt.login);
    const deeds = this.#deedsOf(network.host, now);
    const repeated = this.#isRepeated(deeds, attempt.login, guess);
    const points = repeated ? REPEATED_POINTS : BAN_LIMITS.failedLoginPoints;
    deeds.failedLogins++;
    const before = deeds.logins.get(login) ?? 0;
    deeds.logins.delete(login);
    deeds.logins.set(login, before + points);
    const oldest = deeds.logins.keys().next();
    if (deeds.logins.size > MAX_LOGINS && oldest.done !== true) deeds.logins.delete(oldest.value);
    if (!repeated && !this.#knows(attempt)) this.#countAccount(attempt.login, now);
    if (!repeated) this.#countWide(network, points, now);
    return this.#countHost(network, points, now);
  }

  noteLogin(attempt: LoginAttempt): void {
    const network = clientNetwork(attempt.ip);
    if (network === null) return;
    const now = this.#options.clock.now();
    this.#guesses.right({ login: attempt.login, host: network.host });
    this.#known.set(`${attempt.login}\n${network.host}`, now);
    this.#knownHosts.set(network.host, now);
    // Whoever mistypes a password and then gets it right has not guessed; what else came from the address stays counted.
    const deeds = this.#deeds.get(network.host);
    const points = deeds?.logins.get(shown(attempt.login));
    if (deeds === undefined || points === undefined) return;
    deeds.logins.delete(shown(attempt.login));
    this.#hosts.add(network.host, -points, now);
  }

  noteUnknownRecipient(ip: string): boolean {
    const network = clientNetwork(ip);
    if (network === null || this.#spared(ip)) return false;
    const now = this.#options.clock.now();
    this.#deedsOf(network.host, now).unknownRecipients++;
    return this.#countHost(network, BAN_LIMITS.unknownRecipientPoints, now);
  }

  unknownRecipientDelayMs(ip: string): number {
    const network = clientNetwork(ip);
    if (network === null || this.#spared(ip)) return 0;
    const beyond = (this.#deeds.get(network.host)?.unknownRecipients ?? 0) - BAN_LIMITS.slowUnknownFrom + 1;
    return Math.min(Math.max(0, beyond) * BAN_LIMITS.unknownStepMs, BAN_LIMITS.maxUnknownDelayMs);
  }

  list(): readonly Ban[] {
    const found = this.#bans.keys().map((network) => this.#inForce(network));
    return found.filter((ban) => ban !== null).toSorted((a, b) => b.since - a.since);
  }

  lift(network: string): boolean {
    const ban = this.#inForce(network);
    if (ban === null) return false;
    this.#bans.delete(network);
    this.#history.delete(network);
    this.#forget(network);
    return true;
  }

  #countAccount(login: string, now: number): void {
    if (this.#accounts.of(login, now) < ACCOUNT_CAPACITY) this.#accounts.add(login, 1, now);
  }

  #countHost(network: ClientNetwork, points: number, now: number): boolean {
    const sum = this.#hosts.add(network.host, points, now);
    // Rounded up: what leaked away within the last moments does not make the tenth guess the ninth.
    if (Math.ceil(sum) >= BAN_LIMITS.hostPoints) this.#ban(network.host, this.#deeds.get(network.host), now);
    return this.#inForce(network.host) !== null || this.#inForce(network.wide) !== null;
  }

  #countWide(network: ClientNetwork, points: number, now: number): void {
    const deeds = this.#deedsOf(network.wide, now);
    deeds.failedLogins++;
    if (Math.ceil(this.#wide.add(network.wide, points, now)) >= BAN_LIMITS.widePoints)
      this.#ban(network.wide, deeds, now);
  }

  #ban(network: string, deeds: Deeds | undefined, now: number): void {
    if (this.#inForce(network) !== null) return;
    const past = this.#history.get(network);
    const times = past !== undefined && now - past.at < BAN_LIMITS.forgetBansMs ? past.times + 1 : 1;
    const { lengthsMs } = BAN_LIMITS;
    const lengthMs = lengthsMs[Math.min(times, lengthsMs.length) - 1] ?? BAN_LIMITS.lengthsMs[0];
    const { failedLogins = 0, unknownRecipients = 0, since = now } = deeds ?? {};
    const logins = [...(deeds?.logins.keys() ?? [])].slice(-BAN_LIMITS.loginsShown);
    const words = wordsOf({ failedLogins, unknownRecipients, logins, tookMs: now - since, lengthMs, times });
    const counts = { failedLogins, unknownRecipients, logins };
    this.#history.set(network, { times, at: now });
    this.#bans.set(network, { network, since: now, until: now + lengthMs, times, ...counts, words });
    this.#forget(network);
    this.#options.log.warn({ network, times, until: now + lengthMs, words }, "client network banned");
  }

  #forget(network: string): void {
    this.#hosts.forget(network);
    this.#wide.forget(network);
    this.#deeds.delete(network);
  }

  #inForce(network: string): Ban | null {
    const ban = this.#bans.get(network);
    if (ban === undefined) return null;
    if (ban.until > this.#options.clock.now()) return ban;
    this.#bans.delete(network);
    return null;
  }

  #deedsOf(network: string, now: number): Deeds {
    const known = this.#deeds.get(network);
    const counted = this.#hosts.of(network, now) + this.#wide.of(network, now);
    const deeds =
      known !== undefined && counted > 0
        ? known
        : {
            since: now,
            failedLogins: 0,
            unknownRecipients: 0,
            logins: new Map(),
            guesses: new Set<string>(),
          };
    this.#deeds.set(network, deeds);
    return deeds;
  }

  #guessOf(attempt: LoginAttempt, guess: string, { host }: ClientNetwork): Guess {
    const { login } = attempt;
    return { login, host, digest: this.#digest(guess), known: this.#knows(attempt) };
  }

  #digest(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url").slice(0, 11);
  }

  #isRepeated(deeds: Deeds, login: string, guess: string): boolean {
    const digest = this.#digest(`${login}\0${guess}`);
    const repeated = deeds.guesses.delete(digest);
    deeds.guesses.add(digest);
    const oldest = deeds.guesses.values().next();
    if (deeds.guesses.size > MAX_GUESSES && oldest.done !== true) deeds.guesses.delete(oldest.value);
    return repeated;
  }

  #knows({ ip, login }: LoginAttempt): boolean {
    const network = clientNetwork(ip);
    return network !== null && this.#recent(this.#known.get(`${login}\n${network.host}`));
  }

  #recent(at: number | undefined): boolean {
    return at !== undefined && this.#options.clock.now() - at < BAN_LIMITS.knownMs;
  }

  /** Ourselves, those the administrator trusts, and proxies, behind which everybody has their address. */
  #spared(ip: string): boolean {
    if (isLoopback(ip)) return true;
    const snapshot = this.#options.snapshot();
    return (
      isTrusted(snapshot, ip) ||
      snapshot.policy.listener.some((listener) => inNetworks(listener.proxy_from, ip))
    );
  }
}

/** A login as strangers wrote it, fit for the log and the console. */
function shown(login: string): string {
  return login.slice(0, LOGIN_SHOWN).replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

function wordsOf(done: {
  readonly failedLogins: number;
  readonly unknownRecipients: number;
  readonly logins: readonly string[];
  readonly tookMs: number;
  readonly lengthMs: number;
  readonly times: number;
}): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  const tried = done.logins.length === 0 ? "" : ` (last tried: ${done.logins.join(", ")})`;
  const deeds = [
    done.failedLogins > 0 ? `${count(done.failedLogins, "failed login")}${tried}` : "",
    done.unknownRecipients > 0 ? count(done.unknownRecipients, "unknown recipient") : "",
  ].filter((part) => part !== "");
  const took = count(Math.max(1, Math.round(done.tookMs / 60_000)), "minute");
  const minutes = Math.round(done.lengthMs / 60_000);
  const length = minutes < 60 ? count(minutes, "minute") : count(Math.round(minutes / 60), "hour");
  const again = done.times > 1 ? `, ban number ${done.times} of this network in a week` : "";
  return `${deeds.join(" and ")} within ${took}: shut out for ${length}${again}`;
}
