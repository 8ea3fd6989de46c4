// For whom mail waits in the spool, by `mailShare`: each read is one step of the index for each that is found, however much there is of one.
import { sql } from "drizzle-orm";
import { endOfSender } from "../message/mail-share.ts";
import type { DatabaseReader } from "./database.ts";
import { prepare, sqlBuilder } from "./statement.ts";

const p = sql.placeholder;
const waitsFor = sql`"recipient"."state" = 'queued' and "recipient"."destination_key" = ${p("key")}`;
/** The end of the sender of "one" (`endOfSender`). */
const endOfOne = sql`case when instr("one"."share", char(10)) > 0
  then substr("one"."share", 1, instr("one"."share", char(10)) - 1) else "one"."share" end || char(11)`;

const firstOfSenders = prepare<{ key: string; after: string; limit: number }>(
  sqlBuilder.select({ share: sql`"share"` }).from(
    sql`(with recursive "one" ("share") as (
        select min("share") from "recipient" where ${waitsFor} and "share" > ${p("after")}
        union all
        select (select min("share") from "recipient" where ${waitsFor} and "share" > ${endOfOne}) from "one" where "one"."share" is not null
      ) select "share" from "one" where "share" is not null limit ${p("limit")})`,
  ),
);
const sharesOfSender = prepare<{ key: string; after: string; end: string; limit: number }>(
  sqlBuilder.select({ share: sql`"share"` }).from(
    sql`(with recursive "one" ("share") as (
        select min("share") from "recipient" where ${waitsFor} and "share" > ${p("after")} and "share" < ${p("end")}
        union all
        select (select min("share") from "recipient" where ${waitsFor} and "share" > "one"."share" and "share" < ${p("end")}) from "one" where "one"."share" is not null
      ) select "share" from "one" where "share" is not null limit ${p("limit")})`,
  ),
);

export interface ShareReader {
  /** The first share of each sender of whom mail waits there, in order, of those behind the sender `after` (empty: from the first on). */
  waitingSenders(destinationKey: string, after: string, limit: number): Promise<readonly string[]>;
  /** The shares of one sender for which mail waits there and somebody stands behind it, in order, those behind the share `after` (empty: from the first on). */
  waitingShares(
    destinationKey: string,
    options: { readonly sender: string; readonly after: string; readonly limit: number },
  ): Promise<readonly string[]>;
}

/** These reads over a database handle. */
export function shareReader(database: DatabaseReader): ShareReader {
  const shares = async (query: Parameters<typeof database.query>[0]) =>
    (await database.query(query)).map(([share]) => String(share));
  return {
    waitingSenders: (key, after, limit) =>
      shares(firstOfSenders({ key, after: after === "" ? "" : endOfSender(after), limit })),
    waitingShares: (key, { sender, after, limit }) =>
      shares(sharesOfSender({ key, after: after === "" ? sender : after, end: endOfSender(sender), limit })),
  };
}
