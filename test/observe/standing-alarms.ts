// The gateway's own alarms for tests of those who raise them: what stands, and the ends that were told.
import { createAlarms, type OnAlarm } from "../../src/observe/alarms.ts";
import { silentLog } from "../../src/observe/log.ts";

export interface StandingAlarms {
  readonly onAlarm: OnAlarm;
  /** The settings were changed. */
  review(): void;
  /** Words by name. */
  standing(): ReadonlyMap<string, string>;
  /** Names whose end was told, in order. */
  readonly ended: readonly string[];
}

/** Starts with none. They end by no time of their own: such a timer would be taken for one of those who raise them. */
export function standingAlarms(now: () => number): StandingAlarms {
  const ended: string[] = [];
  const log = { ...silentLog, info: (fields: object) => void ended.push(Reflect.get(fields, "alarm")) };
  const alarms = createAlarms({ now, after: () => () => {} }, log);
  return {
    onAlarm: alarms.set,
    review: alarms.review,
    standing: () => new Map(alarms.list().map(({ name, words }) => [name, words])),
    ended,
  };
}
