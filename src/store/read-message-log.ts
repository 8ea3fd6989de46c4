// Reads the message log. Searches go step by step, newest first, from the narrowest index, and stop at a time limit:
// they never hold a reader for long, whatever is asked.
import { desc, eq, inArray, type SQL, sql } from "drizzle-orm";
import { domainKey } from "../message/address.ts";
import type { DatabaseReader } from "./database.ts";
import { attempt, message, messageDetail, messageRecipient } from "./gatepost-schema.ts";
import type { LogEvent, MessageRecord, RecipientState } from "./log-record.ts";
import { firstIdAt } from "./message-id-range.ts";
import type { FoundLines, LogFilter, LogLine, LogMessage, MessageLog } from "./message-log.ts";
import { searchMessageIds } from "./search-message-ids.ts";
import { shownIn } from "./shown-recipients.ts";
import { sqlStatement, typed } from "./statement.ts";

const STATES: readonly RecipientState[] = [
  "queued",
  "held",
  "delivered",
  "failed",
  "quarantined",
  "released",
  "discarded",
  "refused",
  "put-off",
  "dropped",
];
const MAX_LINES = 1000;
const MAX_BUCKETS = 1000;
// A message to thousands shows the first of them in lists; its own page has them all.
const MAX_RECIPIENTS_IN_LIST = 100;

/** The message log over a reader; give it one of its own (`openReader`), so that searches stall no write. */
export function createMessageLog(
  reader: DatabaseReader,
  options: { readonly now?: () => number; readonly searchMs?: number } = {},
): MessageLog {
  const now = options.now ?? Date.now;
  const limits = options.searchMs === undefined ? {} : { timeMs: options.searchMs };
  const find = (filter: LogFilter) => findLines(reader, filter, limits);
  return {
    search: async (filter) => (await find(filter)).lines,
    find,
    get: (id) => get(reader, id),
    volume: (options) => volume(reader, { ...options, untilMs: now() }),
  };
}

async function findLines(
  reader: DatabaseReader,
  filter: LogFilter,
  limits: { readonly timeMs?: number },
): Promise<FoundLines> {
  const limit = Math.min(Math.max(1, Math.floor(filter.limit)), MAX_LINES);
  const { ids, cutAt } = await searchMessageIds(reader, { ...filter, limit }, limits);
  return { lines: ids.length === 0 ? [] : await linesOf(reader, ids, filter.domain), cutAt };
}

/** The lines of these messages, newest first, with what a list about the domain shows of them; undefined: all. */
async function linesOf(
  reader: DatabaseReader,
  ids: readonly string[],
  domain: string | undefined,
): Promise<readonly LogLine[]> {
  const database = typed(reader);
  const list = sql`(select value from json_each(${JSON.stringify(ids)}))`;
  const shown = shownIn(domain === undefined ? undefined : domainKey(domain));
  const rows = await database
    .select()
    .from(message)
    .where(inArray(message.id, list))
    .orderBy(desc(message.id));
  const recipients = await recipientsOf(reader, list, shown);
  const states = await statesOf(reader, list, shown);
  return rows.map((row) => ({
    id: row.id,
    receivedAt: row.receivedAt,
    clientIp: row.clientIp,
    reversePath: row.sender,
    headerFrom: row.headerFrom,
    subject: row.subject,
    size: row.size,
    refusal: row.refusal,
    states: row.state === null ? (states.get(row.id) ?? []) : [row.state],
    recipients: recipients.get(row.id) ?? [],
  }));
}

/** By message, each in its order: the first hundred. */
async function recipientsOf(
  reader: DatabaseReader,
  list: SQL,
  shown: SQL,
): Promise<ReadonlyMap<string, LogLine["recipients"]>> {
  const rows = await reader.query(
    sqlStatement(sql`select message_id, address, state, rule from (
        select r.message_id, r.n, r.address, r.state, r.rule,
          row_number() over (partition by r.message_id order by r.n) as place
        from message m cross join message_recipient r on r.message_id = m.id where m.id in ${list} and ${shown}
      ) where place <= ${MAX_RECIPIENTS_IN_LIST} order by message_id, n`),
  );
  const found = new Map<string, LogLine["recipients"][number][]>();
  for (const [id, address, state, rule] of rows) {
    const one = {
      address: String(address),
      state: state as RecipientState,
      rule: rule === null ? null : String(rule),
    };
    const before = found.get(String(id));
    if (before === undefined) found.set(String(id), [one]);
    else before.push(one);
  }
  return found;
}

/** Asked for each state in its index: a message to ten thousand costs no more than one to one. */
async function statesOf(
  reader: DatabaseReader,
  list: SQL,
  shown: SQL,
): Promise<ReadonlyMap<string, readonly RecipientState[]>> {
  const rows = await reader.query(
    sqlStatement(sql`select m.id, s.value from message m cross join json_each(${JSON.stringify(STATES)}) s
      where m.id in ${list} and exists (
        select 1 from message_recipient r where r.state = s.value and r.message_id = m.id and ${shown})`),
  );
  const byMessage = Map.groupBy(rows, ([id]) => String(id));
  return new Map(
    [...byMessage].map(([id, found]) => [id, found.map(([, state]) => state as RecipientState)]),
  );
}

async function get(reader: DatabaseReader, id: string): Promise<LogMessage | null> {
  const database = typed(reader);
  const [detail] = await database
    .select({ record: messageDetail.record })
    .from(messageDetail)
    .where(eq(messageDetail.id, id));
  if (detail === undefined) return null;
  const states = await database
    .select({
      n: messageRecipient.n,
      state: messageRecipient.state,
      at: messageRecipient.stateAt,
      nextAttemptAt: messageRecipient.nextAttemptAt,
      words: messageRecipient.words,
    })
    .from(messageRecipient)
    .where(eq(messageRecipient.messageId, id))
    .orderBy(messageRecipient.n);
  const attempts = await database
    .select()
    .from(attempt)
    .where(eq(attempt.messageId, id))
    .orderBy(attempt.startedAt, attempt.id);
  return { record: recordOf(detail.record), states, attempts };
}

/** The record inside a stored message event. */
function recordOf(json: string): MessageRecord {
  const event = JSON.parse(json) as LogEvent;
  if (event.kind !== "message") throw new Error(`a message detail holds an event of kind "${event.kind}"`);
  return event.record;
}

/** Counted in the indexes of states alone: the start of a bucket is an id. */
async function volume(
  reader: DatabaseReader,
  options: { readonly sinceMs: number; readonly bucketMs: number; readonly untilMs: number },
): Promise<{ at: number; state: RecipientState; count: number }[]> {
  const bucketMs = Math.max(1000, options.bucketMs, (options.untilMs - options.sinceMs) / MAX_BUCKETS);
  const buckets: [at: number, from: string, to: string][] = [];
  for (let at = options.sinceMs; at <= options.untilMs; at += bucketMs) {
    buckets.push([Math.round(at), firstIdAt(at), firstIdAt(at + bucketMs)]);
  }
  const rows = await reader.query(
    sqlStatement(sql`select b.value ->> 0, s.value, (
        select count(*) from message_recipient r
        where r.state = s.value and r.message_id >= b.value ->> 1 and r.message_id < b.value ->> 2
      ) + (
        select count(*) from message m where m.state = s.value and m.id >= b.value ->> 1 and m.id < b.value ->> 2
      ) as found
      from json_each(${JSON.stringify(buckets)}) b, json_each(${JSON.stringify(STATES)}) s where found > 0 order by 1, 2`),
  );
  return rows.map((row) => ({
    at: Number(row[0]),
    state: row[1] as RecipientState,
    count: Number(row[2]),
  }));
}
