// The delay notice in the whole gateway, over real sockets: soon after its time, once, neither lost nor doubled by kill -9.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { type ScriptedPeer, startScriptedPeer, usualServer } from "../delivery/scripted-peer.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";

// A process of its own under a busy machine.
setDefaultTimeout(90_000);

let gateway: RunningGateway;
let home: ScriptedPeer;
let smartHost: ScriptedPeer;
let mx = 0;

beforeAll(async () => {
  ({ mx } = await freePorts("mx"));
  home = await startScriptedPeer(usualServer({}));
  smartHost = await startScriptedPeer(usualServer({ rcpt: () => "451 4.2.1 not now" }));
  gateway = await runGateway({
    policy: `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
greeting_delay = 0
relay = ["trusted-networks"]
[networks]
trusted = ["127.0.0.0/8"]
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${home.port}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
[delivery]
smarthost = { host = "127.0.0.1", port = ${smartHost.port}, tls = "none" }
retry = ["1s", "2s", "1h"]
delay_notice_after = "5s"
`,
  });
});
afterAll(async () => {
  await gateway?.dispose();
  await Promise.all([home, smartHost].map((peer) => peer?.close()));
});

async function send(subject: string, to: readonly string[], notify = ""): Promise<void> {
  const smtp = await openDialogue(mx);
  try {
    await smtp.say("EHLO client.example.org\r\n");
    await smtp.say("MAIL FROM:<alice@example.test> ENVID=env-7\r\n");
    for (const address of to) expect(await smtp.say(`RCPT TO:<${address}>${notify}\r\n`)).toStartWith("250");
    await smtp.say("DATA\r\n");
    const text = `From: <alice@example.test>\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.test>\r\n\r\nx\r\n.\r\n`;
    expect(await smtp.say(text)).toStartWith("250");
  } finally {
    smtp.close();
  }
}

/** What Alice was told about the message. */
const told = (subject: string) =>
  home.messages.filter((text) => text.includes(`In-Reply-To: <${subject}@example.test>`));

test("soon after its time, one for all destinations, as NOTIFY asks", async () => {
  const before = performance.now();
  await send("plain", ["a@far.test", "b@away.test"]);
  await send("asked", ["a@far.test"], " NOTIFY=DELAY");
  await send("failure", ["a@far.test"], " NOTIFY=FAILURE");
  await send("never", ["a@far.test"], " NOTIFY=NEVER");
  await waitUntil("Alice is told", async () => told("plain").length > 0 && told("asked").length > 0);
  expect(performance.now() - before).toBeGreaterThan(5000);
  await Bun.sleep(3000);
  const counts = ["plain", "asked", "failure", "never"].map((subject) => told(subject).length);
  expect(counts).toEqual([1, 1, 0, 0]);
  const [text = ""] = told("plain");
  expect(text).toMatch(/^Auto-Submitted: auto-replied\r$/m);
  expect(text).toMatch(/^Original-Envelope-Id: env-7\r$/m);
  expect(
    [...text.matchAll(/^Final-Recipient: (.*)\r\nAction: (.*)\r\nStatus: (.*)\r$/gm)].map(String).length,
  ).toBe(2);
  expect(text).toContain("Final-Recipient: rfc822; a@far.test\r\nAction: delayed\r\nStatus: 4.2.1");
  expect(text).toMatch(/^Will-Retry-Until: /m);
  expect(home.commands.filter((line) => line.startsWith("MAIL FROM:<>")).length).toBe(2);
});

test("over kill -9 before its time, at its time and after it: one", async () => {
  await send("killed", ["a@far.test", "b@far.test"]);
  await gateway.kill9();
  await Bun.sleep(6000);
  await gateway.restart();
  await waitUntil("Alice is told", async () => told("killed").length > 0);
  await gateway.kill9();
  await gateway.restart();
  await Bun.sleep(3000);
  expect(told("killed").length).toBe(1);

  await send("killed-at", ["a@far.test"]);
  for (let round = 0; round < 2; round++) {
    await Bun.sleep(Math.max(0, 3500 - 2000 * round));
    await gateway.kill9();
    await gateway.restart();
  }
  await waitUntil("Alice is told", async () => told("killed-at").length > 0);
  await Bun.sleep(3000);
  // The same one may arrive twice when its delivery was not written down in time; there is never a second one.
  expect(new Set(told("killed-at").map((text) => /^Message-ID: (.*)\r$/m.exec(text)?.[1])).size).toBe(1);
});
