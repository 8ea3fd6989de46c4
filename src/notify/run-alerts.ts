// Alerts to the administrators of a domain: when thresholds are reached and when somebody is locked, by mail, web hook and short message.
import type { PostWebHook, WebHookRequest } from "../hooks/post-web-hook.ts";
import type { Domain } from "../message/address.ts";
import type { AlarmName } from "../observe/alarm-kinds.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { NoticeState } from "../store/notice-state.ts";
import type { OneTimeLinks } from "../store/one-time-links.ts";
import { type Alert, gatheredAlert, lockAlert, thresholdAlert, trialAlert } from "./alert.ts";
import { shortMessageRequest, webHookRequest } from "./alert-channels.ts";
import { createAllowance } from "./allowance.ts";
import type { Courier, Handed } from "./courier.ts";
import { createLockFlood, MAX_LOCK_ALERTS } from "./lock-flood.ts";
import type { Mailer } from "./mail-errand.ts";
import type { AlertContacts, NoticeDomain, NoticePolicy } from "./notice-policy.ts";
import { durationWords, timeIn } from "./notice-words.ts";
import type { AlertChannel, LockNews, StoppedMessage } from "./outgoing-notices.ts";
import { composeMail } from "./own-mail.ts";
import { oneLine } from "./reply-words.ts";
import { createThresholds } from "./thresholds.ts";

/** An unlock link is good for a week: an alert may wait out a holiday. */
const UNLOCK_LINK_MS = 7 * 86_400_000;
const STATE = "alert";
const MINUTE_MS = 60_000;
/** Trial alerts of one domain, and of all of them: a button makes mail, so it must not make much. */
const TRIALS = { most: 5, windowMs: 10 * MINUTE_MS };
const ALL_TRIALS = { most: 30, windowMs: 10 * MINUTE_MS };

export interface AlertParts {
  readonly snapshot: () => NoticePolicy;
  readonly links: Pick<OneTimeLinks, "create">;
  readonly state: NoticeState;
  readonly mailer: Mailer;
  readonly courier: Courier;
  readonly postWebHook: PostWebHook;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
  /** Without a slash at the end. */
  readonly consoleUrl: () => string;
  /** Reads a duration of the settings. */
  readonly durationMs: (text: string) => number;
  /** Raises (words) or lifts (null) an alarm. */
  readonly onAlarm: OnAlarm;
}

export interface Alerts {
  /** Hands an alert to every contact of a domain, or to the postmaster. `alert` is made at each try until it can be made. */
  tell(domain: string, words: string, alert: () => Alert | Promise<Alert>): void;
  stopped(message: StoppedMessage): void;
  locked(news: LockNews): void;
  test(domain: string, channel: AlertChannel): Promise<{ readonly ok: boolean; readonly words: string }>;
  close(): void;
}

/** The way of a domain's web hook or short messages, also the name of its alarm. */
function wayOf(channel: "webhook" | "sms", domain: string): AlarmName {
  return channel === "webhook" ? `web hook of ${domain}` : `short message gateway of ${domain}`;
}

/** Whom alerts about a domain go to; the postmaster of the settings when it names nobody. */
function contactsOf(domain: NoticeDomain | null, snapshot: NoticePolicy): Omit<AlertContacts, "thresholds"> {
  const alerts = domain?.outgoing.alerts;
  if (alerts !== undefined && (alerts.mail.length > 0 || alerts.webhook !== null || alerts.sms !== null)) {
    return alerts;
  }
  const { postmaster } = snapshot.policy.settings;
  return { mail: postmaster === null ? [] : [postmaster], webhook: null, sms: null };
}

/** Starts alerting. Remembers what was alerted before a restart. */
export async function createAlerts(parts: AlertParts): Promise<Alerts> {
  const { snapshot, links, state, mailer, courier, clock, log } = parts;
  const trials = createAllowance(clock, TRIALS);
  const allTrials = createAllowance(clock, ALL_TRIALS);
  const quietUntil = new Map<string, number>();
  for (const { key, value } of await state.load(STATE)) {
    if (typeof value === "number") quietUntil.set(key, value);
  }

  const setting = (domain: NoticeDomain | null) => ({
    hostname: parts.hostname,
    consoleUrl: parts.consoleUrl(),
    timezone: domain?.outgoing.report.timezone ?? "UTC",
  });
  const domainOf = (name: string) => snapshot().domain(name as Domain);

  async function request(make: () => WebHookRequest): Promise<Handed> {
    const { ok, words, retry } = await parts.postWebHook(make());
    return ok ? { ok, words } : { ok, words, retry };
  }

  /** Each try goes where the settings say by then; an alarm tells of the place that was tried last, while they have it. */
  function handTo<Channel extends "webhook" | "sms">(
    { domain, channel }: { readonly domain: string; readonly channel: Channel },
    words: string,
    post: (to: NonNullable<AlertContacts[Channel]>) => Promise<Handed>,
  ): void {
    const present = () => contactsOf(domainOf(domain), snapshot())[channel];
    let tried = present();
    courier.hand({
      way: wayOf(channel, domain),
      words,
      end: { isSet: () => tried !== null && Bun.deepEquals(tried, present()) },
      async run() {
        tried = present();
        if (tried === null) return { ok: false, words: "it is set no more", retry: false };
        return post(tried);
      },
    });
  }

  /** Hands the alert to every contact. `alert` is made at each try until it can be made. */
  function tell(name: string, words: string, alert: () => Alert | Promise<Alert>): void {
    const { mail, webhook, sms } = contactsOf(domainOf(name), snapshot());
    const stamp = { id: Bun.randomUUIDv7(), at: clock.now(), hostname: parts.hostname, domain: name };
    if (mail.length === 0 && webhook === null && sms === null) {
      log.warn({ domain: name, alert: words }, "nobody is named who could be alerted; set outgoing.alerts");
    }
    for (const to of mail) {
      mailer.hand(`${words} to ${to}`, async (own) => {
        const { subject, text } = await alert();
        return composeMail({ to, subject, text, words }, own);
      });
    }
    if (webhook !== null)
      handTo({ domain: name, channel: "webhook" }, words, async (hook) => {
        const made = await alert();
        return request(() => webHookRequest(hook, made, { ...stamp, nowMs: clock.now() }));
      });
    if (sms !== null)
      handTo({ domain: name, channel: "sms" }, words, async (gateway) => {
        const made = await alert();
        return request(() => shortMessageRequest(gateway, made));
      });
  }

  const thresholds = createThresholds({
    clock,
    quietUntil: (domain, kind) => quietUntil.get(`${kind} ${domain}`) ?? 0,
    onReached: (reached) => {
      const { domain, kind } = reached;
      tell(domain, `alert about ${kind} from ${domain}`, () =>
        thresholdAlert(reached, setting(domainOf(domain))),
      );
      const key = `${kind} ${domain}`;
      quietUntil.set(key, reached.quietUntil);
      // Lost with a crash: then the alert may come once more.
      state.keep(STATE, [{ key, value: reached.quietUntil }]).catch((err: unknown) => {
        log.warn({ err, domain, kind }, "an alert is not remembered; after a restart it may come again");
      });
    },
  });

  const flood = await createLockFlood({
    clock,
    log,
    state,
    onGathered(locks) {
      tell(locks.domain, `alert about ${locks.count} locks of ${locks.domain}`, () =>
        gatheredAlert(locks, setting(domainOf(locks.domain))),
      );
    },
    onWaiting(domain, waiting) {
      parts.onAlarm(`lock alerts of ${domain}`, waiting === null ? null : waitingWords(domain, waiting));
    },
  });

  return {
    tell,
    stopped({ header: _, recipients: __, ...message }) {
      const domain = domainOf(message.domain);
      const { kind } = message;
      if (kind === null || domain === null) return;
      const { thresholds: limits } = domain.outgoing.alerts;
      const messages = limits[kind];
      if (messages === null) return;
      thresholds.count({ ...message, kind }, { messages, windowMs: parts.durationMs(limits.window) });
    },

    locked(news) {
      const { domain, sender, identity } = news;
      const admitted = flood.admit(news);
      if (!admitted.byItself) {
        const { toldAt } = admitted;
        log.warn(
          { domain, sender, identity, toldAt },
          "too many locks of a domain: this one is told with others",
        );
        return;
      }
      const { furtherAt } = admitted;
      // The console reads it: an empty identity is the whole sender. The time tells this lock from a later one.
      const subject = { sender: news.sender, identity: news.identity ?? "", since: String(news.at) };
      // One link for all who are alerted, made at the first try that can make it.
      let made: Promise<Alert> | null = null;
      const make = async (): Promise<Alert> => {
        const at = setting(domainOf(news.domain));
        // What a person has locked, whoever reads the mail does not lift.
        if (news.by !== undefined) return lockAlert(news, at, { link: null, furtherAt });
        const token = await links.create({ kind: "unlock", subject, validMs: UNLOCK_LINK_MS });
        const link = { unlockUrl: `${at.consoleUrl}/unlock/${token}`, validMs: UNLOCK_LINK_MS };
        return lockAlert(news, at, { link, furtherAt });
      };
      tell(news.domain, `alert about the lock of ${oneLine(news.identity ?? news.sender, 200)}`, () => {
        made ??= make().catch((error: unknown) => {
          made = null;
          throw error;
        });
        return made;
      });
    },

    async test(name, channel) {
      const domain = domainOf(name);
      if (domain === null) {
        return {
          ok: false,
          words: `"${oneLine(name, 100)}" is not a domain of this gateway, or it is switched off.`,
        };
      }
      const waitMs = trials.take(name) ?? allTrials.take("");
      if (waitMs !== null)
        return {
          ok: false,
          words: `Enough trial alerts were sent; the next one can be sent in ${durationWords(Math.ceil(waitMs / MINUTE_MS) * MINUTE_MS)}.`,
        };
      const { alerts } = domain.outgoing;
      const alert = trialAlert(name, setting(domain));
      const stamp = { id: Bun.randomUUIDv7(), at: clock.now(), hostname: parts.hostname, domain: name };
      switch (channel) {
        case "mail":
          return testMail(alerts.mail, alert, mailer);
        case "webhook": {
          const { webhook } = alerts;
          if (webhook === null) return { ok: false, words: "No web hook is set for alerts of this domain." };
          const answer = await request(() =>
            webHookRequest(webhook, alert, { ...stamp, nowMs: clock.now() }),
          );
          if (answer.ok) courier.works(wayOf(channel, name));
          return { ok: answer.ok, words: sentence(answer.words) };
        }
        case "sms": {
          const { sms } = alerts;
          if (sms === null)
            return { ok: false, words: "No gateway for short messages is set for this domain." };
          const answer = await request(() => shortMessageRequest(sms, alert));
          if (answer.ok) courier.works(wayOf(channel, name));
          return { ok: answer.ok, words: sentence(answer.words) };
        }
      }
    },

    close() {
      thresholds.close();
      flood.close();
    },
  };
}

function waitingWords(
  domain: string,
  { count, toldAt }: { readonly count: number; readonly toldAt: number },
): string {
  const set = count === 1 ? "1 further lock was set" : `${count} further locks were set`;
  return `${set} for senders of ${domain} in this hour, beyond the ${MAX_LOCK_ALERTS} that were alerted one by one; they are told together at ${timeIn("UTC", toldAt)}. Look at the locked identities: somebody may be inventing them`;
}

async function testMail(
  to: AlertContacts["mail"],
  { subject, text }: Alert,
  mailer: Mailer,
): Promise<{ readonly ok: boolean; readonly words: string }> {
  if (to.length === 0) return { ok: false, words: "No address is set for alerts of this domain." };
  try {
    const queued: string[] = [];
    for (const address of to) {
      const id = await mailer.send({ to: address, subject, text, words: `trial alert to ${address}` });
      queued.push(`the mail to ${address} is queued as ${id}`);
    }
    return { ok: true, words: sentence(queued.join("; ")) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, words: `The mail could not be put into the queue: ${why}` };
  }
}

/** A full stop at the end; a capital at the start, unless it starts with an address. */
function sentence(words: string): string {
  const start = words.startsWith("http") ? words.charAt(0) : words.charAt(0).toUpperCase();
  return `${start}${words.slice(1)}${/[.?!]$/.test(words) ? "" : "."}`;
}
