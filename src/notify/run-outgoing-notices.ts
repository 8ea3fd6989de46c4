// What people are told about outgoing mail: puts alerts, lock notices, abuse reports, scheduled reports and password links together.
// Nothing here makes mail wait: whatever is told is handed to a courier, and what cannot be told raises an alarm.
import type { PostWebHook } from "../hooks/post-web-hook.ts";
import { addressKey, type Domain, domainOf, parseAddress } from "../message/address.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { DatabaseReader, DatabaseWriter } from "../store/database.ts";
import { outgoingQuarantineSince } from "../store/notice-report-items.ts";
import { createNoticeState } from "../store/notice-state.ts";
import type { OneTimeLinks } from "../store/one-time-links.ts";
import { undeliverableBetween, undeliverableCounts } from "../store/quarantine-undeliverable.ts";
import { createAllowance } from "./allowance.ts";
import { createCourier } from "./courier.ts";
import { LOCK_NOTICE, lockNotice } from "./lock-notice.ts";
import { createMailer, type SendMail } from "./mail-errand.ts";
import type { NoticePolicy } from "./notice-policy.ts";
import type { LockNews, OutgoingNotices } from "./outgoing-notices.ts";
import { composeMail } from "./own-mail.ts";
import { passwordLinkText } from "./password-link.ts";
import { oneLine } from "./reply-words.ts";
import { createAbuseReports } from "./run-abuse-reports.ts";
import { createAlerts } from "./run-alerts.ts";
import { createReports, type ReportItems } from "./run-reports.ts";
import { createUndeliverableNews } from "./run-undeliverable.ts";

export interface OutgoingNoticesParts {
  /** The queue's. */
  readonly send: SendMail;
  readonly links: Pick<OneTimeLinks, "create">;
  readonly snapshot: () => NoticePolicy;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
  /** Where links in mails lead, without a slash at the end. */
  readonly consoleUrl: () => string;
  readonly postWebHook: PostWebHook;
  /** gatepost.db: what notices remember. */
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
  /** Reads a duration of the settings (`1h`) to milliseconds. */
  readonly durationMs: (text: string) => number;
  /** Left out: the quarantine rows of the domain's senders. */
  readonly reportItems?: ReportItems;
  /** Raises (words) or lifts (null) an alarm. */
  readonly onAlarm: OnAlarm;
}

const HOUR_MS = 3_600_000;
/** Notices of locks: who is locked again and again knows it by then, and whoever invents identities fills nobody's mailbox. */
const LOCK_NOTICES = { most: 3, windowMs: 24 * HOUR_MS };
const LOCK_NOTICES_OF_DOMAIN = { most: 50, windowMs: HOUR_MS };

const FIRST_TICK_MS = 5000;
const TICK_MS = 30_000;
const CLOSE_GRACE_MS = 3000;

/** Starts it; what was held back before a restart is told at its time. */
export async function createOutgoingNotices(parts: OutgoingNoticesParts): Promise<OutgoingNotices> {
  const { send, snapshot, clock, log, hostname, db, reader } = parts;
  const consoleUrl = () => parts.consoleUrl().replace(/\/+$/, "");
  const state = createNoticeState(db, reader);
  const lockNotices = createAllowance(clock, LOCK_NOTICES);
  const lockNoticesOf = createAllowance(clock, LOCK_NOTICES_OF_DOMAIN);
  const courier = createCourier(parts);
  const mailer = createMailer({ send, courier, clock, hostname });
  const reportItems: ReportItems =
    parts.reportItems ?? ((domain, range) => outgoingQuarantineSince(reader, domain, range));
  const shared = { ...parts, consoleUrl, state, courier, mailer, reportItems };
  const alerts = await createAlerts(shared);
  const abuse = await createAbuseReports(shared);
  const reports = await createReports(shared);
  const undeliverable = await createUndeliverableNews({
    ...shared,
    alerts,
    items: {
      counts: (range) => undeliverableCounts(reader, range),
      between: (domains, range) => undeliverableBetween(reader, domains, range),
    },
  });

  /** Tells the user, if it is one of ours: an identity out of a header may name anybody, who never sent us anything. */
  function tellUser(news: LockNews): void {
    const current = snapshot();
    const address = parseAddress(news.user ?? "");
    if (news.template === "none" || !address.ok || current.domain(domainOf(address.value)) === null) return;
    // Of the sender's own domain only: a header may name people of other domains here, who have nothing to do with it.
    if (domainOf(address.value) !== news.domain) return;
    if (lockNotices.take(addressKey(address.value)) !== null || lockNoticesOf.take(news.domain) !== null) {
      log.warn(
        { user: address.value, domain: news.domain },
        "a lock is not told to its user: too many notices",
      );
      return;
    }
    const own = current.policy.template.find(({ name }) => name === news.template);
    if (own === undefined && news.template !== LOCK_NOTICE.name) {
      log.warn(
        { template: news.template },
        "there is no such template; the lock notice is the product's own",
      );
    }
    const domain = current.domain(news.domain as Domain);
    const to = address.value;
    const { subject, text } = lockNotice(own ?? LOCK_NOTICE, news, {
      user: to,
      hostname,
      contact: domain?.outgoing.alerts.mail[0] ?? current.policy.settings.postmaster,
      timezone: domain?.outgoing.report.timezone ?? "UTC",
    });
    const words = `lock notice to ${to}`;
    mailer.hand(words, (stamp) => composeMail({ to, subject, text, words }, stamp));
  }

  let stopped = false;
  let ticking = Promise.resolve();
  const tick = async (): Promise<void> => {
    try {
      await abuse.tick();
      await reports.tick();
      await undeliverable.tick();
    } catch (err) {
      log.error({ err }, "notices that are due cannot be told; tried again");
    }
    if (!stopped) cancel = clock.after(TICK_MS, begin);
  };
  const begin = (): void => {
    ticking = tick();
  };
  let cancel = clock.after(FIRST_TICK_MS, begin);

  /** A mistake here must not reach the session that tells of its message. */
  const safely = (what: string, run: () => void): void => {
    try {
      run();
    } catch (err) {
      log.error({ err, what }, "nobody could be told");
    }
  };

  return {
    stopped(message) {
      safely("stopped message", () => abuse.stopped(message));
      safely("stopped message", () => alerts.stopped(message));
    },
    locked(news) {
      safely("lock", () => alerts.locked(news));
      safely("lock", () => tellUser(news));
    },
    undeliverable() {
      undeliverable.filed();
    },
    test: (domain, channel) => alerts.test(domain, channel),
    async passwordLink(address, url) {
      const to = parseAddress(address);
      if (!to.ok) throw new Error(to.reason);
      const { subject, text } = passwordLinkText({ address: to.value, url, hostname });
      await mailer.send({ to: to.value, subject, text, words: `password link to ${oneLine(address, 320)}` });
    },
    async close() {
      stopped = true;
      cancel();
      alerts.close();
      await ticking;
      // What was held back since the last tick.
      await abuse.tick();
      await courier.close(CLOSE_GRACE_MS);
    },
  };
}
