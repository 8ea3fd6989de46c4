// The alarm that stands while there is undeliverable mail nobody has looked at.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import { type KeptLook, keepLooking } from "../observe/keep-looking.ts";
import type { Log } from "../observe/log.ts";
import type { UnseenUndeliverable } from "../store/quarantine-undeliverable.ts";

/** Its name. */
export const UNDELIVERABLE_ALARM = "undeliverable";

// What changes without a word to us (another process restored a backup, a look that failed) is seen so late.
const EVERY_MS = 60_000;
// A look counts all of them: a flood asks for one a second, not for one a message.
const REST_MS = 1000;

/** Starts with a look; `look` is for when something was filed, looked at, released or deleted. */
export function watchUndeliverable(parts: {
  readonly unseen: () => Promise<UnseenUndeliverable>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
}): KeptLook {
  const { unseen, clock, log, onAlarm } = parts;
  return keepLooking({
    find: unseen,
    tell: (found) => onAlarm(UNDELIVERABLE_ALARM, alarmWords(found)),
    onFailure: (err) => log.warn({ err }, "undeliverable mail cannot be counted; tried again in a minute"),
    clock,
    everyMs: EVERY_MS,
    restMs: REST_MS,
  });
}

function alarmWords({ items, first }: UnseenUndeliverable): string | null {
  if (first === null) return null;
  const said = first.server === "" ? first.answer : `${first.server} said “${first.answer}”`;
  const about = `for ${first.recipient}: ${said}`;
  return items === 1
    ? `A message could not be delivered and is kept in the quarantine; nobody has looked at it yet. It is ${about}`
    : `${items} messages could not be delivered and are kept in the quarantine; nobody has looked at them yet. The oldest is ${about}`;
}
