// Finds the ids of messages for a search: walks the narrowest index in steps, newest first, within a time limit.
import { type SQL, sql } from "drizzle-orm";
import type { DatabaseReader, SqlRow } from "./database.ts";
import { firstIdAt } from "./message-id-range.ts";
import type { LogFilter } from "./message-log.ts";
import { type SearchTerm, searchTerms } from "./search-terms.ts";
import { sqlStatement } from "./statement.ts";

// An id is made when a transaction begins and the message is received when it ends: they never lie hours apart.
const ID_SLACK_MS = 7_200_000;
const FIRST_STEP = 500;
const MAX_STEP = 16_000;
const TIME_LIMIT_MS = 900;
/** How far an index is counted to find the narrowest. */
const PROBE = 5000;

type IndexedTerm = Exclude<SearchTerm, { readonly kind: "word" | "id" }>;
interface Range {
  readonly from: string | null;
  readonly before: string | null;
}

/** What a search found, and how far it came. */
export interface FoundIds {
  /** Newest first. */
  readonly ids: readonly string[];
  /** When the time limit came first: only what is not older than this id was looked at. Null: everything was, or as many were found as asked for. */
  readonly cutAt: string | null;
}

/**
 * Ids that match, newest first, at most `limit`. When the time limit comes first, what was found by then:
 * the newest matches are never left out in favour of older ones.
 */
export async function searchMessageIds(
  reader: DatabaseReader,
  filter: LogFilter,
  limits: { readonly timeMs?: number } = {},
): Promise<FoundIds> {
  const terms = searchTerms(filter);
  const deadline = performance.now() + (limits.timeMs ?? TIME_LIMIT_MS);
  const conditions = [...terms.map(condition), ...times(filter)];
  const range = idRange(filter, terms);
  const source = await narrowest(reader, terms, range);
  const found: string[] = [];
  let before = range.before;
  for (let step = FIRST_STEP; ; step = Math.min(step * 4, MAX_STEP)) {
    const candidates = source({ ...range, before }, step);
    const last = (await run(reader, sql`select min(id), count(*) from (${candidates})`))[0];
    if (last === undefined || Number(last[1]) === 0) break;
    const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`;
    const rows = await run(
      reader,
      sql`select m.id from (${candidates}) c cross join message m on m.id = c.id ${where}
          order by m.id desc limit ${filter.limit - found.length}`,
    );
    for (const row of rows) found.push(String(row[0]));
    before = String(last[0]);
    if (found.length >= filter.limit || Number(last[1]) < step) break;
    if (performance.now() > deadline) return { ids: found, cutAt: before };
  }
  return { ids: found, cutAt: null };
}

function idRange(filter: LogFilter, terms: readonly SearchTerm[]): Range {
  const from = filter.since === undefined ? null : firstIdAt(filter.since - ID_SLACK_MS);
  const until = filter.until === undefined ? null : firstIdAt(filter.until + ID_SLACK_MS);
  const before = [filter.before, until].filter((id) => typeof id === "string").sort()[0] ?? null;
  const id = terms.find((term) => term.kind === "id");
  // The id itself is the narrowest range there is; "\u007f" sorts after every character of an id.
  if (id !== undefined)
    return { from: id.id, before: before !== null && before <= id.id ? id.id : `${id.id}\u007f` };
  return { from, before };
}

function times(filter: LogFilter): SQL[] {
  const conditions: SQL[] = [];
  if (filter.since !== undefined) conditions.push(sql`m.received_at >= ${filter.since}`);
  if (filter.until !== undefined) conditions.push(sql`m.received_at <= ${filter.until}`);
  return conditions;
}

type Source = (range: Range, limit: number) => SQL;

/** The term with the fewest entries in its index leads the way; without any, the log itself in order of time. */
async function narrowest(
  reader: DatabaseReader,
  terms: readonly SearchTerm[],
  range: Range,
): Promise<Source> {
  const indexed = terms.filter((term): term is IndexedTerm => term.kind !== "word" && term.kind !== "id");
  let best: Source = (inRange, limit) => part(sql`message`, sql`id`, sql`1`, inRange, limit);
  let fewest = Number.POSITIVE_INFINITY;
  for (const term of indexed) {
    const source: Source = (inRange, limit) => candidatesOf(term, inRange, limit);
    const count =
      indexed.length === 1
        ? 0
        : Number((await run(reader, sql`select count(*) from (${source(range, PROBE)})`))[0]?.[0]);
    if (count < fewest) {
      fewest = count;
      best = source;
    }
  }
  return best;
}

/** The newest ids for a term, straight from its index. */
function candidatesOf(term: IndexedTerm, range: Range, limit: number): SQL {
  const recipients = (where: SQL): SQL => part(sql`message_recipient`, sql`message_id`, where, range, limit);
  const messages = (where: SQL): SQL => part(sql`message`, sql`id`, where, range, limit);
  switch (term.kind) {
    case "rule":
      return recipients(sql`rule = ${term.rule}`);
    case "state":
      return recipients(sql`state = ${term.state}`);
    case "domain":
      return union(
        [recipients(sql`domain = ${term.domain}`), messages(sql`sender_domain = ${term.domain}`)],
        limit,
      );
    case "recipient":
      return recipients(term.by === "address" ? sql`address = ${term.value}` : sql`domain = ${term.value}`);
    case "sender":
      return term.by === "address"
        ? union([messages(sql`sender = ${term.value}`), messages(sql`header_address = ${term.value}`)], limit)
        : messages(sql`sender_domain = ${term.value}`);
    case "party": {
      const sides = [candidatesOf({ ...term, kind: "sender" }, range, limit)];
      sides.push(candidatesOf({ ...term, kind: "recipient" }, range, limit));
      return union(sides, limit);
    }
  }
}

function part(table: SQL, id: SQL, where: SQL, range: Range, limit: number): SQL {
  const from = range.from === null ? sql`` : sql` and ${id} >= ${range.from}`;
  const before = range.before === null ? sql`` : sql` and ${id} < ${range.before}`;
  return sql`select distinct ${id} as id from ${table} where ${where}${from}${before} order by ${id} desc limit ${limit}`;
}

function union(parts: readonly SQL[], limit: number): SQL {
  const selects = parts.map((one) => sql`select id from (${one})`);
  return sql`select id from (${sql.join(selects, sql` union `)}) order by id desc limit ${limit}`;
}

/**
 * Message `m` came from a client of ours, not from an outsider who only claims its sender: it went out, or was refused to somebody who had
 * logged in. Read from the record, for the few rows that get so far.
 */
const SENT_BY_OURS = sql`exists (select 1 from message_detail d where d.id = m.id and coalesce(
  json_extract(d.record, '$.record.recipients[0].direction') <> 'inbound',
  json_extract(d.record, '$.record.envelope.client.login') is not null))`;

/** The term as a condition on message `m`. */
function condition(term: SearchTerm): SQL {
  const recipient = (where: SQL): SQL =>
    sql`exists (select 1 from message_recipient r where r.message_id = m.id and ${where})`;
  switch (term.kind) {
    case "id":
      return sql`m.id = ${term.id}`;
    case "rule":
      return recipient(sql`r.rule = ${term.rule}`);
    case "state":
      return recipient(sql`r.state = ${term.state}`);
    case "domain":
      return sql`(${recipient(sql`r.domain = ${term.domain}`)} or (m.sender_domain = ${term.domain} and ${SENT_BY_OURS}))`;
    case "recipient":
      return recipient(
        term.by === "address" ? sql`r.address = ${term.value}` : sql`r.domain = ${term.value}`,
      );
    case "sender":
      return term.by === "address"
        ? sql`(m.sender = ${term.value} or m.header_address = ${term.value})`
        : sql`m.sender_domain = ${term.value}`;
    case "party":
      return sql`(${condition({ ...term, kind: "sender" })} or ${condition({ ...term, kind: "recipient" })})`;
    case "word": {
      const tests = term.patterns.map(
        (pattern) => sql`m.subject like ${pattern} escape '\\' or m.header_from like ${pattern} escape '\\'
          or m.sender like ${pattern} escape '\\' or ${recipient(sql`r.address like ${pattern} escape '\\'`)}`,
      );
      return sql`(${sql.join(tests, sql` or `)})`;
    }
  }
}

function run(reader: DatabaseReader, query: SQL): Promise<readonly SqlRow[]> {
  return reader.query(sqlStatement(query));
}
