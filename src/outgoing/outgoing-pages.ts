// What the console shows of senders and identities: lists and the page of one. Reads memory and the database, changes nothing.
import { limitsSchema } from "../policy/schema-sender.ts";
import type { OutgoingParty, PolicySnapshot } from "../policy/snapshot.ts";
import { speakingAs } from "../policy/spoken-for.ts";
import type { Finding } from "../rules/fact.ts";
import type { DatabaseReader } from "../store/database.ts";
import {
  type DayRow,
  findIdentities,
  type IdentityRow,
  loadDays,
  loadIdentity,
} from "../store/outgoing-identity-rows.ts";
import { loadLockEvents } from "../store/outgoing-lock-rows.ts";
import { bulkFindings, bulkNumbers, waitsUntil } from "./bulk-watch.ts";
import { envelopeIdentity } from "./find-identity.ts";
import { dayTotals } from "./hour-book.ts";
import { lockKey, lockOf } from "./lock-book.ts";
import type { IdentityDetail, IdentitySummary, LimitUse, LockKey, Outgoing } from "./outgoing.ts";
import type { OutgoingParts } from "./outgoing-parts.ts";
import { limitsUsed } from "./sending-limits.ts";
import { type LimitPlan, planBehind, planOf } from "./sending-plan.ts";
import { type SendingState, sendingStates } from "./sending-state.ts";
import { DAY_MS, dayText, newTally, type Tally } from "./tally.ts";
import { restoreTally } from "./tally-state.ts";

const MOST_ROWS = 500;
const MOST_EVENTS = 100;
const MOST_SEARCH = 200;
const DAYS = 31;
const LIMIT_NAMES = limitsSchema.keyof().options;

type Pages = Pick<Outgoing, "identities" | "identity" | "senders" | "locks">;

/** The pages. `keep` saves what changed, so that the database can be asked for everything. */
export function createPages(
  parts: OutgoingParts,
  rest: {
    readonly reader: DatabaseReader;
    readonly snapshot: () => PolicySnapshot;
    readonly keep: () => Promise<void>;
  },
): Pages {
  const { reader, snapshot, keep } = rest;
  const { store, locks, clock } = parts;

  const tallyOf = (row: IdentityRow): Tally => store.find(row.sender, row.name) ?? tallyOfRow(row);

  /** What may be sent now; `read`: tallies that memory may not have. */
  const sendingNow = (read: readonly Tally[]): ((key: LockKey) => SendingState) => {
    const now = clock.now();
    const ofRows = new Map(read.map((tally) => [`${tally.sender}\n${tally.name}`, tally]));
    const find = (sender: string, name: string): Tally | null =>
      ofRows.get(`${sender}\n${name}`) ?? store.find(sender, name);
    return sendingStates({
      snapshot: snapshot(),
      lock: (sender, name) => locks.find(sender, name),
      identitiesLocked: (sender) => locks.identitiesLocked(sender),
      limits(party, name) {
        const plan = limitsBehind(snapshot(), party, name);
        if (plan.connections.length === 0 && plan.recipients === null) return [];
        const tally = find(party.key, name);
        return tally === null ? [] : limitsUsed(tally, plan, now);
      },
      waitsUntil(sender, name) {
        const tally = find(sender, name);
        return tally === null ? null : waitsUntil(tally, now);
      },
    });
  };

  const summary = (tally: Tally, sending: (key: LockKey) => SendingState): IdentitySummary => {
    const { sender, name, domain, firstSeen, lastSeen } = tally;
    const { messages, recipients, spam, refused } = dayTotals(tally.hours, clock.now());
    return {
      sender,
      name,
      domain,
      firstSeen,
      lastSeen,
      messagesDay: messages,
      recipientsDay: recipients,
      spamDay: spam,
      refusedDay: refused,
      locked: locks.find(sender, name) !== null,
      sending: sending(lockKey({ sender, name })),
    };
  };

  return {
    locks: (domain) => locks.list(domain).map(lockOf),

    async identities({ search, limit, offset, ...filter }) {
      // Locks that ended by time are ended before the database is asked who is locked.
      locks.list();
      await keep();
      const { rows, total } = await findIdentities(reader, {
        ...filter,
        ...(search === undefined ? {} : { search: search.trim().toLowerCase().slice(0, MOST_SEARCH) }),
        limit: Math.min(Math.max(0, Math.floor(limit)), MOST_ROWS),
        offset: Math.max(0, Math.floor(offset)),
      });
      const tallies = rows.map(tallyOf);
      const sending = sendingNow(tallies);
      return { items: tallies.map((tally) => summary(tally, sending)), total };
    },

    senders(keys) {
      const sending = sendingNow([]);
      const now = clock.now();
      return keys.map((sender) => ({
        sending: sending({ sender, identity: null }),
        limits: limitsOf(store.find(sender, "") ?? newTally(sender, "", now), snapshot(), {
          now,
          find: (key, name) => store.find(key, name),
        }),
      }));
    },

    async identity(key) {
      const name = key.identity ?? "";
      await keep();
      const row = await loadIdentity(reader, { sender: key.sender, name });
      const tally = store.find(key.sender, name) ?? (row === null ? null : tallyOfRow(row));
      const lock = locks.find(key.sender, name);
      if (tally === null) return null;
      const now = clock.now();
      const today = Math.floor(now / DAY_MS);
      const only = name === "" ? onlyIdentity(partyOfKey(snapshot(), key.sender)) : null;
      const [days, history, alone] = await Promise.all([
        loadDays(reader, { sender: key.sender, name, since: dayText(today - DAYS + 1) }),
        loadLockEvents(reader, { sender: key.sender, name, limit: MOST_EVENTS }),
        only === null ? null : loadIdentity(reader, { sender: key.sender, name: only }),
      ]);
      return {
        ...summary(tally, sendingNow([tally])),
        lock: lock === null ? null : lockOf(lock),
        limits: limitsOf(tally, snapshot(), {
          now,
          find: (sender, one) => store.find(sender, one) ?? (alone === null ? null : tallyOfRow(alone)),
        }),
        days: days.slice(-DAYS).map(dayOf),
        history: history.map(({ name: _, sender, ...event }) => ({ ...lockKey({ sender, name }), ...event })),
        bulk: name === "" ? [] : bulkNow(tally, now),
      } satisfies IdentityDetail;
    },
  };
}

function tallyOfRow(row: IdentityRow): Tally {
  const tally = newTally(row.sender, row.name, row.firstSeen);
  tally.domain = row.domain;
  tally.lastSeen = row.lastSeen;
  restoreTally(tally, row.state);
  return tally;
}

function dayOf({ day, messages, recipients, spam, refused }: DayRow): IdentityDetail["days"][number] {
  return { day, messages, recipients, spam, refused };
}

/** The sender of that key with its domain, or null when the settings have none (any more). */
export function partyOfKey(snapshot: PolicySnapshot, key: string): OutgoingParty | null {
  return snapshot.partyOfKey(key);
}

/** Who is behind a sender that is but one, as a log-in is; null: there may be several. */
function onlyIdentity(party: Pick<OutgoingParty, "sender" | "domain"> | null): string | null {
  return party === null ? null : envelopeIdentity(party.sender, planOf(party).identifyBy, null);
}

/** Of a sender with but one identity that one's as well: what stops the one stops the sender. */
function limitsOf(
  tally: Tally,
  snapshot: PolicySnapshot,
  { now, find }: { readonly now: number; readonly find: (sender: string, name: string) => Tally | null },
): IdentityDetail["limits"] {
  const { sender, name } = tally;
  const party = partyOfKey(snapshot, sender);
  if (party === null) return [];
  const used = limitsUsed(tally, limitsBehind(snapshot, party, name), now);
  const only = name === "" ? onlyIdentity(party) : null;
  if (only === null) return used;
  const ofOnly = find(sender, only) ?? newTally(sender, only, now);
  return tightest([...used, ...limitsUsed(ofOnly, limitsBehind(snapshot, party, only), now)]);
}

/** The limits of an identity, by its name also those of a domain it writes for; of the sender itself when the name is "". */
function limitsBehind(snapshot: PolicySnapshot, party: OutgoingParty, name: string): LimitPlan {
  return name === "" ? planOf(party).sender : planBehind(speakingAs(snapshot, party, name), name).identity;
}

/** Of two limits on the same window the one that leaves less. Shortest window first. */
function tightest(limits: readonly LimitUse[]): readonly LimitUse[] {
  const left = ({ most, used }: LimitUse): number => most - used;
  const kept = new Map<LimitUse["limit"], LimitUse>();
  for (const one of limits) {
    const other = kept.get(one.limit);
    if (other === undefined || left(one) < left(other)) kept.set(one.limit, one);
  }
  return LIMIT_NAMES.flatMap((name) => kept.get(name) ?? []);
}

/** The facts for a message to one new recipient now, each in words. */
function bulkNow(tally: Tally, now: number): readonly Finding[] {
  const numbers = bulkNumbers(tally, { now, count: 0, newNow: 0 });
  // Judged as if the next recipient were new: the numbers shown are those so far.
  const level = bulkFindings(tally, { ...numbers, newNow: 1 }, now);
  return level.map((finding) => ({ ...finding, words: finding.words ?? factWords(finding) }));
}

function factWords({ fact, value }: Finding): string {
  switch (fact) {
    case "bulk.waited":
      return value === true ? "It has waited as it was told" : "It is under no order to wait";
    case "bulk.recipients_hour":
      return `${value} recipients in the last hour`;
    case "bulk.new_recipients_hour":
      return `${value} of them new to it`;
    case "bulk.usual_hour":
      return `${value} recipients are usual in a busy hour`;
    case "bulk.unknown_percent":
      return `${value} % of the day's recipients do not exist`;
    case "bulk.refused_percent":
      return `${value} % of the day's recipients were refused by the far side`;
    default:
      return Array.isArray(value) ? value.join("; ") : String(value);
  }
}
