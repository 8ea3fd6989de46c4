// How much the mail of one identity looks like unsolicited bulk (O12): numbers in, a level and reasons in words out. Pure.

/** What is known of the identity when a message of it is judged. */
export interface BulkNumbers {
  /** Of the last hour, the message included. */
  readonly recipientsHour: number;
  /** Those of them it never wrote to, nor they to its domain. */
  readonly newHour: number;
  /** New ones of this message. */
  readonly newNow: number;
  /** Recipients and new recipients of a busy hour in its own past. */
  readonly usualHour: number;
  readonly usualNewHour: number;
  /** Recipients of the last day whose fate is known, and how many of them do not exist, or were refused for whatever reason. */
  readonly settled: number;
  readonly unknown: number;
  readonly rejected: number;
}

export type BulkLevel = 0 | 1 | 2 | 3;

export interface BulkJudgement {
  readonly level: BulkLevel;
  /** Why, for people; empty at level 0. */
  readonly reasons: readonly string[];
  readonly unknownPercent: number;
  readonly refusedPercent: number;
}

/** When one level is reached: by new recipients in an hour, by its own habit, or by what the far side says. */
interface Step {
  readonly level: 1 | 2 | 3;
  /** New recipients in an hour. A person writes to a few; a list of customers is sent by few identities, and mostly to known ones. */
  readonly newHour: number;
  /** An identity that has its ways gets so many times the new recipients of its own busy hours, when that is more. */
  readonly usualTimes: number;
  /** Shares of the day's recipients, from so many on: two wrong addresses among four say nothing. null: not looked at. */
  readonly unknown: { readonly percent: number; readonly from: number } | null;
  readonly refused: { readonly percent: number; readonly from: number } | null;
}

/**
 * Highest first. 100 an hour: more new people than anybody writes to by hand; slowing costs a legitimate sender minutes and a
 * hacked account most of its speed. 300: no person; held mail can still be released. 1,000: a mailing to strangers; stopped before
 * block lists notice. Bought and guessed lists show 20–60 % unknown recipients, kept ones under 5 %; far sides that refuse half of
 * the mail have block-listed it.
 */
const STEPS: readonly Step[] = [
  { level: 3, newHour: 1000, usualTimes: 6, unknown: { percent: 50, from: 50 }, refused: null },
  {
    level: 2,
    newHour: 300,
    usualTimes: 3,
    unknown: { percent: 30, from: 20 },
    refused: { percent: 50, from: 50 },
  },
  {
    level: 1,
    newHour: 100,
    usualTimes: 1.5,
    unknown: { percent: 20, from: 20 },
    refused: { percent: 30, from: 30 },
  },
];

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((100 * part) / whole);
}

/** Judges. A message that goes to known correspondents alone is level 0 at any volume. */
export function judgeBulk(numbers: BulkNumbers): BulkJudgement {
  const { newHour, newNow, usualNewHour, settled, unknown, rejected } = numbers;
  const unknownPercent = percent(unknown, settled);
  const refusedPercent = percent(rejected, settled);
  const shares = { unknownPercent, refusedPercent };
  if (newNow === 0) return { level: 0, reasons: [], ...shares };
  const reached = (step: Step): readonly string[] => {
    const reasons: string[] = [];
    if (newHour >= Math.max(step.newHour, step.usualTimes * usualNewHour)) {
      const usual = Math.round(usualNewHour);
      reasons.push(
        `${newHour} new recipients within an hour; ${usual === 0 ? "it has no busy hours yet" : `its busy hours have ${usual}`}`,
      );
    }
    if (step.unknown !== null && settled >= step.unknown.from && unknownPercent >= step.unknown.percent)
      reasons.push(`${unknownPercent} % of the day's ${settled} recipients do not exist`);
    if (step.refused !== null && settled >= step.refused.from && refusedPercent >= step.refused.percent)
      reasons.push(`${refusedPercent} % of the day's ${settled} recipients were refused by the far side`);
    return reasons;
  };
  for (const step of STEPS) {
    const reasons = reached(step);
    if (reasons.length > 0) return { level: step.level, reasons, ...shares };
  }
  return { level: 0, reasons: [], ...shares };
}
