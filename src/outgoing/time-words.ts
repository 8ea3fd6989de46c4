// Times as an SMTP reply says them: plain ASCII, UTC.

const UNITS = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
] as const;

/** `34 seconds`, `2 minutes`, `3 hours`: rounded up, so that who waits so long has waited long enough. */
export function waitWords(ms: number): string {
  const seconds = Math.max(1000, ms);
  // From 90 seconds on in minutes, from 90 minutes on in hours, from 36 hours on in days.
  const [unitMs, unit] = UNITS.find(([size]) => seconds >= size * 1.5) ?? [1000, "second"];
  const count = Math.ceil(seconds / unitMs);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** `2026-11-21 14:05 UTC`: rounded up to the minute. */
export function untilWords(at: number): string {
  const text = new Date(Math.ceil(at / 60_000) * 60_000).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
}
