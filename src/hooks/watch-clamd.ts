// Looks after the clamd daemons that mail is to be shown to: an alarm stands while one does not answer, or takes less than a listener does.
// Mail is then put off with 451, which no sender can mend.
import type { Clock } from "../observe/clock.ts";
import { type ClamdHook, pingClamd, takesSize } from "./clamd.ts";

const EVERY_MS = 60_000;
// A daemon that loads its signatures anew answers late; what takes longer than this is told.
const PATIENCE_MS = 10_000;

export interface WatchedClamd {
  readonly hooks: readonly ClamdHook[];
  /** Octets of the largest message a listener takes. */
  readonly largest: number;
}

export interface ClamdWatch {
  /** Looks now, and once a minute from then on. Returns at once. */
  look(): void;
  stop(): void;
}

/** Starts with a look. */
export function watchClamd(parts: {
  readonly watched: () => WatchedClamd;
  readonly clock: Clock;
  readonly onAlarm: (name: string, words: string | null) => void;
}): ClamdWatch {
  const { watched, clock, onAlarm } = parts;
  let raised = new Set<string>();
  let running = false;
  let again = false;
  let stopped = false;
  let cancel = (): void => {};

  async function run(): Promise<void> {
    running = true;
    cancel();
    do {
      again = false;
      const { hooks, largest } = watched();
      const found = await Promise.all(
        hooks.map(async (hook) => [`clamd "${hook.name}"`, await troubleOf(hook, largest)] as const),
      );
      if (!stopped && !again) tell(new Map(found));
    } while (again && !stopped);
    running = false;
    if (!stopped) cancel = clock.after(EVERY_MS, look);
  }

  function tell(found: ReadonlyMap<string, string | null>): void {
    for (const name of raised) if (!found.has(name)) onAlarm(name, null);
    raised = new Set(found.keys());
    for (const [name, words] of found) onAlarm(name, words);
  }

  function look(): void {
    if (running) again = true;
    else if (!stopped) void run();
  }

  look();
  return {
    look,
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** What is wrong with it, and what to do; null: nothing. */
async function troubleOf(hook: ClamdHook, largest: number): Promise<string | null> {
  const patient = { ...hook, timeoutMs: Math.min(hook.timeoutMs, PATIENCE_MS) };
  try {
    await pingClamd(patient);
    if (await takesSize(patient, largest)) return null;
    return `clamd "${hook.name}" at ${hook.address} takes no message of ${largest} octets, the most a listener takes: what is larger than its StreamMaxLength is put off with 451 for ever. Raise StreamMaxLength in its clamd.conf, or lower max_message_bytes of the listeners.`;
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}. Until it answers, mail it must scan is put off with 451.`;
  }
}
