// Mail of a domain that is barred, switched off or removed after it was taken: neither the queue nor the quarantine lets it out, both
// say why, and it leaves when the domain sends again (O12).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { type MailSink, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";

// A process of its own under a busy machine.
setDefaultTimeout(120_000);

let gateway: RunningGateway;
let ports: { readonly mx: number; readonly server: number; readonly smarthost: number };

type State = "on" | "barred" | "off" | "gone";

/** Mail of example.test comes from a trusted server; what is for keep@ is put aside. */
function policy(state: State): string {
  const own = `[[domain]]
name = "example.test"
enabled = ${state !== "off"}
rules = ["keep"]
outgoing = { barred = ${state === "barred"} }
[[domain]]
name = "other.test"
routes = [{ host = "127.0.0.1", port = ${ports.server}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
`;
  return `
[networks]
trusted = ["127.0.0.0/8"]
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "none"
greeting_delay = 0
relay = ["trusted-networks"]
[[rule]]
name = "keep"
when = 'recipient.address starts with "keep"'
action = "quarantine"
${state === "gone" ? own.slice(own.indexOf("[[domain]]", 10)) : own}
[delivery]
retry = ["1s"]
smarthost = { host = "127.0.0.1", port = ${ports.smarthost}, tls = "none" }
`;
}

beforeAll(async () => {
  ports = await freePorts("mx", "server", "smarthost");
  gateway = await runGateway({ policy: policy("on") });
});
afterAll(async () => {
  await gateway?.dispose();
});

async function send(to: string, subject: string): Promise<string> {
  const smtp = await openDialogue(ports.mx);
  try {
    await smtp.say("EHLO client.example.org\r\n");
    await smtp.say("MAIL FROM:<ann@example.test>\r\n");
    await smtp.say(`RCPT TO:<${to}>\r\n`);
    await smtp.say("DATA\r\n");
    return await smtp.say(`From: <ann@example.test>\r\nSubject: ${subject}\r\n\r\nx\r\n.\r\n`);
  } finally {
    smtp.close();
  }
}

async function set(state: State): Promise<void> {
  const file = join(gateway.directory, `${state}.toml`);
  writeFileSync(file, policy(state));
  expect(await gateway.command("apply", file, "--prune")).toMatchObject({ code: 0 });
}

const words = async () => (await gateway.command("queue", "list")).out;

test.each(["barred", "off", "gone"] as const)("%s", async (state) => {
  await set("on");
  // The smart host and the other domain's server are down.
  for (const to of ["bob@sender.test", "ida@other.test"])
    expect(await send(to, `${state} waits for ${to}`)).toStartWith("250 ");
  await send("keep@sender.test", `${state} keep`);
  await set(state);
  const smarthost = await startMailSink({ port: ports.smarthost });
  const server = await startMailSink({ port: ports.server });
  try {
    const said =
      state === "gone" ? "is no domain of this gateway any more" : "is barred from sending or switched off";
    await waitUntil(
      "the queue says of both why they wait",
      async () => (await words()).split(`Mail of example.test is held here: the domain ${said}`).length === 3,
    );
    const listed = (await gateway.command("quarantine", "list", "--json")).out.trim().split("\n");
    const { id } = JSON.parse(listed.find((line) => line.includes(`"${state} keep"`)) ?? "") as {
      id: string;
    };
    const release = await gateway.command("quarantine", "release", id);
    expect([release.code, release.err]).toEqual([
      1,
      expect.stringContaining(`stays in quarantine. Mail of example.test`),
    ]);
    await gateway.command("queue", "retry");
    await Bun.sleep(2500);
    expect([...smarthost.messages, ...server.messages]).toEqual([]);

    await set("on");
    const has = (sink: MailSink, subject: string) => sink.messages.some(({ text }) => text.includes(subject));
    await waitUntil(
      "what waited leaves",
      () => has(smarthost, `${state} waits for bob`) && has(server, `${state} waits for ida`),
    );
    expect(await gateway.command("quarantine", "release", id)).toMatchObject({ code: 0 });
    await waitUntil("what was kept leaves", () => has(smarthost, `${state} keep`));
    expect([smarthost.messages.length, server.messages.length]).toEqual([2, 1]);
  } finally {
    await smarthost.close();
    await server.close();
  }
});
