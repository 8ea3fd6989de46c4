// Patterns with `*` (any run of characters) and `?` (one character), matched without backtracking over the pattern.
import type { Parsed } from "../message/address.ts";
import { type SegmentSearch, segmentSearch } from "./glob-segment.ts";

const MAX_PATTERN_LENGTH = 200;
/** Longer values are only looked at this far: facts come from hostile mail. */
const MAX_SUBJECT_LENGTH = 4096;

/** A pattern taken apart at its stars: `a*b` is `["a", "b"]`. Lower case. */
export interface Glob {
  readonly pattern: string;
  readonly segments: readonly string[];
}

/** Takes a pattern apart. Letters match in either case. */
export function parseGlob(pattern: string): Parsed<Glob> {
  if (pattern === "" || pattern.length > MAX_PATTERN_LENGTH) {
    return {
      ok: false,
      reason: `a pattern has 1 to ${MAX_PATTERN_LENGTH} characters, this one has ${pattern.length}`,
    };
  }
  const lower = pattern.toLowerCase();
  return { ok: true, value: { pattern: lower, segments: lower.split("*") } };
}

function segmentAt(subject: string, segment: string, at: number): boolean {
  if (at < 0 || at + segment.length > subject.length) return false;
  for (let i = 0; i < segment.length; i++) {
    const wanted = segment.charCodeAt(i);
    if (wanted !== 0x3f && wanted !== subject.charCodeAt(at + i)) return false;
  }
  return true;
}

/** Of pieces with `?` between two stars; kept as long as their pattern. */
const searches = new WeakMap<Glob, readonly (SegmentSearch | null)[]>();

function searchesOf(glob: Glob): readonly (SegmentSearch | null)[] {
  let found = searches.get(glob);
  if (found === undefined) {
    found = glob.segments.map((segment) => (segment.includes("?") ? segmentSearch(segment) : null));
    searches.set(glob, found);
  }
  return found;
}

function findLiteral(text: string, segment: string, { from, end }: { from: number; end: number }): number {
  const at = text.indexOf(segment, from);
  return at >= 0 && at + segment.length <= end ? at : -1;
}

/** True when the whole of `subject` matches. Each segment is searched once, leftmost first: at most subject × segment / 32 steps. */
export function globMatches(glob: Glob, subject: string): boolean {
  const text = (
    subject.length > MAX_SUBJECT_LENGTH ? subject.slice(0, MAX_SUBJECT_LENGTH) : subject
  ).toLowerCase();
  const segments = glob.segments;
  const first = segments[0] ?? "";
  if (segments.length === 1) return text.length === first.length && segmentAt(text, first, 0);
  const last = segments[segments.length - 1] ?? "";
  const end = text.length - last.length;
  if (end < first.length || !segmentAt(text, first, 0) || !segmentAt(text, last, end)) return false;
  const prepared = searchesOf(glob);
  let from = first.length;
  for (let i = 1; i < segments.length - 1; i++) {
    const segment = segments[i] ?? "";
    const search = prepared[i] ?? null;
    const at = search === null ? findLiteral(text, segment, { from, end }) : search(text, from, end);
    if (at < 0) return false;
    from = at + segment.length;
  }
  return true;
}
