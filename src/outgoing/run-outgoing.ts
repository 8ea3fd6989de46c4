// Outgoing control as it runs: puts its parts together, and saves what must outlive the process.
import { baseKey, domainOf, parseAddress } from "../message/address.ts";
import type { LockNews } from "../notify/outgoing-notices.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { OutgoingParty, PolicySnapshot } from "../policy/snapshot.ts";
import type { DatabaseReader, DatabaseWriter } from "../store/database.ts";
import { expireIdentities } from "../store/outgoing-identity-rows.ts";
import { expireLockEvents } from "../store/outgoing-lock-rows.ts";
import { createAdmission } from "./admit-outgoing.ts";
import { forgiveBulk } from "./bulk-watch.ts";
import { createCorrespondents } from "./correspondents.ts";
import { envelopeIdentity, headerIdentity } from "./find-identity.ts";
import { identityName } from "./identity-name.ts";
import type { LockKey, Outgoing } from "./outgoing.ts";
import { createPages, partyOfKey } from "./outgoing-pages.ts";
import type { OutgoingParts } from "./outgoing-parts.ts";
import { createLocks } from "./run-locks.ts";
import { planOf } from "./sending-plan.ts";
import { SentMessages } from "./sent-messages.ts";
import { createSettlement, newLock } from "./settle-outgoing.ts";
import { DAY_MS, dayText } from "./tally.ts";
import { TallyStore } from "./tally-store.ts";

/** What is lost of the counts when the power fails. */
const SAVE_EVERY_MS = 20_000;
const KEEP_DAYS = 31;
/** Identities nobody saw for so long are forgotten, and so are the longest unseen beyond `KEEP_IDENTITIES`. */
const KEEP_IDENTITY_MS = 90 * DAY_MS;
const KEEP_IDENTITIES = 1_000_000;
const KEEP_EVENTS_MS = 400 * DAY_MS;

export interface OutgoingOptions {
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
  readonly snapshot: () => PolicySnapshot;
  readonly clock: Clock;
  readonly log: Log;
  /** A lock was set; must return at once. */
  readonly onLock: (news: LockNews) => void;
  readonly onAlarm: OnAlarm;
  /** For tests: how many identities memory holds. */
  readonly mostTallies?: number;
}

/** Loads what is kept and starts saving. Rejects with StoreError when the database cannot be read. */
export async function createOutgoing(options: OutgoingOptions): Promise<Outgoing> {
  const { db, reader, clock, log, snapshot } = options;
  const store = new TallyStore({
    db,
    reader,
    now: () => clock.now(),
    log,
    ...(options.mostTallies === undefined ? {} : { mostTallies: options.mostTallies }),
  });
  await store.load();
  const parts: OutgoingParts = {
    clock,
    store,
    locks: await createLocks(options),
    correspondents: await createCorrespondents({ db, reader }),
    isOurs: (address) => snapshot().domain(domainOf(address)) !== null,
    counted: new WeakMap(),
    sent: new SentMessages(),
  };
  const saving = startSaving(options, parts);
  const { admitTransaction, admitRecipient, admitMessage, noteRefused } = createAdmission(parts);
  const { findings, settle, takeBack, noteOutcome } = createSettlement(parts);
  const { identities, identity, senders, locks } = createPages(parts, {
    reader,
    snapshot,
    keep: saving.keep,
  });
  return {
    admitTransaction,
    admitRecipient,
    admitMessage,
    noteRefused,
    findings,
    settle,
    takeBack,
    noteOutcome,
    identities,
    identity,
    senders,
    locks,
    identify(party, writer, header) {
      const { identifyBy, removeHeaders } = planOf(party);
      const name =
        typeof identifyBy === "string"
          ? envelopeIdentity(party.sender, identifyBy, writer)
          : personNamed(headerIdentity(identifyBy, header), party);
      return { identity: name, removeHeaders };
    },
    locksKept: () => parts.locks.kept(),
    noteCorrespondent(outside, ours) {
      if (outside !== null) parts.correspondents.note(outside, ours);
    },
    lock: (key, by, words) => lockByHand(parts, snapshot(), { key, by, words }),
    unlock: (key, by) => unlockByHand(parts, key, by),
    async close() {
      await saving.stop();
    },
  };
}

/** An address of the party's domain that a header names is the person's without what follows the domain's delimiter. */
function personNamed(name: string | null, { domain }: Pick<OutgoingParty, "domain">): string | null {
  const parsed = name === null ? null : parseAddress(name);
  if (domain === null || parsed === null || !parsed.ok || domainOf(parsed.value) !== domain.name) return name;
  return baseKey(parsed.value, domain.recipient_delimiter) ?? name;
}

/** The name of a key as it is kept. */
function nameOf({ identity }: LockKey): string {
  return identity === null ? "" : (identityName(identity) ?? "");
}

async function lockByHand(
  parts: OutgoingParts,
  snapshot: PolicySnapshot,
  { key, by, words }: { readonly key: LockKey; readonly by: string; readonly words: string },
): Promise<void> {
  const { sender } = key;
  const name = nameOf(key);
  const party = partyOfKey(snapshot, sender);
  const domain = party?.sender.domain ?? parts.store.find(sender, name)?.domain;
  if (domain === undefined) throw new Error(`there is no sender "${sender}"; nothing was locked`);
  const settings =
    party === null
      ? { sender, name, domain, template: "none", login: null }
      : newLock({ sender, name, domain }, planOf(party), party.sender.login ?? null);
  await parts.locks.lock({ ...settings, timeoutMs: null, maxTimeouts: 0, words }, by);
  // So that it is in the list of identities even when it never sent.
  parts.store.changed(parts.store.get(sender, name, domain));
}

async function unlockByHand(parts: OutgoingParts, key: LockKey, by: string): Promise<boolean> {
  const { sender } = key;
  const name = nameOf(key);
  const domain = parts.locks.find(sender, name)?.domain;
  if (domain === undefined || !(await parts.locks.unlock({ sender, name }, by))) return false;
  const tally = parts.store.get(sender, name, domain);
  await parts.store.whenRead();
  tally.spam = null;
  forgiveBulk(tally);
  parts.store.changed(tally);
  return true;
}

interface Saving {
  /** Saves now what can be saved; never rejects. */
  keep(): Promise<void>;
  stop(): Promise<void>;
}

/** Saves every 20 seconds what changed, lets idle identities forget, and once a day deletes what is past its time. */
function startSaving({ db, clock, log, onAlarm }: OutgoingOptions, parts: OutgoingParts): Saving {
  const { store, locks, correspondents } = parts;
  let cleanedDay = -1;

  const keep = async (): Promise<void> => {
    try {
      await locks.save();
      await store.saveAll();
      await correspondents.save();
      onAlarm("outgoing-counts", null);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      onAlarm("outgoing-counts", `What outgoing senders have sent cannot be kept over a restart: ${why}`);
    }
  };

  const clean = async (): Promise<void> => {
    const now = clock.now();
    const today = Math.floor(now / DAY_MS);
    if (today === cleanedDay) return;
    cleanedDay = today;
    try {
      const day = dayText(today - KEEP_DAYS);
      await expireIdentities(db, { day, seen: now - KEEP_IDENTITY_MS, most: KEEP_IDENTITIES });
      await expireLockEvents(db, now - KEEP_EVENTS_MS);
    } catch (error) {
      log.warn({ err: error }, "old identities were not deleted");
    }
  };

  let stopped = false;
  let turn: Promise<void> = Promise.resolve();
  let cancel = (): void => {};
  const wait = (): void => {
    if (stopped) return;
    cancel = clock.after(SAVE_EVERY_MS, () => {
      turn = (async () => {
        await keep();
        await clean();
        wait();
      })();
    });
  };
  wait();
  return {
    keep,
    async stop() {
      stopped = true;
      cancel();
      await turn;
      await keep();
      await locks.close();
    },
  };
}
