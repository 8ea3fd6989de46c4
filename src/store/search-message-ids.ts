// Finds the ids of messages for a search: walks the narrowest index in steps, newest first, within a time limit.
import { type SQL, sql } from "drizzle-orm";
import { domainKey, networkMatcher } from "../message/address.ts";
import type { DatabaseReader, SqlRow } from "./database.ts";
import { firstIdAt } from "./message-id-range.ts";
import type { LogFilter } from "./message-log.ts";
import { type SearchTerm, searchTerms } from "./search-terms.ts";
import { sentFrom, shownIn } from "./shown-recipients.ts";
import { sqlStatement } from "./statement.ts";

// An id is made when a transaction begins and the message is received when it ends: they never lie hours apart.
const ID_SLACK_MS = 7_200_000;
const FIRST_STEP = 500;
const MAX_STEP = 16_000;
const TIME_LIMIT_MS = 900;
/** How far an index is counted to find the narrowest. */
const PROBE = 5000;

/** A part of a name that so many servers have says little: the log is walked in order of time then. */
const MAX_SERVERS = 50;
/** So many names of servers are looked through. */
const MAX_NAMES = 200_000;

type IndexedTerm = Exclude<SearchTerm, { readonly kind: "word" | "id" | "reply" }>;
type NetworkTerm = Extract<SearchTerm, { readonly kind: "network" }>;
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
  const deadline = performance.now() + (limits.timeMs ?? TIME_LIMIT_MS);
  const terms = await withServers(reader, searchTerms(filter));
  const found = await walk(reader, { filter, terms, deadline });
  if (found.ids.length > 0 || found.cutAt !== null || (filter.text ?? "").trim() === "") return found;
  // What looks like an address, a name or an id may stand in a subject or a reply as well.
  const asWords = searchTerms(filter, { asWords: true });
  if (Bun.deepEquals(terms, asWords)) return found;
  return walk(reader, { filter, terms: await withServers(reader, asWords), deadline });
}

async function walk(
  reader: DatabaseReader,
  {
    filter,
    terms,
    deadline,
  }: { readonly filter: LogFilter; readonly terms: readonly SearchTerm[]; readonly deadline: number },
): Promise<FoundIds> {
  const shown = shownIn(filter.domain === undefined ? undefined : domainKey(filter.domain));
  const conditions = [...terms.map((term) => condition(term, shown)), ...times(filter)];
  const range = idRange(filter, terms);
  const source = await narrowest(reader, terms, range);
  // An address as text does not say whether it is in a network: what is left by then is looked at here.
  const networks = terms.flatMap((term) => (term.kind === "network" ? [networkMatcher([term.network])] : []));
  const found: string[] = [];
  let before = range.before;
  for (let step = FIRST_STEP; ; step = Math.min(step * 4, MAX_STEP)) {
    const candidates = source({ ...range, before }, step);
    const last = (await run(reader, sql`select min(id), count(*) from (${candidates})`))[0];
    if (last === undefined || Number(last[1]) === 0) break;
    const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`;
    const rows = await run(
      reader,
      sql`select m.id, m.client_ip from (${candidates}) c cross join message m on m.id = c.id ${where}
          order by m.id desc limit ${networks.length > 0 ? step : filter.limit - found.length}`,
    );
    for (const row of rows) {
      if (networks.length > 0 && !networks.every((holds) => holds(String(row[1])))) continue;
      if (found.length < filter.limit) found.push(String(row[0]));
    }
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
  const indexed: IndexedTerm[] = [];
  for (const term of terms) {
    if (!isIndexed(term)) continue;
    // Much of the log came from there: it is found sooner in the order of time.
    if (term.kind === "network" && (await isWide(reader, term))) continue;
    indexed.push(term);
  }
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

function isIndexed(term: SearchTerm): term is IndexedTerm {
  switch (term.kind) {
    case "word":
    case "id":
    case "reply":
      return false;
    case "server":
      return term.names !== undefined;
    case "either":
      return term.terms.every(isIndexed);
    default:
      return true;
  }
}

/** The terms with the servers they name, where those are few. */
function withServers(reader: DatabaseReader, terms: readonly SearchTerm[]): Promise<readonly SearchTerm[]> {
  return Promise.all(
    terms.map(async (term): Promise<SearchTerm> => {
      if (term.kind === "either") return { ...term, terms: await withServers(reader, term.terms) };
      if (term.kind !== "server") return term;
      const names = await serversLike(reader, term.patterns);
      return names.length > MAX_SERVERS ? term : { ...term, names };
    }),
  );
}

/** Jumps from name to name in the index: there are few names in however many attempts. */
async function serversLike(reader: DatabaseReader, patterns: readonly string[]): Promise<readonly string[]> {
  const rows = await run(
    reader,
    sql`with recursive name(text) as (
        select min(servers) from attempt
        union all
        select (select min(servers) from attempt where servers > name.text) from name
          where name.text is not null limit ${MAX_NAMES}
      ) select text from name where ${any(patterns, (like) => sql`text ${like}`)} limit ${MAX_SERVERS + 1}`,
  );
  return rows.map(([text]) => String(text));
}

async function isWide(reader: DatabaseReader, term: NetworkTerm): Promise<boolean> {
  const rows = await run(
    reader,
    sql`select count(*) from (select 1 from message where ${prefixed(sql`client_ip`, term)} limit ${PROBE})`,
  );
  return Number(rows[0]?.[0]) >= PROBE;
}

/** "g" sorts after all that addresses are written with. */
function prefixed(column: SQL, { prefix }: NetworkTerm): SQL {
  return sql`${column} >= ${prefix} and ${column} < ${`${prefix}g`}`;
}

/** The newest ids for a term, straight from its index. */
function candidatesOf(term: IndexedTerm, range: Range, limit: number): SQL {
  const recipients = (where: SQL): SQL => part(sql`message_recipient`, sql`message_id`, where, range, limit);
  const messages = (where: SQL): SQL => part(sql`message`, sql`id`, where, range, limit);
  switch (term.kind) {
    case "server":
      return union(
        (term.names ?? []).map((name) =>
          part(sql`attempt`, sql`message_id`, sql`servers = ${name}`, range, limit),
        ),
        limit,
      );
    case "either":
      return union(
        term.terms.filter(isIndexed).map((one) => candidatesOf(one, range, limit)),
        limit,
      );
    case "rule":
      return recipients(sql`rule = ${term.rule}`);
    case "state":
      return union([recipients(sql`state = ${term.state}`), messages(sql`state = ${term.state}`)], limit);
    case "client":
      return messages(sql`client_ip = ${term.ip}`);
    case "network":
      return messages(prefixed(sql`client_ip`, term));
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
  if (parts.length === 0) return sql`select id from message where false`;
  const selects = parts.map((one) => sql`select id from (${one})`);
  return sql`select id from (${sql.join(selects, sql` union `)}) order by id desc limit ${limit}`;
}

/** The term as a condition on message `m`, of whose recipients those are looked at that are `shown`. */
function condition(term: SearchTerm, shown: SQL): SQL {
  const recipient = (where: SQL): SQL =>
    sql`exists (select 1 from message_recipient r where r.message_id = m.id and ${where} and ${shown})`;
  const attempted = (where: SQL): SQL =>
    sql`exists (select 1 from attempt a, json_each(a.outcomes) o where a.message_id = m.id and ${where}
      and exists (select 1 from message_recipient r where r.message_id = m.id and r.n = o.value ->> 'n' and ${shown}))`;
  switch (term.kind) {
    case "id":
      return sql`m.id = ${term.id}`;
    case "rule":
      return recipient(sql`r.rule = ${term.rule}`);
    case "state":
      return sql`(m.state = ${term.state} or ${recipient(sql`r.state = ${term.state}`)})`;
    case "domain":
      return sql`(${recipient(sql`r.domain = ${term.domain}`)} or ${sentFrom(term.domain)})`;
    case "recipient":
      return recipient(
        term.by === "address" ? sql`r.address = ${term.value}` : sql`r.domain = ${term.value}`,
      );
    case "sender":
      return term.by === "address"
        ? sql`(m.sender = ${term.value} or m.header_address = ${term.value})`
        : sql`m.sender_domain = ${term.value}`;
    case "party":
      return sql`(${condition({ ...term, kind: "sender" }, shown)} or ${condition({ ...term, kind: "recipient" }, shown)})`;
    case "client":
      return sql`m.client_ip = ${term.ip}`;
    case "network":
      return prefixed(sql`m.client_ip`, term);
    case "either":
      return sql`(${sql.join(
        term.terms.map((one) => condition(one, shown)),
        sql` or `,
      )})`;
    case "server":
      return any(term.patterns, (like) => attempted(sql`o.value ->> 'server' ${like}`));
    case "reply":
      return any(
        term.patterns,
        (like) => sql`m.refusal ${like} or m.cause ${like} or ${recipient(sql`r.words ${like}`)}
        or ${attempted(sql`o.value ->> 'text' ${like}`)}`,
      );
    case "word":
      return any(
        term.patterns,
        (
          like,
        ) => sql`m.subject ${like} or m.header_from ${like} or m.sender ${like} or m.refusal ${like} or m.cause ${like} or m.client_ip ${like}
          or ${recipient(sql`(r.address ${like} or r.words ${like})`)}
          or ${attempted(sql`(o.value ->> 'text' ${like} or o.value ->> 'server' ${like})`)}`,
      );
  }
}

function any(patterns: readonly string[], test: (like: SQL) => SQL): SQL {
  const tests = patterns.map((pattern) => test(sql`like ${pattern} escape '\\'`));
  return sql`(${sql.join(tests, sql` or `)})`;
}

function run(reader: DatabaseReader, query: SQL): Promise<readonly SqlRow[]> {
  return reader.query(sqlStatement(query));
}
