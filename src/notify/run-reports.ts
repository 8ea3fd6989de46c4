// Scheduled reports of the outgoing quarantine: each domain at its hour; one that was missed while the gateway was down is sent
// once when it runs again, if it is less than a day late. An empty report is not sent.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { NoticeState } from "../store/notice-state.ts";
import type { Mailer } from "./mail-errand.ts";
import type { NoticeDomain, NoticePolicy } from "./notice-policy.ts";
import { type ReportItem, reportText } from "./quarantine-report.ts";
import { type ReportTimes, reportTimes } from "./report-times.ts";

/** What was quarantined of a domain's mail after `since` and until `until`, milliseconds UTC: the newest items, oldest first. */
export type ReportItems = (
  domain: string,
  range: { readonly since: number; readonly until: number },
) => Promise<{ readonly items: readonly ReportItem[]; readonly total: number }>;

export interface Reports {
  /** Sends what is due. Call it every minute or so, never twice at a time. */
  tick(): Promise<void>;
}

const STATE = "report";
const ALARM = "reports";
const DAY_MS = 86_400_000;
/** All time zones are whole quarters of an hour from UTC, so nothing falls due in between. */
const QUARTER_MS = 900_000;

interface Schedule {
  readonly plan: string;
  readonly times: ReportTimes | null;
  /** The quarter of an hour that was looked at. */
  quarter: number;
}

/** Starts with when each report was last made. */
export async function createReports(parts: {
  readonly snapshot: () => NoticePolicy;
  readonly reportItems: ReportItems;
  readonly state: NoticeState;
  readonly mailer: Mailer;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
  readonly consoleUrl: () => string;
  readonly onAlarm: OnAlarm;
}): Promise<Reports> {
  const { snapshot, reportItems, state, mailer, clock, log, onAlarm } = parts;
  /** Until when each domain's quarantine was reported. */
  const reported = new Map<string, number>();
  const schedules = new Map<string, Schedule>();
  for (const { key, value } of await state.load(STATE)) {
    if (typeof value === "number") reported.set(key, value);
  }

  async function setReported(domain: string, at: number | null): Promise<void> {
    await state.keep(STATE, [{ key: domain, value: at }]);
    if (at === null) reported.delete(domain);
    else reported.set(domain, at);
  }

  function scheduleOf({ name, outgoing: { report } }: NoticeDomain): Schedule {
    const plan = `${report.every} ${report.hour} ${report.weekday} ${report.timezone}`;
    const known = schedules.get(name);
    if (known?.plan === plan) return known;
    const fresh: Schedule = { plan, times: reportTimes(report), quarter: -1 };
    schedules.set(name, fresh);
    return fresh;
  }

  async function look(domain: NoticeDomain, now: number): Promise<void> {
    const schedule = scheduleOf(domain);
    const quarter = Math.floor(now / QUARTER_MS);
    if (schedule.times === null || schedule.quarter === quarter) return;
    const since = reported.get(domain.name);
    if (since === undefined || since > now) {
      // Switched on just now, or the clock was put back: the next report is at the next hour it asks for.
      await setReported(domain.name, now);
    } else {
      const due = schedule.times.lastDue(now);
      if (due !== null && due > since && now - due < DAY_MS) await send(domain, since, now);
    }
    schedule.quarter = quarter;
  }

  async function send(domain: NoticeDomain, since: number, until: number): Promise<void> {
    const { name, outgoing } = domain;
    const to = outgoing.report.to.length > 0 ? outgoing.report.to : outgoing.alerts.mail;
    const { items, total } = await reportItems(name, { since, until });
    if (total > 0) {
      const { timezone } = outgoing.report;
      const setting = { hostname: parts.hostname, consoleUrl: parts.consoleUrl(), timezone };
      const { subject, text } = reportText({ domain: name, since, items, total }, setting);
      for (const address of to) {
        const words = `report of the outgoing quarantine of ${name} to ${address}`;
        const id = await mailer.send({ to: address, subject, text, words });
        log.info({ domain: name, to: address, items: total, id }, "report of the outgoing quarantine queued");
      }
    }
    // After the mails are kept: a crash in between sends the report twice rather than never.
    await setReported(name, until);
  }

  return {
    async tick() {
      const now = clock.now();
      const wanted = snapshot().policy.domain.filter(
        ({ enabled, outgoing }) => enabled && outgoing.report.every !== "off",
      );
      const names = new Set<string>(wanted.map(({ name }) => name));
      const failures: string[] = [];
      for (const domain of wanted) {
        try {
          await look(domain, now);
        } catch (err) {
          log.error({ err, domain: domain.name }, "a report is not sent; tried again in a minute");
          failures.push(`${domain.name}: ${err instanceof Error ? err.message : String(err)}`);
        }
      }
      for (const name of [...reported.keys(), ...schedules.keys()]) {
        if (names.has(name)) continue;
        schedules.delete(name);
        // Switched on again later, it begins anew.
        if (reported.has(name)) await setReported(name, null).catch(() => undefined);
      }
      const [first] = failures;
      onAlarm(
        ALARM,
        first === undefined ? null : `The report of the outgoing quarantine cannot be sent. ${first}`,
      );
    },
  };
}
