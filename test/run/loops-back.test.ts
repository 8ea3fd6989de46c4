// A route or a smart host that leads to the gateway's own listener: mail is put off or waits, an alarm says why, and no sender hears a final no.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { type MailSink, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { alarmNames } from "./gateway-kit.ts";

setDefaultTimeout(120_000);

let gateway: RunningGateway;
let server: MailSink;
let ports: { readonly mx: number; readonly inside: number };

/** `right`: routes and smart host lead to the mail server; else back to the gateway, each in another way. */
function policy(right: boolean): string {
  const to = (own: number, host = "127.0.0.1") =>
    right ? `host = "127.0.0.1", port = ${server.port}` : `host = "${host}", port = ${own}`;
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
greeting_delay = 0
relay = []
[[listener]]
name = "inside"
listen = "127.0.0.1:${ports.inside}"
tls = "starttls"
greeting_delay = 0
relay = ["trusted-networks"]
[networks]
trusted = ["127.0.0.0/8"]
[[domain]]
name = "asked.test"
routes = [{ ${to(ports.mx)}, tls = "opportunistic" }]
recipients = { verify = "callout" }
[[domain]]
name = "taken.test"
routes = [{ ${to(ports.mx, "[127.0.0.1]")}, tls = "none" }]
recipients = { verify = "catch-all" }
[[domain]]
name = "kept.test"
routes = [{ ${to(ports.inside)}, tls = "${right ? "none" : "verified"}" }]
recipients = { verify = "catch-all" }
cut_through = false
[delivery]
retry = ["1s"]
smarthost = { ${to(ports.inside)}, tls = "none" }
`;
}

beforeAll(async () => {
  ports = await freePorts("mx", "inside");
  server = await startMailSink();
  gateway = await runGateway({ policy: policy(false) });
});
afterAll(async () => {
  await gateway?.dispose();
  await server?.close();
});

/** The replies to RCPT and, where that was taken, to the message. */
async function send(port: number, from: string, to: string): Promise<readonly string[]> {
  const smtp = await openDialogue(port);
  try {
    await smtp.say("EHLO client.example.org\r\n");
    await smtp.say(`MAIL FROM:<${from}>\r\n`);
    const recipient = await smtp.say(`RCPT TO:<${to}>\r\n`);
    if (!recipient.startsWith("250 ")) return [recipient];
    await smtp.say("DATA\r\n");
    return [recipient, await smtp.say(`From: <${from}>\r\nSubject: to ${to}\r\n\r\nx\r\n.\r\n`)];
  } finally {
    smtp.close();
  }
}

const QUEUED = ["zoe@taken.test", "zoe@kept.test", "zoe@world.example"];

test("mail that would come back waits or is put off; alarms tell it and end when the way is right", async () => {
  expect(await send(ports.mx, "x@good.test", "zoe@asked.test")).toEqual([expect.stringMatching(/^450 /)]);
  for (const to of ["zoe@taken.test", "zoe@kept.test"])
    for (const said of await send(ports.mx, "x@good.test", to)) expect(said).toMatch(/^[24]/);
  for (const said of await send(ports.inside, "ann@taken.test", "zoe@world.example"))
    expect(said).toMatch(/^250 /);
  const expected = ["loop (smart host)", "loop asked.test", "loop kept.test", "loop taken.test"];
  await waitUntil(`all of ${expected.join(", ")}`, async () => {
    const names = await alarmNames(gateway);
    return expected.every((name) => names.includes(name));
  });
  const queued = await gateway.command("queue", "list");
  expect(queued.out).toContain(
    `Mail for kept.test loops back to this gateway: 127.0.0.1 [127.0.0.1]:${ports.inside} is one of its own listeners`,
  );
  expect(queued.out).toContain("Mail for the smart host loops back to this gateway");
  expect(server.messages).toHaveLength(0);

  const file = join(gateway.directory, "right.toml");
  writeFileSync(file, policy(true));
  expect(await gateway.command("apply", file)).toMatchObject({ code: 0 });
  expect((await alarmNames(gateway)).filter((name) => name.startsWith("loop"))).toEqual([]);
  await gateway.command("queue", "retry");
  await waitUntil("what waited arrives", () =>
    QUEUED.every((to) => server.messages.some(({ text }) => text.includes(`Subject: to ${to}`))),
  );
});

test("clients with another name hear nothing of it", async () => {
  const ehlo = async (name: string): Promise<string> => {
    const smtp = await openDialogue(ports.mx);
    try {
      return await smtp.say(`EHLO ${name}\r\n`);
    } finally {
      smtp.close();
    }
  };
  expect(await ehlo("client.example.org")).not.toContain("XSELF");
});
