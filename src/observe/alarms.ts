// What an administrator must know now. Raised and lifted by name; shown by the console, /healthz and the log.
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export interface RaisedAlarm {
  readonly name: string;
  readonly since: number;
  readonly words: string;
}

export interface Alarms {
  /**
   * Raises the alarm, or lifts it when `words` is null. Each change is logged once; where only figures changed, once a minute at most, and
   * the last words of that minute when it is over: a figure may be part of a name or an address.
   */
  set(name: string, words: string | null): void;
  list(): readonly RaisedAlarm[];
}

/** So often at most new figures of a standing alarm are logged: some change with every message. */
const NEW_FIGURES_MS = 60_000;

/** What was last logged of a standing alarm. */
interface Said {
  readonly at: number;
  readonly words: string;
  /** Cancels the wait for the end of the minute, where other words wait for it. */
  cancel: (() => void) | null;
}

/** Makes an empty list of alarms. */
export function createAlarms(clock: Clock, log: Log): Alarms {
  const raised = new Map<string, RaisedAlarm>();
  const said = new Map<string, Said>();

  const say = (name: string, words: string): void => {
    said.get(name)?.cancel?.();
    said.set(name, { at: clock.now(), words, cancel: null });
    log.error({ alarm: name, words }, "alarm raised");
  };

  /** Says at the end of the minute what the words are then. */
  const sayLater = (name: string, last: Said, now: number): void => {
    // A clock that was set back makes no longer wait.
    last.cancel ??= clock.after(NEW_FIGURES_MS - Math.max(0, now - last.at), () => {
      last.cancel = null;
      const words = raised.get(name)?.words ?? last.words;
      if (words !== last.words) say(name, words);
    });
  };

  return {
    set(name, words) {
      const before = raised.get(name);
      const last = said.get(name);
      if (words === null) {
        if (before === undefined) return;
        raised.delete(name);
        said.delete(name);
        last?.cancel?.();
        log.info({ alarm: name }, "alarm lifted");
        return;
      }
      if (before?.words === words) return;
      const now = clock.now();
      raised.set(name, { name, since: before?.since ?? now, words });
      const held = last !== undefined && now - last.at < NEW_FIGURES_MS && plain(last.words) === plain(words);
      if (held) sayLater(name, last, now);
      else say(name, words);
    },
    list: () => [...raised.values()],
  };
}

/** Words without their figures. */
function plain(words: string): string {
  return words.replace(/\d+/g, "#");
}
