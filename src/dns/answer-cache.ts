// Answers kept by their TTL, the least recently used dropped first. Bounded in entries and in bytes.
import type { Clock } from "../observe/clock.ts";

export interface AnswerCache<T> {
  /** The kept answer, or undefined when there is none or its time is over. */
  get(key: string): T | undefined;
  /** Keeps an answer for `ttlMs`; `bytes` is its rough size. Answers beyond `maxEntryBytes` are not kept. */
  put(key: string, answer: T, options: { readonly ttlMs: number; readonly bytes: number }): void;
  readonly size: number;
}

interface Kept<T> {
  readonly answer: T;
  readonly expiresAt: number;
  readonly bytes: number;
}

const ENTRY_OVERHEAD_BYTES = 300;

/** Makes a cache. */
export function createAnswerCache<T>(options: {
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
}): AnswerCache<T> {
  const kept = new Map<string, Kept<T>>();
  let total = 0;

  const drop = (key: string, entry: Kept<T>): void => {
    kept.delete(key);
    total -= entry.bytes;
  };

  return {
    get size() {
      return kept.size;
    },
    get(key) {
      const entry = kept.get(key);
      if (entry === undefined) return undefined;
      if (entry.expiresAt <= options.clock.now()) {
        drop(key, entry);
        return undefined;
      }
      kept.delete(key);
      kept.set(key, entry);
      return entry.answer;
    },
    put(key, answer, { ttlMs, bytes }) {
      const before = kept.get(key);
      if (before !== undefined) drop(key, before);
      if (ttlMs <= 0 || bytes > options.maxEntryBytes) return;
      const entry = { answer, expiresAt: options.clock.now() + ttlMs, bytes: bytes + ENTRY_OVERHEAD_BYTES };
      kept.set(key, entry);
      total += entry.bytes;
      for (const [oldest, old] of kept) {
        if (kept.size <= options.maxEntries && total <= options.maxBytes) break;
        drop(oldest, old);
      }
    },
  };
}
