// What an administrator must know now. Raised and lifted by name; shown by the console, /healthz and the log.
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export interface RaisedAlarm {
  readonly name: string;
  readonly since: number;
  readonly words: string;
}

export interface Alarms {
  /** Raises the alarm, or lifts it when `words` is null. Each change is logged once. */
  set(name: string, words: string | null): void;
  list(): readonly RaisedAlarm[];
}

/** Makes an empty list of alarms. */
export function createAlarms(clock: Clock, log: Log): Alarms {
  const raised = new Map<string, RaisedAlarm>();
  return {
    set(name, words) {
      const before = raised.get(name);
      if (words === null) {
        if (before === undefined) return;
        raised.delete(name);
        log.info({ alarm: name }, "alarm lifted");
        return;
      }
      if (before?.words === words) return;
      raised.set(name, { name, since: before?.since ?? clock.now(), words });
      log.error({ alarm: name, words }, "alarm raised");
    },
    list: () => [...raised.values()],
  };
}
