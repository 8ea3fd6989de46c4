// DKIM keys in gatepost.db: what is read and the statements that change it. What the states mean is src/dkim's business.
import { and, eq } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import { dkimKey } from "./dkim-schema.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

/** A key as it is stored. `privateKey` is sealed. Times in milliseconds UTC. */
export interface DkimKeyRow {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: "rsa" | "ed25519";
  readonly state: "pending" | "active" | "retiring";
  /** What stands behind `p=` in the record. */
  readonly publicKey: string;
  readonly privateKey: string;
  readonly createdAt: number;
  readonly activatedAt: number | null;
  readonly retireAt: number | null;
  readonly publicationState: "unchecked" | "published" | "missing" | "different" | "failed";
  readonly publicationCheckedAt: number | null;
  readonly publicationWords: string;
}

type KeyName = Pick<DkimKeyRow, "domain" | "selector">;

/** All keys, by domain and selector. */
export function loadDkimKeys(reader: DatabaseReader): Promise<DkimKeyRow[]> {
  return typed(reader).select().from(dkimKey).orderBy(dkimKey.domain, dkimKey.selector);
}

/** Fails with a constraint when the selector is taken. */
export function dkimKeyInsert(row: DkimKeyRow): Statement {
  return statement(sqlBuilder.insert(dkimKey).values(row));
}

/** Writes the key's new state; domain, selector and the key itself never change. */
export function dkimKeyUpdate(row: DkimKeyRow): Statement {
  const { domain, selector, algorithm, publicKey, privateKey, createdAt, ...changing } = row;
  return statement(sqlBuilder.update(dkimKey).set(changing).where(named({ domain, selector })));
}

export function dkimKeyDelete(name: KeyName): Statement {
  return statement(sqlBuilder.delete(dkimKey).where(named(name)));
}

function named({ domain, selector }: KeyName): ReturnType<typeof and> {
  return and(eq(dkimKey.domain, domain), eq(dkimKey.selector, selector));
}
