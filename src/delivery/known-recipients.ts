// Addresses that their mail server has confirmed: they are taken while it does not answer. Kept for weeks, over restarts, bounded.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";

export interface KnownRecipients {
  /** Confirmed within the last weeks, and not refused since. */
  has(key: string): boolean;
  confirm(key: string): void;
  /** The server says that it does not exist. */
  refuse(key: string): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

/** Where they are kept beyond this process. */
export interface KnownRecipientStore {
  load(limit: number): Promise<readonly { readonly address: string; readonly seenAt: number }[]>;
  save(changes: {
    readonly confirmed: readonly { readonly address: string; readonly seenAt: number }[];
    readonly refused: readonly string[];
    readonly before: number;
  }): Promise<void>;
}

const DAY_MS = 86_400_000;
const KEEP_MS = 30 * DAY_MS;
const MAX_KNOWN = 50_000;
/** A time on disk may be so much older than the one in memory: an address costs one write a day. */
const REWRITE_MS = DAY_MS;
const SAVE_EVERY_MS = 30_000;
const MAX_SAVED_AT_ONCE = 1000;

/** Loads what is kept. A store that cannot be read or written costs nothing but the memory over a restart. */
export async function createKnownRecipients(options: {
  readonly store: KnownRecipientStore;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<KnownRecipients> {
  const { store, clock, log } = options;
  /** By the time of the last confirmation, the oldest first: when in memory, when on disk. */
  const known = new Map<string, { readonly seenAt: number; readonly savedAt: number }>();
  const unsaved = new Set<string>();
  let cancelTimer: (() => void) | null = null;
  let closed = false;
  try {
    const rows = await store.load(MAX_KNOWN);
    for (const { address, seenAt } of rows.toReversed()) known.set(address, { seenAt, savedAt: seenAt });
  } catch (err) {
    log.error({ err }, "the confirmed recipients cannot be read; they are learnt anew");
  }

  function change(key: string): void {
    unsaved.add(key);
    saveLater();
  }

  function saveLater(): void {
    if (closed) return;
    cancelTimer ??= clock.after(SAVE_EVERY_MS, () => {
      cancelTimer = null;
      void save();
    });
  }

  async function save(): Promise<void> {
    while (unsaved.size > 0) {
      const keys = [...unsaved].slice(0, MAX_SAVED_AT_ONCE);
      for (const key of keys) unsaved.delete(key);
      const confirmed = keys.flatMap((address) => {
        const seenAt = known.get(address)?.seenAt;
        return seenAt === undefined ? [] : [{ address, seenAt }];
      });
      const refused = keys.filter((key) => !known.has(key));
      try {
        await store.save({ confirmed, refused, before: clock.now() - KEEP_MS });
      } catch (err) {
        log.warn({ err }, "confirmed recipients could not be written; it is tried again");
        for (const key of keys) unsaved.add(key);
        // What is refused while nothing can be written is not in `known`, which bounds the rest.
        for (const key of unsaved) {
          if (unsaved.size <= 2 * MAX_KNOWN) break;
          unsaved.delete(key);
        }
        saveLater();
        return;
      }
    }
  }

  return {
    has(key) {
      const seenAt = known.get(key)?.seenAt;
      return seenAt !== undefined && clock.now() - seenAt < KEEP_MS;
    },
    confirm(key) {
      const now = clock.now();
      const savedAt = known.get(key)?.savedAt ?? Number.NEGATIVE_INFINITY;
      const isDue = now - savedAt > REWRITE_MS;
      known.delete(key);
      known.set(key, { seenAt: now, savedAt: isDue ? now : savedAt });
      if (isDue) change(key);
      const [oldest] = known.keys();
      if (known.size > MAX_KNOWN && oldest !== undefined) {
        known.delete(oldest);
        change(oldest);
      }
    },
    refuse(key) {
      if (known.delete(key)) change(key);
    },
    async close() {
      closed = true;
      cancelTimer?.();
      cancelTimer = null;
      await save();
    },
  };
}

/** Keeps nothing beyond this process. */
export const NO_STORE: KnownRecipientStore = { load: async () => [], save: async () => {} };
