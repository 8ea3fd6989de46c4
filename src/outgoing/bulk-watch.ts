// Bulk recognition of one identity: what it sends is compared with its own past, and who is slowed waits longer each time.
// Levels are `bulk-level.ts`'s; what a level does is the rules' business.
import type { MailAddress } from "../message/address.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { Finding } from "../rules/fact.ts";
import { type BulkJudgement, type BulkNumbers, judgeBulk } from "./bulk-level.ts";
import { EventLog } from "./event-log.ts";
import { dayTotals } from "./hour-book.ts";
import { KnownHashes, recipientHash } from "./known-hashes.ts";
import { DAY_MS, type Tally } from "./tally.ts";
import { MOST_KNOWN } from "./tally-state.ts";
import { waitWords } from "./time-words.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The longest of the growing waits 1, 2, 4 … minutes. */
const LONGEST_WAIT_MS = HOUR_MS;
/** After a wait so many new recipients pass before the next one: a person goes on nearly as usual, a program crawls. */
const ALLOWANCE = 20;
/** Who was not told to wait for so long begins anew. */
const CALM_MS = DAY_MS;
/** A day busier than usual moves the usual by this part of the difference, so that one bad day makes no habit. */
const RISE = 1 / 3;
/** What is usual fades by this factor a day: half in two weeks, a fifth after 30 days. */
const FADE = 0.95;

/** Whether somebody outside is known to the domain: wrote to it before. */
export type IsCorrespondent = (recipient: MailAddress, domain: string) => boolean;

/** How many of the recipients the identity never wrote to, nor they to its domain. */
export function countNew(
  tally: Tally,
  recipients: readonly MailAddress[],
  isCorrespondent: IsCorrespondent,
): number {
  let count = 0;
  for (const recipient of recipients)
    if (tally.known?.has(recipientHash(recipient)) !== true && !isCorrespondent(recipient, tally.domain))
      count++;
  return count;
}

/** Brings what is usual up to today. */
function habitAt(tally: Tally, now: number): NonNullable<Tally["habit"]> {
  const day = Math.floor(now / DAY_MS);
  tally.habit ??= { day, peak: 0, peakNew: 0, usual: 0, usualNew: 0 };
  const { habit } = tally;
  if (day > habit.day) {
    const days = Math.min(day - habit.day, 365);
    habit.usual = moved(habit.usual, habit.peak) * FADE ** days;
    habit.usualNew = moved(habit.usualNew, habit.peakNew) * FADE ** days;
    habit.peak = 0;
    habit.peakNew = 0;
  }
  // A clock put back begins the day anew and forgets nothing.
  habit.day = day;
  return habit;
}

function moved(usual: number, peak: number): number {
  return peak > usual ? usual + (peak - usual) * RISE : usual;
}

/** The numbers for a message with `count` recipients, `newNow` of them new. */
export function bulkNumbers(
  tally: Tally,
  { now, count, newNow }: { readonly now: number; readonly count: number; readonly newNow: number },
): BulkNumbers {
  const habit = tally.habit === null ? null : habitAt(tally, now);
  const { delivered, rejected, unknown } = dayTotals(tally.hours, now);
  return {
    recipientsHour: (tally.recipients?.sum(now, HOUR_MS) ?? 0) + count,
    newHour: (tally.fresh?.sum(now, HOUR_MS) ?? 0) + newNow,
    newNow,
    usualHour: habit?.usual ?? 0,
    usualNewHour: habit?.usualNew ?? 0,
    settled: delivered + rejected,
    unknown: Math.min(unknown, rejected),
    rejected,
  };
}

/** Whether it has waited as it was told and may send a few more. */
function hasWaited(tally: Tally, now: number): boolean {
  const { waiting } = tally;
  return waiting !== null && waiting.until <= now && waiting.allowance > 0 && now - waiting.toldAt < CALM_MS;
}

/** The facts `bulk.*`. */
export function bulkFindings(tally: Tally, numbers: BulkNumbers, now: number): readonly Finding[] {
  const judged = judgeBulk(numbers);
  const { level, reasons, unknownPercent, refusedPercent } = judged;
  const fact = (name: string, value: Finding["value"]): Finding => ({
    check: "bulk",
    fact: `bulk.${name}`,
    value,
  });
  return [
    { ...fact("level", level), words: bulkWords(judged) },
    fact("reasons", reasons),
    fact("waited", hasWaited(tally, now)),
    fact("recipients_hour", numbers.recipientsHour),
    fact("new_recipients_hour", numbers.newHour),
    fact("usual_hour", Math.round(numbers.usualHour)),
    fact("unknown_percent", unknownPercent),
    fact("refused_percent", refusedPercent),
  ];
}

const LEVELS = [
  "nothing unusual about the identity's mail",
  "unusual",
  "suspicious",
  "unsolicited bulk mail beyond doubt",
] as const;

function bulkWords({ level, reasons }: BulkJudgement): string {
  return level === 0 ? `Bulk: ${LEVELS[0]}` : `Bulk: ${LEVELS[level]}: ${reasons.join("; ")}`;
}

/** Until when messages with new recipients are put off; null: they are not. */
export function waitsUntil({ waiting }: Tally, now: number): number | null {
  if (waiting === null || waiting.until <= now) return null;
  // Longer than there are waits: the clock was put back.
  return waiting.until - now > LONGEST_WAIT_MS ? null : waiting.until;
}

/** The reply to a message with new recipients while the identity is to wait, else null. */
export function refuseWhileWaiting(tally: Tally, newNow: number, now: number): Reply | null {
  const { waiting } = tally;
  const until = waitsUntil(tally, now);
  if (waiting === null || until === null || newNow === 0) return null;
  const waitMs = until - now;
  return reply(
    450,
    "7.1",
    `Unusually many new recipients; wait ${waitWords(waitMs)}, then try again`,
    `"${tally.name}" of ${tally.sender} is slowed for its many new recipients (wait ${waiting.waits})`,
  );
}

/** A rule slowed the identity: it waits, longer each time, and then gets its allowance. */
export function beginWait(tally: Tally, now: number): void {
  const before = tally.waiting;
  const waits = before === null || now - before.toldAt >= CALM_MS ? 1 : before.waits + 1;
  const waitMs = Math.min(MINUTE_MS * 2 ** Math.min(waits - 1, 10), LONGEST_WAIT_MS);
  tally.waiting = { waits, until: now + waitMs, allowance: ALLOWANCE, toldAt: now };
  tally.changes++;
}

/** Counts a message that was taken; `learn` is false when it was held for what it looks like. Recipients are counted elsewhere. */
export function noteSent(
  tally: Tally,
  recipients: readonly MailAddress[],
  { now, newNow, learn }: { readonly now: number; readonly newNow: number; readonly learn: boolean },
): void {
  if (newNow > 0) {
    tally.fresh ??= new EventLog(HOUR_MS);
    tally.fresh.add(now, newNow);
    if (hasWaited(tally, now) && tally.waiting !== null) tally.waiting.allowance -= newNow;
  }
  if (!learn) return;
  const habit = habitAt(tally, now);
  habit.peak = Math.max(habit.peak, tally.recipients?.sum(now, HOUR_MS) ?? 0);
  if (newNow > 0) habit.peakNew = Math.max(habit.peakNew, tally.fresh?.sum(now, HOUR_MS) ?? 0);
  tally.known ??= new KnownHashes(MOST_KNOWN);
  for (const recipient of recipients) tally.known.add(recipientHash(recipient));
}

/** A person unlocked it: the hour and the waits begin anew. What it is known for stays. */
export function forgiveBulk(tally: Tally): void {
  tally.fresh = null;
  tally.waiting = null;
  tally.hours?.clear(["delivered", "rejected", "unknown"]);
  tally.changes++;
}
