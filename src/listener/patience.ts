// How long a connection may keep us waiting: idle time, handshake time, the slowest body. A pure function of times.

/** What the connection waits for: `us` is a verb of ours that needs time. */
export interface Patience {
  waiting: "greeting" | "command" | "body" | "tls" | "us";
  /** Milliseconds UTC of the last progress: a complete command, octets of a body. A half-sent line is none. */
  since: number;
  bodySince: number;
}

export interface Moment {
  readonly nowMs: number;
  /** Octets of the present body so far. */
  readonly bodyBytes: number;
  /** The client does not read what we write. */
  readonly blocked: boolean;
  readonly idleMs: number;
}

const HANDSHAKE_MS = 30_000;
/** A body may start slowly; after this its average must reach the least rate. */
const SLOW_START_MS = 60_000;
const LEAST_BYTES_PER_SECOND = 64;
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
      return tooSlow(moment.nowMs - patience.bodySince, moment.bodyBytes)
        ? "The message comes too slowly"
        : null;
  }
}

function tooSlow(bodyMs: number, bytes: number): boolean {
  if (bodyMs >= LONGEST_BODY_MS) return true;
  return bodyMs >= SLOW_START_MS && bytes < (bodyMs / 1000) * LEAST_BYTES_PER_SECOND;
}
