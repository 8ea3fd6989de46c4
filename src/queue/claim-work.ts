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
import { senderOfShare } from "../message/mail-share.ts";
import type { Log } from "../observe/log.ts";
import type { Statement } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";
import type { EntryKey, Origin, SpooledEntry, SpooledEnvelope } from "../store/spool-entry.ts";
import { changeDestination, type SeizeFrom, seize } from "../store/spool-writing.ts";
import { plausibleTime } from "./back-off.ts";
import type { ClaimLimits, Look } from "./claim-limits.ts";
import { isLargeWork } from "./lane.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { inTurns } from "./share-use.ts";
import { withWriters } from "./with-writers.ts";
import { groupWork, keysOf, MAX_RECIPIENTS_PER_ATTEMPT, type Work } from "./work.ts";

const MAX_ROWS = MAX_RECIPIENTS_PER_ATTEMPT;
/** Of so many others mail is looked for at once, and so many rows of each. */
const LOOK_SHARES = 20;
const LOOK_ROWS = 25;

/** Where the next look begins. */
interface Looked {
  /** Behind that sender; empty: with the first. */
  readonly lookAfter: string;
  /** Of these senders behind that one; null: with the first. */
  readonly lookBehind: readonly (readonly [sender: string, last: string | null])[];
}
const NO_LOOK: Looked = { lookAfter: "", lookBehind: [] };

export interface Claim extends Looked {
  readonly works: readonly Work[];
  /** When the next of the destination's mail is due; Infinity when nothing is left on disk. */
  readonly nextDueAt: number;
  /** Large mail that is due may have been left on disk: `nextDueAt` does not speak of it. */
  readonly passedOver: boolean;
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
  const { rows, ...looked } =
    most.look === null
      ? { rows: await spool.waiting(key, MAX_ROWS, maxSize), ...NO_LOOK }
      : await ofOthers(spool, most.look, { key, maxSize });
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
    ...looked,
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

/** Mail of others than those who have enough, in turns: some of each, however much there is of one. */
async function ofOthers(
  spool: Spool,
  { hasEnough, after, behind }: Look,
  { key, maxSize }: { readonly key: string; readonly maxSize: number | null },
): Promise<Looked & { readonly rows: readonly SpooledEntry[] }> {
  const firsts = await spool.waitingSenders(key, after, LOOK_SHARES);
  const each = Math.max(1, Math.floor(LOOK_SHARES / Math.max(1, firsts.length)));
  const senders = await Promise.all(
    firsts.map(async (first) => {
      const sender = senderOfShare(first);
      const shares = await spool.waitingShares(key, { sender, after: behind.get(sender) ?? "", limit: each });
      // Its own mail stands before that of those behind it.
      const own = sender === first ? [first] : [];
      return {
        sender,
        shares: [...own, ...shares],
        last: shares.length < each ? null : (shares.at(-1) ?? null),
      };
    }),
  );
  const named = senders.flatMap(({ shares }) => shares);
  const others = (after === "" ? ["", ...named] : named).filter((share) => !hasEnough(share));
  const entries = await Promise.all(
    others.map((share) => spool.waitingOf(key, { share, limit: LOOK_ROWS, maxSize })),
  );
  return {
    rows: inTurns(entries.map((some) => wholeMessages(some, LOOK_ROWS))),
    lookAfter: senders.length < LOOK_SHARES ? "" : (senders.at(-1)?.sender ?? ""),
    lookBehind: senders.map(({ sender, last }) => [sender, last] as const),
  };
}

/** In order; large bodies beyond their number are passed over, what is beyond one's own number stays for the next claim. */
function choose(
  all: readonly Work[],
  { maxWorks, maxLarge, maxEach, takes }: ClaimLimits,
): { readonly works: readonly Work[]; readonly passedOver: readonly Work[] } {
  const works: Work[] = [];
  const passedOver: Work[] = [];
  const ofEach = new Map<string, number>();
  let large = 0;
  for (const work of all) {
    const isLarge = isLargeWork(work);
    const mine = ofEach.get(work.share) ?? 0;
    const hasRoom = works.length < maxWorks && mine < maxEach;
    if (isLarge && large >= maxLarge) passedOver.push(work);
    else if (hasRoom && takes(work)) {
      works.push(work);
      ofEach.set(work.share, mine + 1);
      if (isLarge) large++;
    } else if (isLarge && hasRoom) passedOver.push(work);
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
