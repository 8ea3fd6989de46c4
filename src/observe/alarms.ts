// What an administrator must know now. Raised and lifted by name; shown by the console, /healthz and the log.
import type { AlarmName } from "./alarm-kinds.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export interface RaisedAlarm {
  readonly name: AlarmName;
  readonly since: number;
  readonly words: string;
}

/** What ends an alarm that nobody lifts. */
export interface AlarmEnd {
  /** false: the settings have no more what it is about. It ends, or is not raised at all. Asked when they have changed. */
  readonly isSet?: () => boolean;
  /** It tells what has happened, which nothing undoes: it ends so long after it was last raised. Milliseconds. */
  readonly forMs?: number;
}

/**
 * Raises the alarm, or lifts it when `words` is null. Each change is logged once; where only figures changed, once a minute at most, and
 * the last words of that minute when it is over: a figure may be part of a name or an address.
 */
export type OnAlarm = (name: AlarmName, words: string | null, end?: AlarmEnd) => void;

export interface Alarms {
  readonly set: OnAlarm;
  /** The settings have changed: ends what is about something they have no more. */
  review(): void;
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

/** How long what has happened is told: whoever looks once a working day sees it. */
export const TOLD_FOR_MS = 86_400_000;

interface Standing extends RaisedAlarm {
  readonly isSet: () => boolean;
  /** Cancels its end by time, where it has one. */
  readonly cancel: () => void;
}

/** Makes an empty list of alarms. */
export function createAlarms(clock: Clock, log: Log): Alarms {
  const raised = new Map<AlarmName, Standing>();
  const said = new Map<AlarmName, Said>();

  const say = (name: AlarmName, words: string): void => {
    said.get(name)?.cancel?.();
    said.set(name, { at: clock.now(), words, cancel: null });
    log.error({ alarm: name, words }, "alarm raised");
  };

  /** Says at the end of the minute what the words are then. */
  const sayLater = (name: AlarmName, last: Said, now: number): void => {
    // A clock that was set back makes no longer wait.
    last.cancel ??= clock.after(NEW_FIGURES_MS - Math.max(0, now - last.at), () => {
      last.cancel = null;
      const words = raised.get(name)?.words ?? last.words;
      if (words !== last.words) say(name, words);
    });
  };

  const lift = (name: AlarmName): void => {
    const before = raised.get(name);
    if (before === undefined) return;
    before.cancel();
    raised.delete(name);
    said.get(name)?.cancel?.();
    said.delete(name);
    log.info({ alarm: name }, "alarm lifted");
  };

  return {
    set(name, words, { isSet = () => true, forMs } = {}) {
      if (words === null || !isSet()) {
        lift(name);
        return;
      }
      const before = raised.get(name);
      before?.cancel();
      const now = clock.now();
      const cancel = forMs === undefined ? () => {} : clock.after(forMs, () => lift(name));
      raised.set(name, { name, since: before?.since ?? now, words, isSet, cancel });
      if (before?.words === words) return;
      const last = said.get(name);
      const held = last !== undefined && now - last.at < NEW_FIGURES_MS && plain(last.words) === plain(words);
      if (held) sayLater(name, last, now);
      else say(name, words);
    },
    review() {
      for (const { name, isSet } of [...raised.values()]) if (!isSet()) lift(name);
    },
    list: () => [...raised.values()].map(({ name, since, words }) => ({ name, since, words })),
  };
}

/** Words without their figures. */
function plain(words: string): string {
  return words.replace(/\d+/g, "#");
}
