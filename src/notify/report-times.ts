// When scheduled reports are due, in the time zone of the domain. An hour that daylight saving skips is the next one; one that comes
// twice counts once. No I/O.
import { Cron } from "croner";
import type { ReportPlan, Weekday } from "./notice-policy.ts";

const DAYS: Readonly<Record<Weekday, number>> = {
  sunday: 0,
  monday: 1,
  tuesday: 2,
  wednesday: 3,
  thursday: 4,
  friday: 5,
  saturday: 6,
};

/** Reading a time of a plan. */
export interface ReportTimes {
  /** The newest time at or before `nowMs` at which a report was due. */
  lastDue(nowMs: number): number | null;
}

/** The times of a plan; null when it is off. Throws when the time zone is none. */
export function reportTimes(plan: ReportPlan): ReportTimes | null {
  if (plan.every === "off") return null;
  const day = plan.every === "weekly" ? DAYS[plan.weekday] : "*";
  const cron = new Cron(`0 0 ${plan.hour} * * ${day}`, { timezone: plan.timezone, paused: true });
  return {
    lastDue(nowMs) {
      // croner looks at whole seconds before the time it is given.
      const runs = cron.previousRuns(2, new Date(nowMs + 1000));
      return runs.map((run) => run.getTime()).find((at) => at <= nowMs) ?? null;
    },
  };
}
