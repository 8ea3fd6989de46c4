// A mail server is found by its name, a part of it or its address, in the index: also where it was rare and long ago in a large log.
import { expect, test } from "bun:test";
import { newMessageId } from "../../src/message/message-id.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import type { LogFilter } from "../../src/store/message-log.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const START = 1_795_000_000_000;
const MESSAGES = 20_000;
/** Many hosters, one server of which was met once, by the oldest message. */
const SERVERS = 1500;

const RARE = "mx.good.test [203.0.113.20]:25";

function serverOf(n: number): string {
  if (n === 0) return RARE;
  return `mx${n % SERVERS}.hoster.example [198.51.100.${n % 250}]:25`;
}

async function filled(path: string) {
  const database = await openBooks(path);
  const ids: string[] = [];
  for (let n = 0; n < MESSAGES; n += 500) {
    await database.commit(
      Array.from({ length: 500 }, (_one, k) => n + k).flatMap((i) => {
        const at = START + i * 1000;
        const id = newMessageId(at);
        ids.push(id);
        const subject = i === 5 ? "the file invoice.pdf of mx.other.test" : "hay";
        const outcome = {
          n: 0,
          result: "delivered",
          code: 250,
          enhanced: null,
          text: "ok",
          server: serverOf(i),
          tls: null,
        };
        return [
          {
            sql: "insert into message (id, received_at, client_ip, sender, sender_domain, header_from, subject, size) values (?, ?, ?, 'a@b.c', 'b.c', 'a@b.c', ?, 1)",
            params: [id, at, i === 7 ? "203.0.113.20" : "192.0.2.1", subject],
          },
          {
            sql: "insert into message_recipient (message_id, n, address, domain, state, state_at, words) values (?, 0, 'x@y.example', 'y.example', 'delivered', 1, '')",
            params: [id],
          },
          {
            sql: "insert into attempt (message_id, id, started_at, ended_at, destination, outcomes) values (?, 'a', 1, 1, 'mx:y', ?)",
            params: [id, JSON.stringify([outcome])],
          },
        ];
      }),
    );
  }
  // As an older log comes to it.
  const sql = gatepostMigrations.find(({ name }) => name === "0013_log_servers")?.sql ?? "";
  await database.commit([
    { sql: sql.slice(sql.indexOf("UPDATE attempt"), sql.indexOf("CREATE INDEX")), params: [] },
  ]);
  return { database, ids };
}

test("names of servers and addresses are found without walking the log", async () => {
  await using directory = temporaryDirectory();
  const { database, ids } = await filled(directory.path);
  expect(await rows(database, "select count(distinct servers) from attempt")).toEqual([[SERVERS + 1]]);
  // No time at all to walk: what is found, the index found.
  const log = createMessageLog(database, { searchMs: 0 });
  const find = async (filter: Omit<LogFilter, "limit">) =>
    (await log.search({ ...filter, limit: 10 })).map(({ id }) => ids.indexOf(id));
  for (const text of ["mx.good.test", "MX.Good.TEST", "mx.good", "good.test"]) {
    expect(await find({ text })).toEqual([0]);
    expect(await find({ server: text })).toEqual([0]);
  }
  expect(await find({ text: "203.0.113.20" })).toEqual([7, 0]);
  expect(await find({ server: "203.0.113.20" })).toEqual([0]);
  expect(await find({ server: "mx7.hoster.example" })).toEqual([
    19507, 18007, 16507, 15007, 13507, 12007, 10507, 9007, 7507, 6007,
  ]);
  expect(await find({ server: "no.such.server" })).toEqual([]);
  // So many servers have this in their name: in order of time.
  expect(await find({ text: "hoster.example" })).toEqual(
    Array.from({ length: 10 }, (_one, n) => MESSAGES - 1 - n),
  );
  expect(await find({ server: "mx.good", text: "203.0.113.20" })).toEqual([0]);

  // What looks like a name may be a word of a subject, and a part of an address that of a client.
  const patient = createMessageLog(database, { searchMs: 60_000 });
  const slowly = async (text: string) =>
    (await patient.search({ text, limit: 10 })).map(({ id }) => ids.indexOf(id));
  expect(await slowly("invoice.pdf")).toEqual([5]);
  expect(await slowly("mx.other.test")).toEqual([5]);
  expect(await slowly("203.0.113")).toEqual([7, 0]);
  expect(await slowly("nothing.of.the.kind")).toEqual([]);
  await database.close();
}, 120_000);
