// Alarms for stored settings that cannot be read, one for each; a setting that is saved anew or removed lifts its own.
import type { AlarmName } from "../observe/alarm-kinds.ts";
import type { Alarms } from "../observe/alarms.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Settings } from "../policy/settings.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { unreadAlarm, unreadWords } from "../policy/unread.ts";

/** Raises what there is now, and follows the changes of the settings. */
export function watchUnread(
  { alarms, metrics }: { readonly alarms: Pick<Alarms, "set">; readonly metrics: Pick<Metrics, "gauge"> },
  settings: Settings,
): void {
  let raised: ReadonlySet<AlarmName> = new Set();
  const tell = ({ unread }: PolicySnapshot): void => {
    const names = new Set(unread.items.map(unreadAlarm));
    for (const item of unread.items) alarms.set(unreadAlarm(item), unreadWords(item));
    for (const name of raised) if (!names.has(name)) alarms.set(name, null);
    raised = names;
  };
  metrics.gauge(
    "unread_settings",
    "Stored settings this version cannot read",
    () => settings.current().unread.items.length,
  );
  tell(settings.current());
  settings.onChange(tell);
}
