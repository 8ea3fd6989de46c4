// Points in time and spans as people read them, in the reader's own time zone. No I/O, no clock.

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** Is this a time zone the runtime knows? Zone names come from a cookie, so they are not trusted. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z0-9_+/-]{1,40}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

type Part = "year" | "month" | "day" | "hour" | "minute" | "second";

/** The calendar fields of a moment in a zone, two digits each (the year four). */
function partsIn(ms: number, zone: string): Record<Part, string> {
  let format = formats.get(zone);
  if (format === undefined) {
    const two = "2-digit";
    const options = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two } as const;
    format = new Intl.DateTimeFormat("en-GB", { ...options, hourCycle: "h23", timeZone: zone });
    if (formats.size > 200) formats.clear();
    formats.set(zone, format);
  }
  const fields: Record<Part, string> = { year: "", month: "", day: "", hour: "", minute: "", second: "" };
  for (const { type, value } of format.formatToParts(ms)) if (type in fields) fields[type as Part] = value;
  return fields;
}

/** `2026-11-21 14:03:22`. */
export function fullTime(ms: number, zone: string): string {
  const p = partsIn(ms, zone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As short as it stays clear: `14:03:22` today, `20 Nov 14:03` this year, `20 Nov 2025` before. */
export function shortTime(ms: number, zone: string, nowMs: number): string {
  const then = partsIn(ms, zone);
  const now = partsIn(nowMs, zone);
  const month = MONTHS[Number(then.month) - 1] ?? then.month;
  if (then.year !== now.year) return `${Number(then.day)} ${month} ${then.year}`;
  if (then.month !== now.month || then.day !== now.day)
    return `${Number(then.day)} ${month} ${then.hour}:${then.minute}`;
  return `${then.hour}:${then.minute}:${then.second}`;
}

/** `21 Nov`. */
export function dayOf(ms: number, zone: string): string {
  const p = partsIn(ms, zone);
  return `${Number(p.day)} ${MONTHS[Number(p.month) - 1] ?? p.month}`;
}

/** `14:00`. */
export function clockOf(ms: number, zone: string): string {
  const p = partsIn(ms, zone);
  return `${p.hour}:${p.minute}`;
}

/** A span in its two largest units: `2 d 4 h`, `3 min`, `0.4 s`. */
export function span(ms: number): string {
  const length = Math.max(0, ms);
  if (length < 1000) return `${(length / 1000).toFixed(length < 100 ? 2 : 1)} s`;
  if (length < MINUTE_MS) return `${Math.round(length / 1000)} s`;
  if (length < HOUR_MS) return `${Math.round(length / MINUTE_MS)} min`;
  const [unit, next, name, nextName] =
    length < DAY_MS ? ([HOUR_MS, MINUTE_MS, "h", "min"] as const) : ([DAY_MS, HOUR_MS, "d", "h"] as const);
  const whole = Math.floor(length / unit);
  const rest = Math.floor((length % unit) / next);
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${nextName}`;
}

/** `3 min ago`, `in 5 min`, `just now`. */
export function relative(ms: number, nowMs: number): string {
  const distance = ms - nowMs;
  if (Math.abs(distance) < 5000) return distance > 0 ? "now" : "just now";
  return distance > 0 ? `in ${span(distance)}` : `${span(-distance)} ago`;
}

/** What a `datetime-local` field holds for a moment: `2026-11-21T14:03`. */
export function toLocalField(ms: number, zone: string): string {
  return fullTime(ms, zone).replace(" ", "T").slice(0, 16);
}

/** Reads a `datetime-local` field in the reader's zone; null when it is not one. */
export function fromLocalField(text: string, zone: string): number | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(text);
  if (match === null) return null;
  const wanted = Date.parse(`${match[0]}:00Z`);
  if (Number.isNaN(wanted)) return null;
  // The offset at the moment sought is found in two steps, which is right but for the hour a clock change repeats.
  let moment = wanted;
  for (let i = 0; i < 2; i++) {
    moment += wanted - Date.parse(`${fullTime(moment, zone).replace(" ", "T")}Z`);
  }
  return moment;
}
