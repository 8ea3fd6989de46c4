// What is known of one DNS server: whether it answers anything, and how it has to be asked. No sockets.
import type { Manner } from "./query-message.ts";
import type { DnsServerAddress } from "./server-address.ts";

export interface ServerState {
  readonly server: DnsServerAddress;
  readonly name: string;
  /** It lately left even a question unanswered that every server can answer. */
  readonly isDown: boolean;
  /** True when it has answered anything since `at` (by `performance.now()`). */
  answeredSince(at: number): boolean;
  noteAnswer(): void;
  /** True when this is news. */
  noteDown(): boolean;
  /** How to ask it now. */
  manner(): Manner;
  /** It answers FORMERR and its like to EDNS, or drops it: not asked with it for an hour. */
  noteWithoutEdns(): void;
  /** It sends questions back in one case. `sure`: seen where nobody can forge (TCP); else the third time counts. */
  noteFoldsCase(sure: boolean): void;
}

const DOWN_MS = 30_000;
/** Servers are mended and replaced: what one cannot do is forgotten after an hour. */
const REMEMBER_MS = 3_600_000;
const FOLDS_SEEN = 3;

/** Makes the state of a server of which nothing is known. */
export function createServerState(server: DnsServerAddress): ServerState {
  let downUntil = 0;
  let answeredAt = 0;
  let plainUntil = 0;
  let oneCaseUntil = 0;
  let folded = 0;
  return {
    server,
    name: `${server.host}:${server.port}`,
    get isDown() {
      return downUntil > performance.now();
    },
    answeredSince: (at) => answeredAt >= at,
    noteAnswer() {
      downUntil = 0;
      answeredAt = performance.now();
    },
    noteDown() {
      const now = performance.now();
      const news = downUntil <= now;
      downUntil = now + DOWN_MS;
      return news;
    },
    manner() {
      const now = performance.now();
      return { mixCase: oneCaseUntil <= now, edns: plainUntil <= now };
    },
    noteWithoutEdns() {
      plainUntil = performance.now() + REMEMBER_MS;
    },
    noteFoldsCase(sure) {
      if (!sure && ++folded < FOLDS_SEEN) return;
      folded = 0;
      oneCaseUntil = performance.now() + REMEMBER_MS;
    },
  };
}
