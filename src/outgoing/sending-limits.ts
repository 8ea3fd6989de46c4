// Limits of a sender or identity: may one more connection, may so many recipients pass now? Counts only what it is told to count.
import { type Reply, reply } from "../policy/reply.ts";
import { EventLog } from "./event-log.ts";
import type { LimitUse, OutgoingConnection } from "./outgoing.ts";
import type { LimitPlan, WindowLimit } from "./sending-plan.ts";
import { DAY_MS, type Tally } from "./tally.ts";
import { waitWords } from "./time-words.ts";

const HOUR_MS = 3_600_000;
/** A connection remembers so many identities it was counted for; a stranger behind a smart host may make up more. */
const MAX_COUNTED = 1000;

/** For whom a connection was counted already: `sender` and identity. Held by the connection, gone with it. */
export type CountedConnections = WeakMap<OutgoingConnection, Set<string>>;

function countedAs({ sender, name }: Tally): string {
  return `${sender}\n${name}`;
}

/** The limit a further connection would break, or null. A connection that was counted before breaks none. */
export function refuseConnection(
  tally: Tally,
  plan: LimitPlan,
  at: { readonly now: number; readonly connection: OutgoingConnection; readonly counted: CountedConnections },
): Reply | null {
  const { now, connection, counted } = at;
  const log = tally.connections;
  if (log === null || plan.connections.length === 0) return null;
  const full = plan.connections.filter(({ windowMs, most }) => log.sum(now, windowMs) >= most);
  if (full.length === 0 || counted.get(connection)?.has(countedAs(tally)) === true) return null;
  // Of several full windows the one that frees last is what the client must wait for.
  let worst: WindowLimit | undefined;
  let freeAt = now;
  for (const limit of full) {
    const free = log.freeAt(now, limit.windowMs, log.sum(now, limit.windowMs) - limit.most + 1) ?? now;
    if (worst === undefined || free > freeAt) {
      worst = limit;
      freeAt = free;
    }
  }
  if (worst === undefined) return null;
  return overLimit(tally, `${worst.most} ${plural("connection", worst.most)} per ${worst.per}`, freeAt - now);
}

/** Counts the connection for the sender or identity when it is the first time. True: it was. */
export function countConnection(
  tally: Tally,
  plan: LimitPlan,
  at: { readonly now: number; readonly connection: OutgoingConnection; readonly counted: CountedConnections },
): boolean {
  if (plan.keepConnectionsMs === 0) return false;
  const { now, connection, counted } = at;
  const seen = counted.get(connection) ?? new Set<string>();
  const as = countedAs(tally);
  if (seen.has(as)) return false;
  if (seen.size === 0) counted.set(connection, seen);
  if (seen.size >= MAX_COUNTED) seen.clear();
  seen.add(as);
  tally.connections ??= new EventLog(plan.keepConnectionsMs);
  tally.connections.keep(plan.keepConnectionsMs, now);
  tally.connections.add(now, 1);
  return true;
}

/** Is there no room for `wanted` more recipients, besides those of messages that are being checked? */
export function refuseRecipients(
  tally: Tally,
  plan: LimitPlan,
  { now, wanted }: { readonly now: number; readonly wanted: number },
): Reply | null {
  const limit = plan.recipients;
  if (limit === null) return null;
  const used = tally.recipients?.sum(now, limit.windowMs) ?? 0;
  const excess = used + tally.reserved + wanted - limit.most;
  if (excess <= 0) return null;
  const freeAt = tally.recipients?.freeAt(now, limit.windowMs, excess) ?? now + limit.windowMs;
  return overLimit(tally, `${limit.most} ${plural("recipient", limit.most)} per ${limit.per}`, freeAt - now);
}

/** Counts recipients of a message that was taken. They are remembered for a day where a limit asks for it, else for an hour. */
export function countRecipients(
  tally: Tally,
  plan: LimitPlan,
  at: { readonly now: number; readonly count: number },
): void {
  const keepMs = plan.recipients === null ? HOUR_MS : DAY_MS;
  tally.recipients ??= new EventLog(keepMs);
  tally.recipients.keep(keepMs, at.now);
  tally.recipients.add(at.now, at.count);
}

function overLimit(tally: Tally, limit: string, waitMs: number): Reply {
  const whose = tally.name === "" ? "sender" : "identity";
  return reply(
    450,
    "7.1",
    `Limit of ${limit} reached for this ${whose}; free again in ${waitWords(waitMs)}`,
    `${whose} ${tally.name === "" ? tally.sender : `"${tally.name}" of ${tally.sender}`} is over its limit`,
  );
}

function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`;
}

/** How far each limit that is set is used. */
export function limitsUsed(tally: Tally, plan: LimitPlan, now: number): readonly LimitUse[] {
  const all: readonly (readonly [WindowLimit, EventLog | null])[] = [
    ...plan.connections.map((limit) => [limit, tally.connections] as const),
    ...(plan.recipients === null ? [] : [[plan.recipients, tally.recipients] as const]),
  ];
  return all.map(([{ limit, windowMs, most }, log]) => {
    // As `refuseRecipients` counts: with those of messages that are being checked.
    const used = (log?.sum(now, windowMs) ?? 0) + (limit === "recipients_per_day" ? tally.reserved : 0);
    const freeAt = used < most ? null : (log?.freeAt(now, windowMs, used - most + 1) ?? now + windowMs);
    return { limit, used, most, freeAt };
  });
}
