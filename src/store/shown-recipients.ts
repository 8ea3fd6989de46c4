// Which recipients of a message a list about one domain shows, as conditions: all of what the domain sent, and its own of what came in.
// Searches ask the same, so that nothing is found by what is not shown.
import { type SQL, sql } from "drizzle-orm";

/**
 * Message `m` came from a client of ours, not from an outsider who only claims its sender: it went out, or was refused to somebody who had
 * logged in or to another sender of ours. Read from the record, for the few rows that get so far.
 */
const SENT_BY_OURS = sql`exists (select 1 from message_detail d where d.id = m.id and coalesce(
  json_extract(d.record, '$.record.recipients[0].direction') <> 'inbound',
  json_extract(d.record, '$.record.envelope.client.login') is not null or exists (
    select 1 from json_each(d.record, '$.record.findings') f where f.value ->> 'fact' = 'identity.sender')))`;

/** Message `m` was sent by people or machines of the domain. */
export function sentFrom(domain: string): SQL {
  return sql`(m.sender_domain = ${domain} and ${SENT_BY_OURS})`;
}

/** Recipient `r` of message `m` is shown in a list about the domain; undefined: a list about all. */
export function shownIn(domain: string | undefined): SQL {
  return domain === undefined ? sql`true` : sql`(r.domain = ${domain} or ${sentFrom(domain)})`;
}
