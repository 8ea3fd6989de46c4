// Takes due mail of one destination from disk: marked "active" in one commit before any of it is dialled.

import {
  type Destination,
  type DestinationFor,
  overTls,
  type WayTaken,
  type WhoSent,
  type WrittenBy,
} from "../delivery/route.ts";
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { Log } from "../observe/log.ts";
import type { Statement } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";
import type { EntryKey, Origin, SpooledEntry, SpooledEnvelope } from "../store/spool-entry.ts";
import { changeDestination, type SeizeFrom, seize } from "../store/spool-writing.ts";
import { plausibleTime } from "./back-off.ts";
import { type ClaimLimits, isLargeWork } from "./lane.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { inTurns } from "./share-use.ts";
import { withWriters } from "./with-writers.ts";
import { groupWork, keysOf, MAX_RECIPIENTS_PER_ATTEMPT, type Work } from "./work.ts";

const MAX_ROWS = MAX_RECIPIENTS_PER_ATTEMPT;
/** Of so many others mail is looked for at once, and so many rows of each. */
const LOOK_SHARES = 20;
const LOOK_ROWS = 25;

export interface Claim {
  readonly works: readonly Work[];
  /** When the next of the destination's mail is due; Infinity when nothing is left on disk. */
  readonly nextDueAt: number;
  /** Large mail that is due may have been left on disk: `nextDueAt` does not speak of it. */
  readonly passedOver: boolean;
  /** Where the next look begins. */
  readonly lookAfter: string;
  /** Other destinations that got mail because routes have changed. */
  readonly moved: readonly string[];
}

/** Claims due mail within these limits. Rejects with StoreError, and nothing is taken. */
export async function claimWork(
  {
    spool,
    destinationFor,
    settings,
    log,
  }: {
    readonly spool: Spool;
    readonly destinationFor: DestinationFor;
    readonly settings: () => QueueSettings;
    readonly log: Log;
  },
  { key, now, ...most }: ClaimLimits & { readonly key: string; readonly now: number },
): Promise<Claim> {
  const maxSize = most.maxLarge > 0 ? null : MAX_BODY_IN_MEMORY;
  const { rows, lookAfter } =
    most.look === null
      ? { rows: await spool.waiting(key, MAX_ROWS, maxSize), lookAfter: "" }
      : await behind(spool, most.look, { key, maxSize });
  const { retryMs } = settings();
  const asStored = (most.look === null ? wholeMessages(rows, MAX_ROWS) : rows).filter(
    (entry) => plausibleTime(entry.recipient.nextAttemptAt, now, retryMs) <= now,
  );
  const moved = new Set<string>();
  const moving: Statement[] = [];
  const due = await withWriters(asStored, { spool, log, found: moving });
  const here: SpooledEntry[] = [];
  for (const entry of due) {
    const destination = destinationNow(entry, { destinationFor, log });
    const detail = { ...entry.recipient.detail, destination };
    if (destination.key === key) {
      here.push({ message: entry.message, recipient: { ...entry.recipient, detail } });
      continue;
    }
    moving.push(changeDestination({ seq: entry.message.seq, n: entry.recipient.n }, detail));
    moved.add(destination.key);
  }
  const { works, passedOver } = choose(groupWork(here, null), most);
  const keys = works.flatMap(keysOf);
  const taken = await seizeAll(spool, { keys, at: now, moving });
  return {
    works: taken ? works : [],
    nextDueAt: nextDue(
      rows,
      taken ? [...keys, ...passedOver.flatMap(keysOf)] : [],
      moved.size > 0 ? now : null,
    ),
    passedOver: passedOver.length > 0 || most.maxLarge <= 0,
    lookAfter,
    moved: [...moved],
  };
}

/** Where it stands tells for whom it was taken; where it is held, which way it goes. */
function takenFor(before: Destination, origin: Origin | undefined): WayTaken {
  if (isHeld(before) ? origin?.direction !== "outbound" : before.kind === "routes") return "for us";
  return origin?.direction === "inbound" ? "from outside" : "to pass on";
}

function isHeld(destination: Destination): boolean {
  return destination.kind === "routes" && destination.held !== undefined;
}

/** Who of ours sent it, or for whom of ours it was written; undefined: it came from outside, or nobody knows. */
export function whoSent(
  origin: Pick<Origin, "direction" | "sender"> | undefined,
  { reversePath, writtenFor, named }: Pick<SpooledEnvelope, "reversePath" | keyof WrittenBy>,
): WhoSent | undefined {
  const sender = origin === undefined || origin.direction === "inbound" ? "" : (origin.sender ?? "");
  if (sender === "" && (writtenFor === undefined || writtenFor.length === 0)) return undefined;
  return {
    sender,
    reversePath,
    ...(writtenFor === undefined ? {} : { writtenFor }),
    ...(named === undefined ? {} : { named }),
  };
}

/** Mail of others than those who have enough ready, in turns: some of each, however much there is of one. */
async function behind(
  spool: Spool,
  { enough, after }: NonNullable<ClaimLimits["look"]>,
  { key, maxSize }: { readonly key: string; readonly maxSize: number | null },
): Promise<{ readonly rows: readonly SpooledEntry[]; readonly lookAfter: string }> {
  const named = await spool.waitingShares(key, after, LOOK_SHARES);
  const others = (after === "" ? ["", ...named] : named).filter((share) => !enough.has(share));
  const entries = await Promise.all(
    others.map((share) => spool.waitingOf(key, { share, limit: LOOK_ROWS, maxSize })),
  );
  const rows = inTurns(entries.map((some) => wholeMessages(some, LOOK_ROWS)));
  return { rows, lookAfter: named.length < LOOK_SHARES ? "" : (named.at(-1) ?? "") };
}

/** In order; large bodies beyond their number are passed over, what is beyond one's own number stays for the next claim. */
function choose(
  all: readonly Work[],
  { maxWorks, maxLarge, maxEach, moreLargeOf }: ClaimLimits,
): { readonly works: readonly Work[]; readonly passedOver: readonly Work[] } {
  const works: Work[] = [];
  const passedOver: Work[] = [];
  const ofEach = new Map<string, { works: number; large: number }>();
  let large = 0;
  for (const work of all) {
    const isLarge = isLargeWork(work);
    const mine = ofEach.get(work.share) ?? { works: 0, large: 0 };
    const isNamed = work.share !== "";
    if (isLarge && (large >= maxLarge || (isNamed && mine.large >= moreLargeOf(work.share))))
      passedOver.push(work);
    else if (works.length < maxWorks && (!isNamed || mine.works < maxEach)) {
      works.push(work);
      ofEach.set(work.share, { works: mine.works + 1, large: mine.large + (isLarge ? 1 : 0) });
      if (isLarge) large++;
    }
  }
  return { works, passedOver };
}

/** Where it goes now; where it went before when that cannot be told: one address must not stop a whole destination. */
export function destinationNow(
  { message, recipient }: SpooledEntry,
  parts: { readonly destinationFor: DestinationFor; readonly log: Log },
): Destination {
  try {
    const { destination: before, origin } = recipient.detail;
    const behind = whoSent(origin, message.envelope);
    const destination = parts.destinationFor(recipient.address, takenFor(before, origin), behind);
    return before.overTls ? overTls(destination) : destination;
  } catch (error) {
    parts.log.error(
      { err: error, id: message.id, recipient: recipient.address },
      "no route; the old one is used",
    );
    const { destination } = recipient.detail;
    // A smart host's password is in the settings alone: without it the host would refuse for good.
    if (destination.kind === "smarthost")
      return {
        kind: "routes",
        key: destination.key,
        routes: [],
        held: "Its way cannot be told now; the gateway's log says why",
      };
    return destination;
  }
}

/**
 * Marks the rows as this process's own. False when one of them was held, dropped or settled since it was read:
 * none is taken then, and the caller looks again.
 */
export async function seizeAll(
  spool: Spool,
  {
    keys,
    at,
    moving = [],
    from = "queued",
  }: {
    readonly keys: readonly EntryKey[];
    readonly at: number;
    readonly moving?: readonly Statement[];
    readonly from?: SeizeFrom;
  },
): Promise<boolean> {
  if (keys.length === 0) {
    if (moving.length > 0) await spool.commit(moving);
    return true;
  }
  const changed = await spool.commit([seize(keys, at, from), ...moving]);
  return changed[0] === keys.length;
}

/** Without the last message when the limit may have cut through its recipients: they leave together next time. */
function wholeMessages(rows: readonly SpooledEntry[], limit: number): readonly SpooledEntry[] {
  const last = rows.at(-1);
  if (last === undefined || rows.length < limit || rows[0]?.message.seq === last.message.seq) return rows;
  return rows.filter((entry) => entry.message.seq !== last.message.seq);
}

/** The earliest time among what was left on disk. */
function nextDue(rows: readonly SpooledEntry[], taken: readonly EntryKey[], atLeast: number | null): number {
  const gone = new Set(taken.map(({ seq, n }) => `${seq} ${n}`));
  const left = rows.find((entry) => !gone.has(`${entry.message.seq} ${entry.recipient.n}`));
  if (left !== undefined) return left.recipient.nextAttemptAt;
  if (rows.length === MAX_ROWS || atLeast !== null) return atLeast ?? 0;
  return Number.POSITIVE_INFINITY;
}
