// Hands out what is to be told, a line for each way (a domain's web hook, our own queue): in order, tried a few times, bounded.
// A way that fails does not hold up the others; it raises an alarm that is lifted when it works again.
import type { AlarmName } from "../observe/alarm-kinds.ts";
import type { AlarmEnd, OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";

/** What came of a try. `retry`: trying again may help. */
export type Handed =
  | { readonly ok: true; readonly words: string }
  | { readonly ok: false; readonly words: string; readonly retry: boolean };

/** Something to hand out. */
export interface Errand {
  /** The way it takes, also the name of the alarm: `web hook of example.test`. */
  readonly way: AlarmName;
  /** For the log: `alert about alice@example.test`. */
  readonly words: string;
  /** Tries once. A rejection counts as a failure that may pass. */
  run(): Promise<Handed>;
  /** What ends the alarm where nobody lifts it: the way is set no more, or nothing else goes that way for long. */
  readonly end?: AlarmEnd;
}

export interface Courier {
  /** Takes an errand; returns at once. When the line of its way is full, the oldest waiting one is dropped. */
  hand(errand: Errand): void;
  /** The way was seen to work. */
  works(way: AlarmName): void;
  /** Tries everything once more, at most `graceMs`, and stops. */
  close(graceMs: number): Promise<void>;
}

/** Waits before the second, third … try. */
export const RETRY_MS: readonly number[] = [5000, 30_000, 120_000, 600_000];
const MAX_WAITING = 100;
/** A way has to fail twice before it is worth an alarm. */
const ALARM_AFTER_TRIES = 2;

interface Line {
  readonly waiting: Errand[];
  /** How many were dropped since it was empty. */
  dropped: number;
}

/** Starts with nothing to do. */
export function createCourier(parts: {
  readonly clock: Clock;
  readonly log: Log;
  /** Raises (words) or lifts (null) an alarm. */
  readonly onAlarm: OnAlarm;
}): Courier {
  const { clock, log, onAlarm } = parts;
  const lines = new Map<AlarmName, Line>();
  const running = new Set<Promise<void>>();
  const sleepers = new Set<() => void>();
  let closed = false;

  function alarm({ way, end }: Pick<Errand, "way" | "end">, words: string): void {
    if (!closed) onAlarm(way, words, end);
  }

  /** Cut short when everything stops. */
  function sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => {
      cancel();
      sleepers.delete(wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    sleepers.add(wake);
    return promise;
  }

  async function attempt(errand: Errand): Promise<Handed> {
    try {
      return await errand.run();
    } catch (error) {
      return { ok: false, retry: true, words: error instanceof Error ? error.message : String(error) };
    }
  }

  async function carry(errand: Errand, line: Line): Promise<void> {
    const { way, words } = errand;
    for (let tries = 1; ; tries++) {
      const handed = await attempt(errand);
      if (handed.ok) {
        // What was dropped stays told until the others are through.
        if (line.dropped === 0 || line.waiting.length === 1) onAlarm(way, null);
        log.info({ way, told: words, answer: handed.words }, "told");
        return;
      }
      const waitMs = handed.retry ? RETRY_MS[tries - 1] : undefined;
      if (waitMs === undefined || closed) {
        log.error({ way, told: words, why: handed.words, tries }, "could not be told; given up");
        alarm(errand, `The ${way} does not work: ${handed.words}. Lost: ${words}${alsoDropped(line)}.`);
        return;
      }
      log.warn({ way, told: words, why: handed.words, retryInMs: waitMs }, "could not be told; tried again");
      if (tries >= ALARM_AFTER_TRIES)
        alarm(errand, `The ${way} does not work: ${handed.words}. It is tried again${alsoDropped(line)}.`);
      await sleep(waitMs);
    }
  }

  async function work(way: AlarmName, line: Line): Promise<void> {
    for (let errand = line.waiting[0]; errand !== undefined; errand = line.waiting[0]) {
      await carry(errand, line);
      // The one under way is never dropped, so it is still the first.
      line.waiting.shift();
    }
    lines.delete(way);
  }

  return {
    hand(errand) {
      const line = lines.get(errand.way);
      if (line !== undefined) {
        line.waiting.push(errand);
        if (line.waiting.length > MAX_WAITING) {
          const [dropped] = line.waiting.splice(1, 1);
          log.error(
            { way: errand.way, told: dropped?.words },
            "too much waits to be told; the oldest is dropped",
          );
          line.dropped++;
          if (line.dropped === 1 || line.dropped % MAX_WAITING === 0)
            alarm(errand, `Too much waits for the ${errand.way}${alsoDropped(line)}. The log says what.`);
        }
        return;
      }
      const fresh: Line = { waiting: [errand], dropped: 0 };
      lines.set(errand.way, fresh);
      const done = work(errand.way, fresh).finally(() => running.delete(done));
      running.add(done);
    },
    works: (way) => onAlarm(way, null),
    async close(graceMs) {
      closed = true;
      for (const wake of [...sleepers]) wake();
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(graceMs, resolve);
      await Promise.race([Promise.all(running), late]);
      cancel();
    },
  };
}

function alsoDropped({ dropped }: Line): string {
  if (dropped === 0) return "";
  return dropped === 1 ? ", and 1 notice was dropped" : `, and ${dropped} notices were dropped`;
}
