// A data directory of version 0.1.0 (the first migration of each database, and what that version wrote) under this version: mail that
// waits goes out, settings and quarantine are there. A kill -9 in the middle of the first start is survived.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import type { Statement } from "../../src/store/database.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import type { Migration } from "../../src/store/migration.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { spoolMigrations } from "../../src/store/spool-migrations.ts";
import { rowsOf } from "../crash/rows-of.ts";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";

const DAY_MS = 86_400_000;
/** How long a start lasts before it is killed: about when the migrations run. */
const START_MS = [250, 400, 550];
const BODY = "From: alice@example.test\r\nTo: bob@example.org\r\nSubject: from before\r\n\r\nhello\r\n";

async function writeOld(path: string, migrations: readonly Migration[], rows: readonly Statement[]) {
  const database = await openDatabase({
    path,
    migrations: migrations.slice(0, 1),
    log: silentLog,
    onBroken: (error) => {
      throw error;
    },
  });
  await database.commit(rows);
  await database.close();
}

function insert(
  table: string,
  row: Readonly<Record<string, string | number | null | Uint8Array>>,
): Statement {
  const names = Object.keys(row);
  return {
    sql: `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
    params: Object.values(row),
  };
}

/** That version kept it in clear, with the settings and with each waiting message. */
const SECRET = "clear-password-of-before";

/** The directory is made by a first start; its databases are replaced. */
const firstPolicy = (mx: number) => `[[listener]]\nname = "mx"\nlisten = "127.0.0.1:${mx}"\ntls = "none"\n`;

/** The settings as they were stored: nothing of outgoing control in them. */
function oldPolicy(mx: number, sink: number, now: number): readonly Statement[] {
  const item = (section: string, key: string, value: object) =>
    insert("policy_item", {
      section,
      key,
      value: JSON.stringify(value),
      updated_at: now,
      updated_by: "first start",
    });
  return [
    item("listener", "mx", {
      name: "mx",
      listen: `127.0.0.1:${mx}`,
      tls: "none",
      auth: "off",
      auth_without_tls: false,
      relay: ["trusted-networks"],
      proxy_from: [],
      clients: [],
      content_checks: true,
      greylist: false,
      refuse_outsiders_claiming_local: false,
      max_message_bytes: 52_428_800,
      max_connections: 5000,
      max_connections_per_client: 100,
      max_recipients: 1000,
      idle_timeout: "5m",
      min_data_rate: 500,
      greeting_delay: 0,
      enabled: true,
    }),
    item("domain", "example.test", {
      name: "example.test",
      routes: [{ host: "127.0.0.1", port: sink, priority: 10, tls: "none" }],
      recipients: { verify: "catch-all", list: [], cache: "1h" },
      rules: null,
      enabled: true,
    }),
    item("sender", "192.0.2.0/28", {
      kind: "ip",
      range: "192.0.2.0/28",
      domain: "example.test",
      identify_by: "authenticated-user",
      send_as: [],
      rules: [],
      enabled: true,
    }),
    item("delivery", "", {
      smarthost: { host: "smart.example.test", port: 25, tls: "opportunistic", user: "u", password: SECRET },
      tls: "opportunistic",
      max_connections_per_destination: 20,
      retry: ["1s"],
      give_up_after: "5d",
      delay_notice_after: "4h",
      connect_timeout: "30s",
    }),
    item("settings", "", {
      quarantine_keep: "20d",
      log_keep: "90d",
      note_header: "X-Gatepost",
      postmaster: null,
      check_timeout: "20s",
    }),
  ];
}

function oldQuarantine(now: number): Statement {
  return insert("quarantine", {
    id: "01m808fsgjj4wvgmyx7p-0",
    message_id: "01m808fsgjj4wvgmyx7p",
    n: 0,
    recipient: "bob@example.org",
    recipient_domain: "example.org",
    reverse_path: "Alice@Example.test",
    header_from: "<alice@example.test>",
    subject: "held before",
    direction: "outbound",
    rule: "spam",
    words: "Refused by rule spam",
    size: 511,
    received_at: now,
    expires_at: now + DAY_MS,
    state: "kept",
    body_hash: "1a5de44e3852c3034748aca9b690b374ec6147a61636525cd8991b9607b9629e",
    release_asked_at: null,
    release_asked_by: null,
  });
}

/** One message with two recipients: one waits, one was being delivered when that version was killed. */
function oldQueue(sink: number, now: number): readonly Statement[] {
  const recipient = (n: number, state: string) =>
    insert("recipient", {
      message_seq: 1,
      n,
      state,
      address: `bob${n}@example.test`,
      destination_key: `route:127.0.0.1:${sink}`,
      detail: JSON.stringify({
        destination: {
          kind: "routes",
          key: `route:127.0.0.1:${sink}`,
          routes: [{ host: "127.0.0.1", port: sink, priority: 10, tls: "none" }],
        },
        edits: [],
        dsn: null,
        mayBounce: true,
        quarantine: null,
      }),
      next_attempt_at: now,
      tries: n,
      deadline_at: now + DAY_MS,
      expires_at: now + 5 * DAY_MS,
      attempt_started_at: n === 0 ? null : now,
      last_outcome: null,
    });
  return [
    insert("message", {
      seq: 1,
      id: "01m808fs8md2sq60ww5h",
      received_at: now,
      size: BODY.length,
      envelope: JSON.stringify({
        reversePath: "alice@example.test",
        smtpUtf8: false,
        eightBit: false,
        requireTls: false,
        dsnRet: null,
        dsnEnvid: null,
      }),
      body_file: null,
      body: Buffer.from(BODY),
    }),
    recipient(0, "queued"),
    recipient(1, "active"),
  ];
}

test("data of version 0.1.0 is taken over, a kill in the middle included", async () => {
  const sink = await startMailSink();
  const { mx } = await freePorts("mx");
  const gateway = await runGateway({ policy: firstPolicy(mx) });
  try {
    expect(await gateway.stop()).toBe(0);
    for (const name of readdirSync(gateway.data)) if (/\.db/.test(name)) rmSync(join(gateway.data, name));
    // That version kept no list of what the directory must hold.
    rmSync(join(gateway.data, "gatepost-data.json"));
    const now = Date.now();
    const [spool, books] = [join(gateway.data, "spool.db"), join(gateway.data, "gatepost.db")];
    await writeOld(spool, spoolMigrations, oldQueue(sink.port, now));
    await writeOld(books, gatepostMigrations, [...oldPolicy(mx, sink.port, now), oldQuarantine(now)]);

    for (const startMs of START_MS) {
      gateway.launch();
      await Bun.sleep(startMs);
      await gateway.kill9();
    }
    await gateway.restart();

    await waitUntil("what waited is delivered", () =>
      sink.messages.flatMap(({ recipients }) => recipients).length >= 2 ? true : undefined,
    );
    const delivered = sink.messages.filter(({ text }) => text.includes("Subject: from before"));
    expect(delivered.flatMap(({ recipients }) => recipients).toSorted()).toEqual([
      "bob0@example.test",
      "bob1@example.test",
    ]);
    for (const name of readdirSync(gateway.data).filter((one) => one.includes(".db")))
      expect([name, readFileSync(join(gateway.data, name)).includes(SECRET)]).toEqual([name, false]);
    const { out } = await gateway.command("quarantine", "list", "--json");
    expect(JSON.parse(out)).toMatchObject({
      subject: "held before",
      sender: "alice@example.test",
      senderDomain: "example.test",
      identity: "",
    });
    const policy = (await gateway.command("export")).out;
    expect(policy).toContain('range = "192.0.2.0/28"');
    expect(policy).toContain('quarantine_keep = "20d"');
    expect(gateway.output()).not.toContain("a stored setting cannot be used");
    expect(await gateway.stop()).toBe(0);
    for (const file of [spool, books]) expect(await rowsOf(file, "PRAGMA integrity_check")).toEqual([["ok"]]);
    expect(await rowsOf(spool, "SELECT recipients FROM waiting WHERE recipients <> 0")).toEqual([]);
  } finally {
    await gateway.dispose();
    await sink.close();
  }
}, 60_000);
