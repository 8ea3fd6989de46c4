// The alarm that stands while there is undeliverable mail nobody has looked at.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { UnseenUndeliverable } from "../store/quarantine-undeliverable.ts";

/** Its name: it asks for a person, and says nothing against the gateway's own health. */
export const UNDELIVERABLE_ALARM = "undeliverable";

// What changes without a word to us (another process restored a backup, a look that failed) is seen so late.
const EVERY_MS = 60_000;
// A look counts all of them: a flood asks for one a second, not for one a message.
const REST_MS = 1000;

export interface UndeliverableWatch {
  /** Something was filed, looked at, released or deleted. Returns at once; many calls give one look a second. */
  look(): void;
  stop(): void;
}

/** Starts with a look. */
export function watchUndeliverable(parts: {
  readonly unseen: () => Promise<UnseenUndeliverable>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: (name: string, words: string | null) => void;
}): UndeliverableWatch {
  const { unseen, clock, log, onAlarm } = parts;
  /** A look is under way, or was a moment ago. */
  let resting = false;
  let again = false;
  let stopped = false;
  let cancel = (): void => {};

  async function run(): Promise<void> {
    resting = true;
    again = false;
    cancel();
    try {
      const found = await unseen();
      if (!stopped) onAlarm(UNDELIVERABLE_ALARM, alarmWords(found));
    } catch (err) {
      if (!stopped) log.warn({ err }, "undeliverable mail cannot be counted; tried again in a minute");
    }
    if (!stopped) cancel = clock.after(REST_MS, rested);
  }

  function rested(): void {
    resting = false;
    if (again) void run();
    else cancel = clock.after(EVERY_MS - REST_MS, look);
  }

  function look(): void {
    if (resting) again = true;
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

function alarmWords({ items, first }: UnseenUndeliverable): string | null {
  if (first === null) return null;
  const said = first.server === "" ? first.answer : `${first.server} said “${first.answer}”`;
  const about = `for ${first.recipient}: ${said}`;
  return items === 1
    ? `A message could not be delivered and is kept in the quarantine; nobody has looked at it yet. It is ${about}`
    : `${items} messages could not be delivered and are kept in the quarantine; nobody has looked at them yet. The oldest is ${about}`;
}
