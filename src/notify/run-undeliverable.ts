// Tells the people of a domain of its undeliverable mail: a list once a day at the hour of their reports, and at once when many come
// together. What belongs to no domain of ours is told to the postmaster. Counts in the database, so that a restart forgets nothing.
import type { Domain } from "../message/address.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { NoticeState } from "../store/notice-state.ts";
import type {
  UndeliverableCount,
  UndeliverableItem,
  UndeliverableRange,
} from "../store/quarantine-undeliverable.ts";
import type { Mailer } from "./mail-errand.ts";
import type { NoticeDomain, NoticePolicy } from "./notice-policy.ts";
import { reportTimes } from "./report-times.ts";
import type { Alerts } from "./run-alerts.ts";
import { undeliverableAlert, undeliverableList } from "./undeliverable-report.ts";

/** What the quarantine holds of it. */
export interface UndeliverableItems {
  counts(range: UndeliverableRange): Promise<readonly UndeliverableCount[]>;
  between(
    domains: Omit<UndeliverableCount, "items">,
    range: UndeliverableRange,
  ): Promise<readonly UndeliverableItem[]>;
}

const LISTED = "undeliverable-listed";
const ALERTED = "undeliverable-alerted";
const MAX_LISTED = 100;
const QUARTER_MS = 900_000;
/** For what belongs to no domain: as a domain that sets nothing. */
const DEFAULTS = { threshold: 10, window: "1h", hour: 7, timezone: "UTC" };

/** Whose mail it is, and when and how they are told. */
interface Owner {
  /** "" for the postmaster. */
  readonly name: string;
  readonly threshold: number | null;
  readonly window: string;
  readonly hour: number;
  readonly timezone: string;
}

/** One look at everything. */
interface Look {
  readonly now: number;
  /** The names of all owners. */
  readonly owners: ReadonlySet<string>;
}

interface Found {
  readonly total: number;
  readonly pairs: readonly UndeliverableCount[];
}

type Counts = (range: UndeliverableRange) => Promise<readonly UndeliverableCount[]>;

export interface UndeliverableNewsroom {
  /** Something was filed: the next tick looks for a burst. */
  filed(): void;
  /** Tells what is due. Never twice at a time. */
  tick(): Promise<void>;
}

/** Starts with what was told before a restart. */
export async function createUndeliverableNews(parts: {
  readonly snapshot: () => NoticePolicy;
  readonly items: UndeliverableItems;
  readonly state: NoticeState;
  readonly alerts: Pick<Alerts, "tell">;
  readonly mailer: Mailer;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
  readonly consoleUrl: () => string;
  readonly durationMs: (text: string) => number;
}): Promise<UndeliverableNewsroom> {
  const { snapshot, items, state, alerts, mailer, clock, log, durationMs } = parts;
  const listed = await remembered(state, LISTED);
  const quietUntil = await remembered(state, ALERTED);

  let quarter = -1;
  // What was filed before a restart may not have been told.
  let isFiled = true;

  const setting = ({ timezone }: Owner) => ({
    hostname: parts.hostname,
    consoleUrl: parts.consoleUrl(),
    timezone,
  });

  function found(counts: readonly UndeliverableCount[], owner: Owner, owners: ReadonlySet<string>): Found {
    const pairs = counts.filter((count) => ownerOf(count, owners) === owner.name);
    return { pairs, total: pairs.reduce((sum, pair) => sum + pair.items, 0) };
  }

  async function newest({ pairs }: Found, range: UndeliverableRange): Promise<readonly UndeliverableItem[]> {
    const all: UndeliverableItem[] = [];
    for (const pair of pairs) all.push(...(await items.between(pair, range)));
    return all.sort((a, b) => a.failedAt - b.failedAt).slice(-MAX_LISTED);
  }

  /** `counts`: of a window of time; asked once for all domains that have the same. */
  async function lookForBurst(owner: Owner, look: Look, counts: Counts): Promise<void> {
    const { owners, now } = look;
    const { name, threshold } = owner;
    if (threshold === null || now < (quietUntil.get(name) ?? 0)) return;
    const windowMs = durationMs(owner.window);
    const range = { since: now - windowMs, until: now, kept: false };
    const burst = found(await counts(range), owner, owners);
    if (burst.total < threshold) return;
    const news = {
      domain: name,
      since: range.since,
      total: burst.total,
      items: await newest(burst, range),
      quietUntil: now + windowMs,
    };
    alerts.tell(name, `alert about undeliverable mail of ${name === "" ? "this gateway" : name}`, () =>
      undeliverableAlert(news, setting(owner)),
    );
    quietUntil.set(name, news.quietUntil);
    // Lost with a crash: then the alert may come once more.
    await state.keep(ALERTED, [{ key: name, value: news.quietUntil }]);
  }

  async function list(owner: Owner, { owners, now }: Look): Promise<void> {
    const { name, hour, timezone } = owner;
    const since = listed.get(name);
    const due = reportTimes({ every: "daily", weekday: "monday", to: [], hour, timezone })?.lastDue(now);
    // Seen for the first time, or the clock was put back: what was filed since the list would have been due stands in the next one.
    if (since === undefined || since > now) return setListed(name, due ?? now);
    if (due === null || due === undefined || due <= since) return;
    const range = { since, until: now, kept: true };
    const fresh = found(await items.counts(range), owner, owners);
    if (fresh.total > 0) {
      const news = { domain: name, since, total: fresh.total, items: await newest(fresh, range) };
      const { subject, text } = undeliverableList(news, setting(owner));
      const to = receivers(snapshot().domain(name as Domain), snapshot());
      if (to.length === 0)
        log.warn(
          { domain: name, items: fresh.total },
          "nobody is named who could be told of undeliverable mail",
        );
      for (const address of to) {
        const words = `list of undeliverable mail of ${name === "" ? "this gateway" : name} to ${address}`;
        await mailer.send({ to: address, subject, text, words });
      }
    }
    // After the mails are kept: a crash in between sends the list twice rather than never.
    await setListed(name, now);
  }

  async function setListed(name: string, at: number): Promise<void> {
    await state.keep(LISTED, [{ key: name, value: at }]);
    listed.set(name, at);
  }

  return {
    filed() {
      isFiled = true;
    },
    async tick() {
      const now = clock.now();
      const owners = ownersOf(snapshot());
      const look = { now, owners: new Set(owners.map(({ name }) => name)) };
      const asked = new Map<number, Promise<readonly UndeliverableCount[]>>();
      const counts: Counts = (range) => {
        const known = asked.get(range.since) ?? items.counts(range);
        asked.set(range.since, known);
        return known;
      };
      // All time zones are whole quarters of an hour from UTC: no list falls due in between.
      const isNewQuarter = Math.floor(now / QUARTER_MS) !== quarter;
      const maybeBurst = isFiled;
      isFiled = false;
      let failed = false;
      for (const owner of owners) {
        try {
          if (maybeBurst) await lookForBurst(owner, look, counts);
          if (isNewQuarter || !listed.has(owner.name)) await list(owner, look);
        } catch (err) {
          log.error({ err, domain: owner.name }, "undeliverable mail cannot be told of; tried again");
          failed = true;
        }
      }
      if (failed) isFiled = true;
      else quarter = Math.floor(now / QUARTER_MS);
    },
  };
}

async function remembered(state: NoticeState, kind: string): Promise<Map<string, number>> {
  const known = new Map<string, number>();
  for (const { key, value } of await state.load(kind)) if (typeof value === "number") known.set(key, value);
  return known;
}

/** The domains that are on, and the postmaster for the rest. */
function ownersOf({ policy }: NoticePolicy): readonly Owner[] {
  const domains = policy.domain
    .filter(({ enabled }) => enabled)
    .map(({ name, outgoing: { alerts, report } }): Owner => {
      const { undeliverable, window } = alerts.thresholds;
      return { name, threshold: undeliverable, window, hour: report.hour, timezone: report.timezone };
    });
  return [...domains, { name: "", ...DEFAULTS }];
}

/** The recipient's domain when it is ours, else the sender's. */
function ownerOf({ recipientDomain, senderDomain }: UndeliverableCount, owners: ReadonlySet<string>): string {
  return [recipientDomain, senderDomain].find((domain) => owners.has(domain)) ?? "";
}

/** Who gets the alerts of the domain, else its reports, else the postmaster. */
function receivers(domain: NoticeDomain | null, { policy }: NoticePolicy) {
  const { alerts, report } = domain?.outgoing ?? { alerts: { mail: [] }, report: { to: [] } };
  const own = alerts.mail.length > 0 ? alerts.mail : report.to;
  const { postmaster } = policy.settings;
  if (own.length > 0) return own;
  return postmaster === null ? [] : [postmaster];
}
