// What belongs to a domain beside the settings: its DKIM keys, and the accounts that may manage it. Goes with it, in the same commit.
import { eq, sql } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import { dkimKey } from "./dkim-schema.ts";
import { account } from "./gatepost-schema.ts";
import { sqlBuilder, sqlStatement, statement, typed } from "./statement.ts";

export interface DomainBelongings {
  /** Selectors. */
  readonly keys: readonly string[];
  /** Logins of the accounts that name it. */
  readonly accounts: readonly string[];
}

/** Most that are listed by name. */
const MOST = 1000;

/** What the domain has now. */
export async function domainBelongings(reader: DatabaseReader, domain: string): Promise<DomainBelongings> {
  const read = typed(reader);
  const keys = await read
    .select({ selector: dkimKey.selector })
    .from(dkimKey)
    .where(eq(dkimKey.domain, domain))
    .orderBy(dkimKey.selector)
    .limit(MOST);
  const accounts = await read
    .select({ login: account.login })
    .from(account)
    .where(sql`exists (select 1 from json_each(${account.domains}) where value = ${domain})`)
    .orderBy(account.login)
    .limit(MOST);
  return { keys: keys.map(({ selector }) => selector), accounts: accounts.map(({ login }) => login) };
}

/** Takes all of it away. */
export function belongingsRemoval(domain: string): readonly Statement[] {
  return [
    statement(sqlBuilder.delete(dkimKey).where(eq(dkimKey.domain, domain))),
    sqlStatement(
      sql`update account set domains = (select json_group_array(value) from json_each(account.domains) where value <> ${domain}) where exists (select 1 from json_each(account.domains) where value = ${domain})`,
    ),
  ];
}
