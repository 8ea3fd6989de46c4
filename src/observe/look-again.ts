// What is in trouble, looked at again until it is well: so its end is seen without anybody asking for it. Costs nothing while all is well.
import type { Clock } from "./clock.ts";
import { type KeptLook, keepLooking } from "./keep-looking.ts";

export interface LookAgain<Thing> {
  /** The thing was seen in trouble just now. */
  note(key: string, thing: Thing): void;
  /** It is well. */
  forget(key: string): void;
  stop(): void;
}

const EVERY_MS = 60_000;
const REST_MS = 1000;
/** What was seen in trouble so lately waits for the next look. */
const YOUNG_MS = EVERY_MS / 2;
/** Many may be in trouble at once, and each may take its time. */
const SIDE_BY_SIDE = 4;

/** Starts with nothing in trouble. `isOver` of one thing runs once at a time; `onOver` is not called for what was seen in trouble meanwhile. */
export function lookAgain<Thing>(parts: {
  readonly isOver: (thing: Thing) => Promise<boolean>;
  readonly onOver: (thing: Thing) => void;
  /** It is not over; not called for what was seen otherwise meanwhile. */
  readonly onStill?: (thing: Thing) => void;
  /** A look could not be made; the thing stays. */
  readonly onFailure: (error: unknown) => void;
  readonly clock: Clock;
}): LookAgain<Thing> {
  const { isOver, onOver, onStill, onFailure, clock } = parts;
  const troubled = new Map<string, { readonly thing: Thing; seenAt: number }>();
  let kept: KeptLook | null = null;
  let stopped = false;

  async function look(key: string): Promise<void> {
    const entry = troubled.get(key);
    if (entry === undefined || stopped) return;
    const { seenAt } = entry;
    const over = await isOver(entry.thing);
    // What anybody else saw meanwhile is newer.
    if (stopped || troubled.get(key) !== entry || entry.seenAt !== seenAt) return;
    entry.seenAt = clock.now();
    if (!over) {
      onStill?.(entry.thing);
      return;
    }
    forget(key);
    onOver(entry.thing);
  }

  async function lookAtAll(): Promise<void> {
    const before = clock.now() - YOUNG_MS;
    const due = [...troubled].flatMap(([key, { seenAt }]) => (seenAt <= before ? [key] : []));
    const lookAtEach = async (): Promise<void> => {
      for (let key = due.shift(); key !== undefined; key = due.shift()) await look(key).catch(onFailure);
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lookAtEach));
  }

  function forget(key: string): void {
    if (!troubled.delete(key) || troubled.size > 0) return;
    kept?.stop();
    kept = null;
  }

  return {
    note(key, thing) {
      if (stopped) return;
      const entry = troubled.get(key);
      if (entry === undefined) troubled.set(key, { thing, seenAt: clock.now() });
      else entry.seenAt = clock.now();
      kept ??= keepLooking({
        find: lookAtAll,
        tell() {},
        onFailure,
        clock,
        everyMs: EVERY_MS,
        restMs: REST_MS,
      });
    },
    forget,
    stop() {
      stopped = true;
      kept?.stop();
    },
  };
}
