// What an administrator must know now. Raised and lifted by name; shown by the console, /healthz and the log.
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export interface RaisedAlarm {
  readonly name: string;
  readonly since: number;
  readonly words: string;
}

export interface Alarms {
  /** Raises the alarm, or lifts it when `words` is null. Each change is logged once; where only figures changed, once a minute at most. */
  set(name: string, words: string | null): void;
  list(): readonly RaisedAlarm[];
}

/** So often at most new figures of a standing alarm are logged: some change with every message. */
const NEW_FIGURES_MS = 60_000;

/** Makes an empty list of alarms. */
export function createAlarms(clock: Clock, log: Log): Alarms {
  const raised = new Map<string, RaisedAlarm>();
  /** What was last logged of each standing one, without its figures. */
  const said = new Map<string, { readonly at: number; readonly words: string }>();
  return {
    set(name, words) {
      const before = raised.get(name);
      if (words === null) {
        if (before === undefined) return;
        raised.delete(name);
        said.delete(name);
        log.info({ alarm: name }, "alarm lifted");
        return;
      }
      if (before?.words === words) return;
      const now = clock.now();
      raised.set(name, { name, since: before?.since ?? now, words });
      const last = said.get(name);
      const plain = words.replace(/\d+/g, "#");
      if (last?.words === plain && now - last.at < NEW_FIGURES_MS) return;
      said.set(name, { at: now, words: plain });
      log.error({ alarm: name, words }, "alarm raised");
    },
    list: () => [...raised.values()],
  };
}
