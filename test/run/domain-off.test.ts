// Mail that was taken in for a domain waits while that domain is switched off, removed or without a mail server: it goes neither to the
// smart host nor away.
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
let smarthost: MailSink;
let ports: { readonly mx: number; readonly server: number };

type State = "on" | "off" | "gone" | "without routes";

/** The policy with `example.test` as given, or without it. */
function policy(domain: State): string {
  const server = `{ host = "127.0.0.1", port = ${ports.server}, tls = "none" }`;
  const own = `[[domain]]
name = "example.test"
enabled = ${domain !== "off"}
routes = [${domain === "without routes" ? "" : server}]
recipients = { verify = "catch-all" }
rules = ["quarantine-all"]
`;
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "none"
greeting_delay = 0
relay = []
[[rule]]
name = "quarantine-all"
when = 'recipient.address starts with "keep"'
action = "quarantine"
${domain === "gone" ? "" : own}
[delivery]
retry = ["1s"]
smarthost = { host = "127.0.0.1", port = ${smarthost.port}, tls = "none" }
`;
}

beforeAll(async () => {
  ports = await freePorts("mx", "server");
  smarthost = await startMailSink();
  gateway = await runGateway({ policy: policy("on") });
});
afterAll(async () => {
  await gateway?.dispose();
  await smarthost?.close();
});

async function send(to: string, subject: string): Promise<void> {
  const smtp = await openDialogue(ports.mx);
  try {
    await smtp.say("EHLO client.example.org\r\n");
    await smtp.say("MAIL FROM:<bob@sender.test>\r\n");
    await smtp.say(`RCPT TO:<${to}@example.test>\r\n`);
    await smtp.say("DATA\r\n");
    expect(await smtp.say(`From: <bob@sender.test>\r\nSubject: ${subject}\r\n\r\nx\r\n.\r\n`)).toStartWith(
      "250 ",
    );
  } finally {
    smtp.close();
  }
}

/** `apply` alone leaves what the file does not name. */
async function remove(): Promise<void> {
  const file = join(gateway.directory, "without.toml");
  writeFileSync(file, policy("gone"));
  expect(await gateway.command("apply", file, "--prune")).toMatchObject({ code: 0 });
}

const words = async () => (await gateway.command("queue", "list")).out;

test.each(["off", "gone", "without routes"] as const)(
  "a domain that is %s: what waits goes on waiting, and leaves when it is back",
  async (state) => {
    await gateway.apply(policy("on"));
    await send("info", `waits while ${state}`);
    await send("keep", `kept while ${state}`);
    if (state === "gone") await remove();
    else await gateway.apply(policy(state));
    // It is taken then too, and waits like what is there.
    if (state === "without routes") await send("new", `waits anew while ${state}`);
    await waitUntil("the queue says why it waits", async () =>
      (await words()).includes(
        `Mail for example.test waits here: ${state === "without routes" ? "no mail server is set for the domain" : "the domain is switched off or removed"}`,
      ),
    );
    const listed = (await gateway.command("quarantine", "list", "--json")).out.trim().split("\n");
    const kept = listed.find((line) => line.includes(`"kept while ${state}"`));
    const { id } = JSON.parse(kept ?? "") as { id: string };
    await gateway.command("quarantine", "release", id);
    await Bun.sleep(3000);
    expect(smarthost.messages).toEqual([]);

    const server = await startMailSink({ port: ports.server });
    try {
      await gateway.apply(policy("on"));
      const anew = state === "without routes" ? [`waits anew while ${state}`] : [];
      for (const subject of [`waits while ${state}`, `kept while ${state}`, ...anew])
        await waitUntil("it arrives", () => server.messages.some(({ text }) => text.includes(subject)));
      expect(smarthost.messages).toEqual([]);
    } finally {
      await server.close();
    }
  },
);
