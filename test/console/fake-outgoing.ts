// Outgoing control, DKIM, one-time links, notices and bans in memory, over sample senders. Nothing is sent and no DNS is asked.
import type { Dkim, DkimAnswer, DkimKey } from "../../src/dkim/dkim.ts";
import type { AlertChannel, OutgoingNotices } from "../../src/notify/outgoing-notices.ts";
import type {
  IdentityDetail,
  IdentitySummary,
  Lock,
  LockEvent,
  LockKey,
  Outgoing,
} from "../../src/outgoing/outgoing.ts";
import { sendingStates } from "../../src/outgoing/sending-state.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import type { Ban, Bans } from "../../src/session/bans.ts";
import type { LinkKind, LinkState, OneTimeLinks } from "../../src/store/one-time-links.ts";
import { NOW } from "./sample-mail.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Whether it may send is found out when it is asked for. */
export type FakeIdentity = Omit<IdentityDetail, "sending">;

/** What the fakes of this file remember. */
export interface FakeOutgoingState {
  readonly identities: FakeIdentity[];
  readonly locks: Lock[];
  readonly lockEvents: LockEvent[];
  readonly bans: Ban[];
  readonly dkimKeys: DkimKey[];
  readonly links: Map<
    string,
    {
      readonly kind: LinkKind;
      readonly subject: Readonly<Record<string, string>>;
      readonly expiresAt: number;
      used: boolean;
    }
  >;
  /** `test DOMAIN CHANNEL`, `password link ADDRESS URL`. */
  readonly notices: string[];
}

interface Sample {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly busy: number;
  readonly spamDay?: number;
}

const SAMPLES: readonly Sample[] = [
  { sender: "192.0.2.64/28", name: "client-a", domain: "example.test", busy: 46, spamDay: 6 },
  { sender: "192.0.2.64/28", name: "client-b", domain: "example.test", busy: 12 },
  { sender: "192.0.2.64/28", name: '<script>alert("id")</script>', domain: "example.test", busy: 1 },
  { sender: "192.0.2.64/28", name: "..", domain: "example.test", busy: 2 },
  { sender: "192.0.2.64/28", name: "", domain: "example.test", busy: 61 },
  { sender: "carol@example.test", name: "carol@example.test", domain: "example.test", busy: 20 },
  { sender: "carol@example.test", name: "", domain: "example.test", busy: 20 },
  {
    sender: "orders@shop.example.test",
    name: "orders@shop.example.test",
    domain: "shop.example.test",
    busy: 7,
  },
  { sender: "orders@shop.example.test", name: "", domain: "shop.example.test", busy: 7 },
];

function sampleIdentity({ sender, name, domain, busy, spamDay = 0 }: Sample): FakeIdentity {
  return {
    sender,
    name,
    domain,
    firstSeen: NOW - 40 * DAY_MS,
    lastSeen: NOW - busy * 60_000,
    messagesDay: busy,
    recipientsDay: busy * 3,
    spamDay,
    refusedDay: 0,
    locked: false,
    lock: null,
    limits: [
      { limit: "per_hour", used: Math.min(busy, 60), most: 60, freeAt: busy >= 60 ? NOW + 600_000 : null },
      { limit: "recipients_per_day", used: busy * 3, most: 500, freeAt: null },
    ],
    days: Array.from({ length: 14 }, (_, i) => ({
      day: new Date(NOW - (13 - i) * DAY_MS).toISOString().slice(0, 10),
      messages: busy + ((i * 7) % 11),
      recipients: 3 * (busy + ((i * 7) % 11)),
      spam: i === 13 ? spamDay : 0,
      refused: i % 5 === 0 ? 1 : 0,
    })),
    history: [],
    bulk: [
      { check: "bulk", fact: "bulk.level", value: spamDay > 0 ? 2 : 0, words: "" },
      {
        check: "bulk",
        fact: "bulk.reasons",
        value: spamDay > 0 ? ["212 new recipients this hour, usual are 4"] : [],
      },
    ],
  };
}

const SAMPLE_BAN: Ban = {
  network: "203.0.113.7/32",
  since: NOW - 5 * 60_000,
  until: NOW + 10 * 60_000,
  times: 1,
  failedLogins: 10,
  unknownRecipients: 0,
  logins: ["admin", "<b>info</b>"],
  words: "10 different wrong passwords; shut out for 15 min",
};

/** Empty, or with a few identities of which one is locked. */
export function fakeOutgoingState(fresh: boolean): FakeOutgoingState {
  const state: FakeOutgoingState = {
    identities: fresh ? [] : SAMPLES.map(sampleIdentity),
    locks: [],
    lockEvents: [],
    bans: fresh ? [] : [SAMPLE_BAN],
    dkimKeys: fresh ? [] : [sampleKey("gate1", "active"), sampleKey("gate2", "pending")],
    links: new Map(),
    notices: [],
  };
  if (!fresh)
    setLock(state, {
      sender: "192.0.2.64/28",
      identity: "client-a",
      domain: "example.test",
      since: NOW - 10 * 60_000,
      until: NOW + 50 * 60_000,
      timeouts: 1,
      words: "6 spam messages within 10 minutes (rule spam)",
      by: "gatepost",
    });
  return state;
}

function sameKey(one: LockKey, other: LockKey): boolean {
  return one.sender === other.sender && one.identity === other.identity;
}

function setLock(state: FakeOutgoingState, lock: Lock): void {
  const present = state.locks.findIndex((one) => sameKey(one, lock));
  if (present < 0) state.locks.push(lock);
  else state.locks[present] = lock;
  const { sender, identity, domain, by, words, until } = lock;
  state.lockEvents.unshift({ sender, identity, domain, at: lock.since, what: "locked", by, words, until });
}

/** The real judgement over what is remembered. */
function sendingNow(state: FakeOutgoingState, snapshot: PolicySnapshot): ReturnType<typeof sendingStates> {
  const keyOf = (sender: string, name: string): LockKey => ({ sender, identity: name === "" ? null : name });
  return sendingStates({
    snapshot,
    lock: (sender, name) => state.locks.find((lock) => sameKey(lock, keyOf(sender, name))) ?? null,
    identitiesLocked: (sender) =>
      state.locks.filter((lock) => lock.sender === sender && lock.identity !== null).length,
    limits: ({ key }, name) =>
      state.identities.find((one) => one.sender === key && one.name === name)?.limits ?? [],
    waitsUntil: () => null,
  });
}

function detailNow(state: FakeOutgoingState, one: FakeIdentity, snapshot: PolicySnapshot): IdentityDetail {
  const key = { sender: one.sender, identity: one.name === "" ? null : one.name };
  const lock = state.locks.find((each) => sameKey(each, key)) ?? null;
  const history = state.lockEvents.filter((event) => sameKey(event, key));
  return { ...one, lock, locked: lock !== null, history, sending: sendingNow(state, snapshot)(key) };
}

function summaryOf(detail: IdentityDetail): IdentitySummary {
  const { lock: _lock, limits: _limits, days: _days, history: _history, bulk: _bulk, ...summary } = detail;
  return summary;
}

export function fakeOutgoing(
  state: FakeOutgoingState,
  { now, snapshot }: { readonly now: () => number; readonly snapshot: () => PolicySnapshot },
): Outgoing {
  const notHere = (): never => {
    throw new Error("the console asks nothing of a session");
  };
  return {
    admitTransaction: notHere,
    admitRecipient: notHere,
    identify: notHere,
    admitMessage: notHere,
    noteRefused: notHere,
    findings: notHere,
    settle: notHere,
    locksKept: notHere,
    noteCorrespondent: notHere,
    takeBack: notHere,
    noteOutcome: notHere,
    locks: (domain) => state.locks.filter((lock) => domain === undefined || lock.domain === domain),
    async unlock(key, by) {
      const i = state.locks.findIndex((lock) => sameKey(lock, key));
      const [lock] = i < 0 ? [] : state.locks.splice(i, 1);
      if (lock === undefined) return false;
      const { sender, identity, domain } = lock;
      state.lockEvents.unshift({
        sender,
        identity,
        domain,
        at: now(),
        what: "unlocked",
        by,
        words: "",
        until: null,
      });
      return true;
    },
    async lock(key, by, words) {
      const domain = state.identities.find((one) => one.sender === key.sender)?.domain ?? "";
      setLock(state, { ...key, domain, since: now(), until: null, timeouts: 0, words, by });
    },
    async identities(filter) {
      const fitting = state.identities
        .map((one) => summaryOf(detailNow(state, one, snapshot())))
        .filter(
          (one) =>
            (filter.only === undefined || one.name !== "") &&
            (filter.domain === undefined || one.domain === filter.domain) &&
            (filter.sender === undefined || one.sender === filter.sender) &&
            (filter.search === undefined || one.name.includes(filter.search)) &&
            (filter.locked === undefined || one.locked === filter.locked),
        )
        .toSorted((a, b) => b.lastSeen - a.lastSeen);
      return { items: fitting.slice(filter.offset, filter.offset + filter.limit), total: fitting.length };
    },
    async identity(key) {
      const found = state.identities.find(
        (one) => one.sender === key.sender && one.name === (key.identity ?? ""),
      );
      return found === undefined ? null : detailNow(state, found, snapshot());
    },
    senders: (keys) =>
      keys.map((sender) => ({
        sending: sendingNow(state, snapshot())({ sender, identity: null }),
        limits: state.identities.find((one) => one.sender === sender && one.name === "")?.limits ?? [],
      })),
    close: async () => undefined,
  };
}

function sampleKey(selector: string, keyState: DkimKey["state"]): DkimKey {
  return {
    domain: "example.test",
    selector,
    algorithm: "rsa",
    state: keyState,
    createdAt: NOW - 20 * DAY_MS,
    activatedAt: keyState === "active" ? NOW - 19 * DAY_MS : null,
    retireAt: null,
    record: {
      name: `${selector}._domainkey.example.test`,
      value: `v=DKIM1; k=rsa; p=${"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A".repeat(12)}`,
    },
    publication: {
      state: keyState === "active" ? "published" : "unchecked",
      checkedAt: keyState === "active" ? NOW - HOUR_MS : null,
      words: "",
    },
  };
}

/** Keys change their state as asked; every record counts as published once it was checked. */
export function fakeDkim(state: FakeOutgoingState, now: () => number): Dkim {
  const change = (domain: string, selector: string, to: (key: DkimKey) => DkimKey): DkimAnswer => {
    const i = state.dkimKeys.findIndex((key) => key.domain === domain && key.selector === selector);
    const key = state.dkimKeys[i];
    if (key === undefined) return { ok: false, words: `there is no key "${selector}" of ${domain}` };
    const changed = to(key);
    state.dkimKeys[i] = changed;
    return { ok: true, key: changed };
  };
  const published = (key: DkimKey): DkimKey => ({
    ...key,
    publication: { state: "published", checkedAt: now(), words: "the record is in the DNS" },
  });
  return {
    list: async (domain) => state.dkimKeys.filter((key) => domain === undefined || key.domain === domain),
    async create({ domain, selector, algorithm }) {
      if (state.dkimKeys.some((key) => key.domain === domain && key.selector === selector))
        return { ok: false, words: `there is a key "${selector}" already; choose another selector` };
      const key = { ...sampleKey(selector, "pending"), domain, algorithm, createdAt: now() };
      state.dkimKeys.push(key);
      return { ok: true, key };
    },
    check: async (domain, selector) => change(domain, selector, published),
    activate: async (domain, selector) =>
      change(domain, selector, (key) => ({ ...published(key), state: "active", activatedAt: now() })),
    retire: async (domain, selector) =>
      change(domain, selector, (key) => ({ ...key, state: "retiring", retireAt: now() + 7 * DAY_MS })),
    async remove(domain, selector) {
      const i = state.dkimKeys.findIndex((key) => key.domain === domain && key.selector === selector);
      const [key] = i < 0 || state.dkimKeys[i]?.state === "active" ? [] : state.dkimKeys.splice(i, 1);
      return key === undefined
        ? { ok: false, words: `there is no key "${selector}" of ${domain} that is not signed with` }
        : { ok: true, key };
    },
    sign: async (message) => message,
    forget: () => {},
    remind: () => {},
    close: async () => undefined,
  };
}

export function fakeLinks(state: FakeOutgoingState, now: () => number): OneTimeLinks {
  let made = 0;
  const look = (kind: LinkKind, token: string): LinkState => {
    const link = state.links.get(token);
    if (link === undefined || link.kind !== kind) return { state: "unknown", subject: null };
    const { subject, used, expiresAt } = link;
    return { state: used ? "used" : expiresAt <= now() ? "expired" : "valid", subject };
  };
  return {
    async create({ kind, subject, validMs }) {
      made++;
      const token = `${"A".repeat(40)}${String(made).padStart(3, "0")}`;
      state.links.set(token, { kind, subject, expiresAt: now() + validMs, used: false });
      return token;
    },
    look: async (kind, token) => look(kind, token),
    async use(kind, token) {
      const before = look(kind, token);
      const link = state.links.get(token);
      if (before.state === "valid" && link !== undefined) link.used = true;
      return before;
    },
  };
}

export function fakeNotices(state: FakeOutgoingState): Pick<OutgoingNotices, "test" | "passwordLink"> {
  return {
    async test(domain: string, channel: AlertChannel) {
      state.notices.push(`test ${domain} ${channel}`);
      return {
        ok: channel !== "sms",
        words: channel === "sms" ? "the gateway answered 503" : "it was taken",
      };
    },
    async passwordLink(address, url) {
      state.notices.push(`password link ${address} ${url}`);
    },
  };
}

export function fakeBans(state: FakeOutgoingState): Pick<Bans, "list" | "lift"> {
  return {
    list: () => state.bans,
    lift(network) {
      const i = state.bans.findIndex((ban) => ban.network === network);
      return i >= 0 && state.bans.splice(i, 1).length === 1;
    },
  };
}
