// Durations as people write them: 30s, 10m, 4h, 5d.
import type { Parsed } from "../message/address.ts";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses a duration to milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  const match = /^(\d{1,9})\s*([smhd])$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : UNIT_MS[match[2]];
  if (match?.[1] === undefined || unit === undefined) {
    return {
      ok: false,
      reason: `"${text.slice(0, 40)}" is not a duration; write it like 30s, 10m, 4h or 5d`,
    };
  }
  return { ok: true, value: Number(match[1]) * unit };
}

/** A duration that the schema has already accepted, in milliseconds. */
export function durationMs(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}
