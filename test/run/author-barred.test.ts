// Mail whose author is of a domain that is barred, switched off or removed after it was taken, while its envelope is another domain's or
// nobody's: neither the queue nor the quarantine lets it out, rows of an older version included (O12).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { rowsOf } from "../crash/rows-of.ts";
import { openDialogue, type SmtpDialogue } from "../crash/smtp-dialogue.ts";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";

// A process of its own under a busy machine.
setDefaultTimeout(180_000);

const PASSWORD = "correct horse battery staple 7";

let gateway: RunningGateway;
let ports: { readonly mx: number; readonly ip: number; readonly login: number; readonly smarthost: number };

type State = "on" | "barred" | "off" | "gone";
type Door = "mx" | "ip" | "login";

interface Way {
  readonly name: string;
  readonly door: Door;
  readonly path: string;
  readonly header: string;
}

const FROM = (address: string) => `From: <${address}>\r\n`;
const HELD: readonly Way[] = [
  { name: "trusted-from", door: "mx", path: "a@mail.test", header: FROM("ann@example.test") },
  { name: "trusted-null", door: "mx", path: "", header: FROM("ann@example.test") },
  { name: "trusted-below", door: "mx", path: "a@mail.test", header: FROM("cron@web.example.test") },
  {
    name: "trusted-sender",
    door: "mx",
    path: "a@mail.test",
    header: `${FROM("a@mail.test")}Sender: <ann@example.test>\r\n`,
  },
  {
    name: "trusted-resent",
    door: "mx",
    path: "a@mail.test",
    header: `${FROM("a@mail.test")}Resent-From: <ann@example.test>\r\n`,
  },
  { name: "login-from", door: "login", path: "alice@mail.test", header: FROM("ann@example.test") },
  { name: "login-path", door: "login", path: "ann@example.test", header: FROM("alice@mail.test") },
  { name: "ip-null", door: "ip", path: "", header: FROM("ann@example.test") },
  { name: "ip-from", door: "ip", path: "a@mail.test", header: FROM("ann@example.test") },
];
const FREE: Way = { name: "free", door: "mx", path: "a@mail.test", header: FROM("a@mail.test") };

/** What is for keep@ is put aside. The listener "ip" names another client, that of an IP sender. */
function policy(state: State): string {
  const own = `[[domain]]
name = "example.test"
enabled = ${state !== "off"}
rules = ["keep"]
outgoing = { barred = ${state === "barred"} }
`;
  const listener = (name: Door, more: string) => `[[listener]]
name = "${name}"
listen = "127.0.0.1:${ports[name]}"
tls = "none"
greeting_delay = 0
${more}
`;
  return `
[networks]
trusted = ["127.0.0.0/8"]
${listener("mx", 'relay = ["trusted-networks"]')}
${listener("ip", 'relay = ["trusted-networks"]\nproxy_from = ["127.0.0.0/8"]')}
${listener("login", 'relay = ["authenticated"]\nauth = "required"\nauth_without_tls = true')}
[[rule]]
name = "keep"
when = 'recipient.address starts with "keep"'
action = "quarantine"
[[domain]]
name = "mail.test"
rules = ["keep"]
${state === "gone" ? "" : own}
[[sender]]
login = "alice@mail.test"
password = "${PASSWORD}"
domain = "mail.test"
send_as = ["@example.test"]
[[sender]]
kind = "ip"
range = "192.0.2.0/28"
domain = "mail.test"
domains = ["mail.test"${state === "gone" ? "" : ', "example.test"'}]
[delivery]
retry = ["1s"]
smarthost = { host = "127.0.0.1", port = ${ports.smarthost}, tls = "none" }
`;
}

beforeAll(async () => {
  ports = await freePorts("mx", "ip", "login", "smarthost");
  gateway = await runGateway({ policy: policy("on") });
});
afterAll(async () => {
  await gateway?.dispose();
});

async function greet(smtp: SmtpDialogue, door: Door): Promise<void> {
  if (door === "ip") await smtp.say("PROXY TCP4 192.0.2.3 127.0.0.1 40000 25\r\nEHLO client.example.org\r\n");
  else await smtp.say("EHLO client.example.org\r\n");
  if (door !== "login") return;
  const secret = Buffer.from(`\0alice@mail.test\0${PASSWORD}`).toString("base64");
  expect(await smtp.say(`AUTH PLAIN ${secret}\r\n`)).toStartWith("235 ");
}

async function send({ door, path, header, name }: Way, to: string): Promise<string> {
  const smtp = await openDialogue(ports[door]);
  try {
    await greet(smtp, door);
    await smtp.say(`MAIL FROM:<${path}>\r\n`);
    await smtp.say(`RCPT TO:<${to}>\r\n`);
    await smtp.say("DATA\r\n");
    return await smtp.say(`${header}Subject: ${name} ${to}\r\n\r\nx\r\n.\r\n`);
  } finally {
    smtp.close();
  }
}

async function set(state: State): Promise<void> {
  const file = join(gateway.directory, `${state}.toml`);
  writeFileSync(file, policy(state));
  expect(await gateway.command("apply", file, "--prune")).toMatchObject({ code: 0 });
}

const quarantined = async () =>
  (await gateway.command("quarantine", "list", "--json")).out
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { id: string; subject: string; state: string })
    .filter(({ state }) => state === "kept");

/** As a version wrote it that did not keep for whom a message was written. */
async function forget(): Promise<void> {
  expect(await gateway.stop()).toBe(0);
  await rowsOf(
    join(gateway.data, "spool.db"),
    "UPDATE message SET envelope = json_remove(envelope, '$.writtenFor')",
  );
  await rowsOf(join(gateway.data, "gatepost.db"), "UPDATE quarantine SET written_for = NULL");
  await gateway.restart();
}

test.each(["barred", "off", "gone", "off, rows of before"] as const)("%s", async (what) => {
  await set("on");
  const ways = [...HELD, FREE];
  for (const way of ways) {
    expect([way.name, await send(way, "bob@sender.test")]).toEqual([
      way.name,
      expect.stringMatching(/^250 /),
    ]);
    // Kept, whatever the sender is told.
    await send(way, "keep@sender.test");
  }
  await waitUntil("all is in the quarantine", async () => (await quarantined()).length === ways.length);
  if (what.endsWith("before")) await forget();
  const state = what.replace(/,.*/, "") as State;
  await set(state);
  // What is written now is told at once.
  for (const way of state === "gone" ? [] : HELD)
    expect([way.name, await send(way, "bob@sender.test")]).toEqual([way.name, expect.stringMatching(/^5/)]);
  const sink = await startMailSink({ port: ports.smarthost });
  try {
    await gateway.command("queue", "retry");
    await waitUntil("what is free leaves", () => sink.messages.length > 0);
    await waitUntil(
      "the queue says why the others wait",
      async () => (await gateway.command("queue", "list")).out.split("Mail of ").length === HELD.length + 1,
    );
    const kept = await quarantined();
    for (const { id, subject } of kept) {
      const { code, err } = await gateway.command("quarantine", "release", id);
      const free = subject.startsWith(FREE.name);
      expect([subject, code]).toEqual([subject, free ? 0 : 1]);
      if (!free) expect(err).toContain("stays in quarantine. Mail of ");
    }
    await waitUntil("what is free is released", () => sink.messages.length > 1);
    await Bun.sleep(1500);
    const subjects = () => sink.messages.map(({ text }) => /^Subject: (\S+)/m.exec(text)?.[1]);
    expect(subjects()).toEqual([FREE.name, FREE.name]);

    await set("on");
    await waitUntil("what waited leaves", () => sink.messages.length === 2 + HELD.length);
    for (const { id } of await quarantined())
      expect(await gateway.command("quarantine", "release", id)).toMatchObject({ code: 0 });
    await waitUntil("what was kept leaves", () => sink.messages.length === 2 * ways.length);
  } finally {
    await sink.close();
  }
});
