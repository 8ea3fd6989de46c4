// How long a connection may keep us waiting: idle time, handshake time, the slowest body. Functions of times, no clock.

/** What the connection waits for: `us` is a verb of ours that needs time. */
export interface Patience {
  waiting: "greeting" | "command" | "body" | "tls" | "us";
  /** Milliseconds UTC of the last progress: a complete command, octets of a body. A half-sent line is none. */
  since: number;
  bodySince: number;
  /** Two moments of the present body, the later one at most `WINDOW_MS` ago: what came since the earlier one is its recent rate. */
  marks: readonly [BodyMark, BodyMark];
}

interface BodyMark {
  readonly atMs: number;
  readonly bytes: number;
}

export interface Moment {
  readonly nowMs: number;
  /** Octets of the present body so far. */
  readonly bodyBytes: number;
  /** The client does not read what we write. */
  readonly blocked: boolean;
  readonly idleMs: number;
  /** What a body must bring of late, octets a second; 0: anything. */
  readonly leastRate: number;
}

const HANDSHAKE_MS = 30_000;
/** A body may start slowly; after this it must keep the least rate. */
const SLOW_START_MS = 60_000;
const WINDOW_MS = 30_000;
const LONGEST_BODY_MS = 2 * 3_600_000;

/** Text of a 421 that ends the connection, `silently` where a reply would not be read, null: wait on. */
export function cutOff(patience: Patience, moment: Moment): string | null {
  const quietMs = moment.nowMs - patience.since;
  switch (patience.waiting) {
    case "greeting":
      return null;
    case "us":
      return null;
    case "tls":
      return quietMs >= Math.min(HANDSHAKE_MS, moment.idleMs) ? "silently" : null;
    case "command":
      if (quietMs < moment.idleMs) return null;
      return moment.blocked ? "silently" : "Nothing heard for too long";
    case "body":
      if (quietMs >= moment.idleMs) return "Nothing heard for too long";
      return tooSlow(patience, moment) ? "The message comes too slowly" : null;
  }
}

/** A body begins. */
export function bodyBegins(patience: Patience, nowMs: number): void {
  patience.bodySince = nowMs;
  const start = { atMs: nowMs, bytes: 0 };
  patience.marks = [start, start];
}

/**
 * By what came of late: who has sent much at first and then drips would hold its place for hours by its average. Moves the marks on, so it is
 * to be asked every few seconds.
 */
function tooSlow(patience: Patience, { nowMs, bodyBytes, leastRate }: Moment): boolean {
  const bodyMs = nowMs - patience.bodySince;
  if (bodyMs >= LONGEST_BODY_MS) return true;
  const [, later] = patience.marks;
  if (nowMs - later.atMs >= WINDOW_MS) patience.marks = [later, { atMs: nowMs, bytes: bodyBytes }];
  const [earlier] = patience.marks;
  if (bodyMs < SLOW_START_MS) return false;
  return bodyBytes - earlier.bytes < ((nowMs - earlier.atMs) / 1000) * leastRate;
}
