// Counts stopped mail per domain and kind, and says when enough came together for an alert. No I/O; memory is bounded.
// One alert when the threshold is reached; none before the window is over; then one with the count meanwhile, if it is enough again.
import type { Clock } from "../observe/clock.ts";
import type { AlertKind } from "./notice-policy.ts";
import type { StoppedMessage } from "./outgoing-notices.ts";

/** A message as it is kept for the alert, without its header. */
export type CountedMessage = Omit<StoppedMessage, "header" | "recipients">;

/** Enough came together. */
export interface ThresholdReached {
  readonly domain: string;
  readonly kind: AlertKind;
  /** Messages since the last alert, or since it was quiet. */
  readonly count: number;
  /** When the first of them came, milliseconds UTC. */
  readonly since: number;
  /** Who sent most, first. */
  readonly senders: readonly {
    readonly sender: string;
    readonly identity: string | null;
    readonly count: number;
  }[];
  /** Messages of senders that are not listed. */
  readonly others: number;
  /** The newest, oldest first. */
  readonly last: readonly CountedMessage[];
  /** No further alert of this kind before. */
  readonly quietUntil: number;
}

export interface Thresholds {
  count(message: CountedMessage & { readonly kind: AlertKind }, limit: ThresholdLimit): void;
  close(): void;
}

export interface ThresholdLimit {
  readonly messages: number;
  readonly windowMs: number;
}

interface Tally {
  readonly domain: string;
  readonly kind: AlertKind;
  limit: ThresholdLimit;
  /** Times of the newest `limit.messages` messages, oldest first. */
  times: number[];
  count: number;
  since: number;
  senders: Map<string, { readonly sender: string; readonly identity: string | null; count: number }>;
  others: number;
  last: CountedMessage[];
  quietUntil: number;
  /** Enough came together; it is told when the burst is gathered. */
  reached: boolean;
  cancel: (() => void) | null;
}

/** A burst is gathered so long before it is told, so that the alert tells of all of it. */
const GATHER_MS = 5000;
const MAX_SENDERS = 20;
const MAX_SHOWN_SENDERS = 10;
const MAX_LAST = 5;
/** Domains are ours; this only guards against names that are not. */
const MAX_TALLIES = 10_000;

/** Starts empty. `quietUntil` tells what was alerted before a restart. */
export function createThresholds(parts: {
  readonly clock: Clock;
  readonly quietUntil: (domain: string, kind: AlertKind) => number;
  readonly onReached: (reached: ThresholdReached) => void;
}): Thresholds {
  const { clock, onReached } = parts;
  const tallies = new Map<string, Tally>();

  /** Looks again at `at`. A tally has one timer. */
  function lookAt(tally: Tally, at: number): void {
    tally.cancel ??= clock.after(Math.max(0, at - clock.now()), () => {
      tally.cancel = null;
      const now = clock.now();
      if (now < tally.quietUntil) lookAt(tally, tally.quietUntil);
      else if (tally.reached || enough(tally, now)) tell(tally, now);
    });
  }

  function tell(tally: Tally, now: number): void {
    const { domain, kind, count, since, others, last, senders } = tally;
    const ranked = [...senders.values()].sort((a, b) => b.count - a.count);
    const shown = ranked.slice(0, MAX_SHOWN_SENDERS);
    const hidden = ranked.slice(MAX_SHOWN_SENDERS).reduce((sum, sender) => sum + sender.count, 0);
    tally.quietUntil = now + tally.limit.windowMs;
    forget(tally);
    onReached({
      domain,
      kind,
      count,
      since,
      senders: shown,
      others: others + hidden,
      last,
      quietUntil: tally.quietUntil,
    });
  }

  return {
    count(message, limit) {
      const now = clock.now();
      const { domain, kind } = message;
      const key = `${kind} ${domain}`;
      let tally = tallies.get(key);
      if (tally === undefined) {
        if (tallies.size >= MAX_TALLIES) return;
        tally = emptyTally(domain, kind, limit, parts.quietUntil(domain, kind));
        tallies.set(key, tally);
      }
      tally.limit = limit;
      if (tally.quietUntil > now + limit.windowMs) tally.quietUntil = now + limit.windowMs;
      add(tally, message, now);
      if (now < tally.quietUntil) lookAt(tally, tally.quietUntil);
      else if (enough(tally, now)) {
        tally.reached = true;
        lookAt(tally, now + GATHER_MS);
      }
    },
    close() {
      for (const tally of tallies.values()) tally.cancel?.();
      tallies.clear();
    },
  };
}

function emptyTally(domain: string, kind: AlertKind, limit: ThresholdLimit, quietUntil: number): Tally {
  return {
    domain,
    kind,
    limit,
    times: [],
    count: 0,
    since: 0,
    senders: new Map(),
    others: 0,
    last: [],
    quietUntil,
    reached: false,
    cancel: null,
  };
}

function forget(tally: Tally): void {
  tally.times = [];
  tally.reached = false;
  tally.count = 0;
  tally.senders = new Map();
  tally.others = 0;
  tally.last = [];
}

function add(tally: Tally, message: CountedMessage, now: number): void {
  // After a window without any message the old ones are another story.
  if (!tally.reached && (tally.times.at(-1) ?? 0) <= now - tally.limit.windowMs) forget(tally);
  if (tally.count === 0) tally.since = message.at;
  tally.count++;
  tally.times.push(now);
  if (tally.times.length > tally.limit.messages * 2) tally.times = tally.times.slice(-tally.limit.messages);
  tally.last = [...tally.last.slice(-(MAX_LAST - 1)), message];
  const { sender, identity } = message;
  const key = JSON.stringify([sender, identity]);
  const known = tally.senders.get(key);
  if (known !== undefined) known.count++;
  else if (tally.senders.size < MAX_SENDERS) tally.senders.set(key, { sender, identity, count: 1 });
  else tally.others++;
}

/** The newest `messages` of them came within one window, which is not over. */
function enough({ times, limit }: Tally, now: number): boolean {
  const first = times.at(-limit.messages);
  return first !== undefined && first > now - limit.windowMs;
}
