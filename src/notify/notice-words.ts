// Small words in notices: times, durations, who is meant.
import { oneLine } from "./reply-words.ts";

const MINUTE = 60_000;
const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [MINUTE, "minute"],
  [1000, "second"],
];

/** A time for people in a time zone: `2026-11-21 14:00 Europe/Vienna`. An unknown zone is UTC. */
export function timeIn(zone: string, atMs: number): string {
  const style = { dateStyle: "short", timeStyle: "short", hourCycle: "h23" } as const;
  try {
    const written = new Intl.DateTimeFormat("sv-SE", { ...style, timeZone: zone }).format(atMs);
    return `${written} ${zone}`;
  } catch {
    return `${new Date(atMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  }
}

/** A duration in its largest whole unit: `1 hour`, `90 minutes`. */
export function durationWords(ms: number): string {
  const [unit, name] = UNITS.find(([size]) => ms >= size && ms % size === 0) ?? [1000, "second"];
  return plural(Math.max(1, Math.round(ms / unit)), name);
}

/** `1 message`, `5 messages`. */
export function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** Who sent it: the identity with its sender, or the sender alone. One safe line. */
export function whoWords({
  sender,
  identity,
}: {
  readonly sender: string;
  readonly identity: string | null;
}): string {
  const by = oneLine(sender, 260);
  return identity === null || identity === sender ? by : `${oneLine(identity, 200)} (sender ${by})`;
}
