// Abuse reports to the abuse contacts of domains: at most one per identity and hour; what comes meanwhile is counted and told then.
// What is held back outlives a restart. Memory is bounded whatever identities strangers invent.
import type { Domain, MailAddress } from "../message/address.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { KeptNoticeState, NoticeState } from "../store/notice-state.ts";
import { type AbuseReport, composeAbuseReport } from "./abuse-report.ts";
import { fromKept, type HeldReport, toKept } from "./held-report.ts";
import type { Mailer } from "./mail-errand.ts";
import type { NoticePolicy } from "./notice-policy.ts";
import { whoWords } from "./notice-words.ts";
import type { StoppedMessage } from "./outgoing-notices.ts";

export interface AbuseReports {
  stopped(message: StoppedMessage): void;
  /** Sends what may be sent again and saves what changed. Call it every minute or so. */
  tick(): Promise<void>;
}

/** At most one report per identity in so long. */
const REPORT_EVERY_MS = 3_600_000;
/** Identities of one domain that are told apart within the hour; all others share one report. */
export const MAX_IDENTITIES = 50;
const MAX_ENTRIES = 2000;
/** Of a header that is held back; the first report of an hour has more. */
const MAX_HELD_HEADER = 16_384;
const MAX_HELD_RECIPIENTS = 100;
const STATE = "abuse-report";

/** Starts with what was held back before a restart. */
export async function createAbuseReports(parts: {
  readonly snapshot: () => NoticePolicy;
  readonly state: NoticeState;
  readonly mailer: Mailer;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<AbuseReports> {
  const { snapshot, state, mailer, clock, log } = parts;
  const held = new Map<string, HeldReport>();
  /** Keys whose kept form is not what is in memory. */
  const changed = new Set<string>();
  const perDomain = new Map<string, number>();
  for (const { key, value } of await state.load(STATE)) {
    const report = fromKept(value);
    if (report === null) changed.add(key);
    else remember(key, report);
  }

  function remember(key: string, report: HeldReport): void {
    held.set(key, report);
    perDomain.set(report.domain, (perDomain.get(report.domain) ?? 0) + 1);
    changed.add(key);
  }

  function forget(key: string, { domain }: HeldReport): void {
    held.delete(key);
    const left = (perDomain.get(domain) ?? 1) - 1;
    if (left > 0) perDomain.set(domain, left);
    else perDomain.delete(domain);
    changed.add(key);
  }

  function contactOf(domain: string): { readonly to: MailAddress; readonly timezone: string } | null {
    const settings = snapshot().domain(domain as Domain);
    const to = settings?.outgoing.abuse_contact ?? null;
    return settings === null || to === null ? null : { to, timezone: settings.outgoing.report.timezone };
  }

  function report(what: Pick<AbuseReport, "message" | "incidents" | "since" | "several">): void {
    const contact = contactOf(what.message.domain);
    if (contact === null) return;
    const words = `abuse report about ${what.several ? what.message.domain : whoWords(what.message)} to ${contact.to}`;
    mailer.hand(words, (stamp) => composeAbuseReport({ ...what, ...contact }, stamp));
  }

  /** The key of the identity; of the whole domain when it has too many. */
  function keyOf(message: StoppedMessage): { readonly key: string; readonly several: boolean } {
    const { domain, sender, identity } = message;
    const key = JSON.stringify([domain, sender, identity]);
    const crowded = held.size >= MAX_ENTRIES || (perDomain.get(domain) ?? 0) >= MAX_IDENTITIES;
    return held.has(key) || !crowded
      ? { key, several: false }
      : { key: JSON.stringify([domain]), several: true };
  }

  return {
    stopped(message) {
      if (contactOf(message.domain) === null) return;
      const now = clock.now();
      const { key, several } = keyOf(message);
      const entry = held.get(key);
      if (entry === undefined) {
        report({ message, incidents: 1, since: message.at, several: false });
        remember(key, { domain: message.domain, several, sentAt: now, count: 0, since: 0, message: null });
        return;
      }
      if (entry.count === 0) entry.since = message.at;
      entry.count++;
      entry.message = {
        ...message,
        recipients: message.recipients.slice(0, MAX_HELD_RECIPIENTS),
        header: message.header.slice(0, MAX_HELD_HEADER),
      };
      changed.add(key);
    },

    async tick() {
      const now = clock.now();
      for (const [key, entry] of held) {
        // A clock that was set back must not silence reports for longer than their hour.
        if (now - entry.sentAt < REPORT_EVERY_MS && now >= entry.sentAt) continue;
        const { count, since, message, several } = entry;
        if (message === null) {
          forget(key, entry);
          continue;
        }
        report({ message, incidents: count, since, several });
        Object.assign(entry, { sentAt: now, count: 0, message: null });
        changed.add(key);
      }
      const entries: readonly KeptNoticeState[] = [...changed].map((key) => {
        const entry = held.get(key);
        return { key, value: entry === undefined ? null : toKept(entry) };
      });
      changed.clear();
      try {
        await state.keep(STATE, entries);
      } catch (err) {
        for (const { key } of entries) changed.add(key);
        log.warn({ err }, "abuse reports that are held back are not saved; tried again");
      }
    },
  };
}
