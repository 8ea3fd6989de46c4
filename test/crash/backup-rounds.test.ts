// Backups while mail flows, is held and is released: each is the gateway at one moment. Nothing that was answered 250 before it is missing,
// no row names a body that is not there, and a gateway on the copy goes on with it. BACKUP_ROUNDS (2; `npm run crash`: 10) sets how often.
import { afterAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { type MailSink, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { answersOnSocket, type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { bootDirectory, gatepost, PROGRAM, ROOT } from "../run/gateway-kit.ts";
import { type LoadMessage, startLoad } from "./load-client.ts";
import { rowsOf } from "./rows-of.ts";

const ROUNDS = Number(process.env.BACKUP_ROUNDS ?? 2);
const FLOW_MS = 1500;
/** A person with three clicks. */
const RELEASE_PAUSE_MS = 500;
const FILLER = `${"All work and no play makes a dull gateway. ".repeat(2)}\r\n`;

const scratch = mkdtempSync(join(tmpdir(), "gatepost-backups-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function policy(mx: number, server: number): string {
  const route = `routes = [{ host = "127.0.0.1", port = ${server}, tls = "none" }]`;
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
greeting_delay = 0
[[domain]]
name = "example.test"
${route}
recipients = { verify = "catch-all" }
rules = []
[[domain]]
name = "held.test"
${route}
recipients = { verify = "catch-all" }
rules = ["hold"]
[[rule]]
name = "hold"
when = "recipient.domain == 'held.test'"
action = "quarantine"
scope = { domains = ["held.test"] }
[delivery]
retry = ["1s"]
`;
}

/** Every third is held; every fourth has a body file. The body ends in the id. */
function messageMaker(): () => LoadMessage {
  let number = 0;
  return () => {
    const id = `backup-${++number}`;
    const recipients = number % 3 === 0 ? ["one@held.test"] : ["one@example.test"];
    const body = FILLER.repeat(number % 4 === 0 ? 1200 : 15);
    const text = `From: <load@example.org>\r\nTo: <${recipients[0]}>\r\nSubject: ${id}\r\n\r\n${body}end ${id}`;
    return { id, sender: "load@example.org", recipients, text };
  };
}

/** Releases and deletes what is held, so that bodies go away while they are copied. Ends when `stopped`. */
async function releaseSome(gateway: RunningGateway, stopped: () => boolean): Promise<void> {
  while (!stopped()) {
    const items = await gateway.ask("quarantine-list", { limit: 3 });
    for (const { id } of items) {
      if (stopped()) return;
      await gateway.ask("quarantine-release", { id });
    }
    await Bun.sleep(RELEASE_PAUSE_MS);
  }
}

/** What the copy knows of: the subjects of the log, of the spool and of the quarantine; every body they name must be there, whole. */
async function subjectsIn(copy: string): Promise<ReadonlySet<string>> {
  // A look at a copy of it: opening leaves files beside a database.
  const look = mkdtempSync(join(scratch, "look-"));
  for (const name of ["spool.db", "gatepost.db"]) cpSync(join(copy, name), join(look, name));
  const [spool, books] = [join(look, "spool.db"), join(look, "gatepost.db")];
  expect(await rowsOf(spool, "PRAGMA integrity_check")).toEqual([["ok"]]);
  expect(await rowsOf(books, "PRAGMA integrity_check")).toEqual([["ok"]]);
  const subjects = new Set<string>();
  for (const [subject] of await rowsOf(books, "SELECT subject FROM message")) subjects.add(String(subject));
  for (const [file, body] of await rowsOf(spool, "SELECT body_file, body FROM message")) {
    const text =
      file === null
        ? Buffer.from(body as ArrayBuffer).toString()
        : readFileSync(join(copy, "spool", String(file)), "utf8");
    const subject = /^Subject: (\S+)\r$/m.exec(text)?.[1] ?? "?";
    expect(text).toEndWith(`end ${subject}\r\n`);
    subjects.add(subject);
  }
  const kept = await rowsOf(books, "SELECT subject, body_hash FROM quarantine WHERE body_hash IS NOT NULL");
  for (const [subject, hash] of kept) {
    const file = join(copy, "vault", String(hash).slice(0, 2), `${String(hash)}.zst`);
    expect([subject, existsSync(file)]).toEqual([subject, true]);
    expect(zstdDecompressSync(readFileSync(file)).toString()).toEndWith(`end ${String(subject)}\r\n`);
  }
  return subjects;
}

/** A gateway on the copy: the same settings and keys, and all that was held or waiting arrives once it is released. */
async function expectGoesOn(copy: string, gateway: RunningGateway, sink: MailSink): Promise<void> {
  const { console: consolePort } = await freePorts("console");
  const { directory, file, data } = bootDirectory({ consolePort });
  expect((await gatepost(["restore", copy, "--config", file])).code).toBe(0);
  for (const name of readdirSync(join(gateway.data, "keys")))
    expect(readFileSync(join(data, "keys", name))).toEqual(readFileSync(join(gateway.data, "keys", name)));
  const child = Bun.spawn([...PROGRAM, "serve", "--config", file], {
    cwd: ROOT,
    stdout: "ignore",
    stderr: "ignore",
  });
  const ask = (...args: string[]) => gatepost([...args, "--config", file]);
  try {
    await waitUntil("the restored gateway answers", () => answersOnSocket(data));
    expect((await ask("export", "--secrets")).out).toBe((await gateway.command("export", "--secrets")).out);
    const { out } = await ask("quarantine", "list", "--json");
    const items = out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { id: string; subject: string });
    const some = items.slice(-5);
    for (const { id } of some) expect((await ask("quarantine", "release", id)).code).toBe(0);
    await waitUntil("what was released arrives", () =>
      some.every(({ subject }) => sink.messages.some(({ text }) => text.endsWith(`end ${subject}\r\n`))),
    );
  } finally {
    child.kill();
    await child.exited;
    rmSync(directory, { recursive: true, force: true });
  }
}

test(
  `${ROUNDS} backups under load miss nothing`,
  async () => {
    const sink = await startMailSink();
    const { mx } = await freePorts("mx");
    const gateway = await runGateway({ policy: policy(mx, sink.port) });
    const load = startLoad({ port: mx, connections: 6, next: messageMaker() });
    let stopped = false;
    const releasing = releaseSome(gateway, () => stopped);
    const copies: { readonly copy: string; readonly before: readonly string[] }[] = [];
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        await Bun.sleep(FLOW_MS);
        const before = [...load.accepted.keys()];
        const copy = join(scratch, `copy-${round}`);
        const made = await gateway.command("backup", copy);
        expect([made.code, made.err]).toEqual([0, ""]);
        copies.push({ copy, before });
      }
      await load.stop();
      stopped = true;
      await releasing;
      for (const { copy, before } of copies) {
        const there = await subjectsIn(copy);
        expect(before.filter((id) => !there.has(id))).toEqual([]);
      }
      const last = copies.at(-1);
      expect(last?.before.length).toBeGreaterThan(50);
      await expectGoesOn(last?.copy ?? "", gateway, sink);
      console.log(
        `${ROUNDS} backups, the last of ${last?.before.length} messages; ${load.refused.size} kinds of refusals`,
      );
      expect([...load.refused]).toEqual([]);
    } finally {
      stopped = true;
      await load.stop();
      await gateway.dispose();
      await sink.close();
    }
  },
  ROUNDS * 30_000 + 120_000,
);
