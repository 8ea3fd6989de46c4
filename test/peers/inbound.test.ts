// Mail from outside: swaks → gateway → a real Postfix. Clean, unknown, spoofed and infected mail each end as the rules say.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDnsServer } from "../dns-server.ts";
import { peerPolicy } from "./peer-policy.ts";
import { EICAR } from "./run-clamd.ts";
import { freePorts, havePrograms, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { type RunningPostfix, runPostfix } from "./run-postfix.ts";
import { runSwaks, testMessage } from "./run-swaks.ts";

const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");

const ZONE = {
  "good.example.org": { TXT: ["v=spf1 ip4:127.0.0.1 -all"] },
  "_dmarc.good.example.org": { TXT: ["v=DMARC1; p=reject"] },
  "spoofed.example.org": { TXT: ["v=spf1 ip4:192.0.2.7 -all"] },
  "_dmarc.spoofed.example.org": { TXT: ["v=DMARC1; p=reject"] },
} as const;

describe.skipIf(!havePrograms("mail from outside to a real Postfix", ["postfix", "swaks"]))("inbound", () => {
  let gateway: RunningGateway;
  let postfix: RunningPostfix;
  let mx = 0;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const ports = await freePorts("mx", "submission", "submissions", "server", "outside");
    mx = ports.mx;
    const dns = await startDnsServer(ZONE);
    closers.push(() => dns.close());
    postfix = await runPostfix({ port: ports.server, domain: "example.test", users: ["alice", "carol"] });
    closers.push(() => postfix.dispose());
    gateway = await runGateway({ policy: peerPolicy(ports), dns: [dns.address] });
    closers.push(() => gateway.dispose());
  }, 120_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  }, 120_000);

  const send = (from: string, to: string, message: string) =>
    runSwaks({ port: mx, from, to, message, tls: "starttls" });

  test("a clean message reaches the user's mailbox, byte for byte below our headers", async () => {
    const message = testMessage({ from: "ann@good.example.org", to: "alice@example.test", subject: "clean" });
    const sent = await send("ann@good.example.org", "alice@example.test", message.text);
    expect(sent.dialogue).toContain(" 250 2.0.0");
    expect(sent.accepted).toBe(true);

    const inbox = await waitUntil("the message arrives", () =>
      postfix.inbox("alice").find((text) => text.includes(message.subject)),
    );
    expect(inbox.endsWith(message.text)).toBe(true);
    expect(inbox).toMatch(/^Authentication-Results: gate\.example\.test;[\s\S]*dmarc=pass/m);

    const logged = await gateway.logged(
      "the delivery",
      ({ record, states }) => record.subject === message.subject && states[0]?.state === "delivered",
    );
    expect(logged.record.recipients[0]).toMatchObject({
      direction: "inbound",
      grant: { by: "relay-domain" },
      verdict: { action: "accept" },
    });
    expect(logged.record.findings).toContainEqual(
      expect.objectContaining({ fact: "dmarc.result", value: "pass" }),
    );
    expect(logged.attempts.flatMap(({ outcomes }) => outcomes.map(({ result }) => result))).toEqual([
      "delivered",
    ]);
  }, 120_000);

  test("an unknown recipient is refused in the dialogue, as Postfix says", async () => {
    const message = testMessage({ from: "ann@good.example.org", to: "bob@example.test", subject: "unknown" });
    const sent = await send("ann@good.example.org", "bob@example.test", message.text);
    expect(sent.accepted).toBe(false);
    expect(sent.replies.some((line) => line.startsWith("550 5.1.1"))).toBe(true);
    const logged = await gateway.logged("the refusal", ({ record }) =>
      record.recipients.some(({ address }) => address === "bob@example.test"),
    );
    expect(logged.record.recipients[0]?.reply).toStartWith("550 5.1.1");
  }, 120_000);

  test("a stranger cannot relay to the outside", async () => {
    const message = testMessage({ from: "ann@good.example.org", to: "x@example.com", subject: "relay" });
    const sent = await send("ann@good.example.org", "x@example.com", message.text);
    expect(sent.accepted).toBe(false);
    expect(sent.replies.some((line) => /^5\d\d 5\.7\.\d+ /.test(line))).toBe(true);
  }, 120_000);

  test("a spoofed message is refused by the DMARC policy of its From", async () => {
    const message = testMessage({
      from: "boss@spoofed.example.org",
      to: "alice@example.test",
      subject: "spoofed",
    });
    const sent = await send("boss@spoofed.example.org", "alice@example.test", message.text);
    expect(sent.accepted).toBe(false);
    expect(sent.replies.some((line) => line.startsWith("550 5.7."))).toBe(true);
    const { record } = await gateway.logged("the spoof", (one) => one.record.subject === message.subject);
    expect(record.recipients[0]?.verdict).toMatchObject({ action: "reject", rule: "dmarc" });
    const facts = Object.fromEntries(record.findings.map(({ fact, value }) => [fact, value]));
    expect(facts).toMatchObject({ "dmarc.result": "fail", "dmarc.policy": "reject" });
    expect(postfix.inbox("alice").some((text) => text.includes(message.subject))).toBe(false);
  }, 120_000);

  test("an infected message is refused and kept; released, it arrives once", async () => {
    const message = testMessage({
      from: "ann@good.example.org",
      to: "carol@example.test",
      subject: "infected",
      body: EICAR,
    });
    const sent = await send("ann@good.example.org", "carol@example.test", message.text);
    expect(sent.accepted).toBe(false);
    expect(sent.replies.some((line) => line.startsWith("550 5.7."))).toBe(true);
    const { record } = await gateway.logged("the virus", (one) => one.record.subject === message.subject);
    expect(record.recipients[0]?.verdict).toMatchObject({ action: "quarantine", rule: "virus" });

    const item = await waitUntil("it is in the quarantine", async () => {
      const { out } = await gateway.command("quarantine", "list", "--json", "--to", "carol@example.test");
      const items = out.split("\n").filter((line) => line !== "");
      return items
        .map((line) => JSON.parse(line) as { id: string; subject: string })
        .find(({ subject }) => subject === message.subject);
    });
    expect(postfix.inbox("carol").some((text) => text.includes(message.subject))).toBe(false);
    // Malware is asked for.
    const asked = await gateway.command("quarantine", "release", item.id);
    expect([asked.code, asked.err]).toEqual([1, expect.stringContaining("add --malware")]);
    expect((await gateway.command("quarantine", "release", item.id, "--malware")).code).toBe(0);
    expect((await gateway.command("quarantine", "release", item.id)).out).toContain("released before");
    await gateway.logged(
      "the released message",
      ({ record: { subject }, states }) =>
        subject === message.subject && (states[0]?.state === "delivered" || states[0]?.state === "released"),
    );
    await waitUntil("the released message arrives", () =>
      postfix.inbox("carol").some((text) => text.includes(message.subject)),
    );
    expect(postfix.inbox("carol").filter((text) => text.includes(message.subject)).length).toBe(1);
  }, 120_000);

  test("spam is taken and kept in quarantine, without a word to its sender", async () => {
    const message = testMessage({
      from: "ann@good.example.org",
      to: "alice@example.test",
      subject: "spam",
      body: GTUBE,
    });
    const sent = await send("ann@good.example.org", "alice@example.test", message.text);
    expect(sent.accepted).toBe(true);
    const { record } = await gateway.logged(
      "the spam",
      ({ record: { subject }, states }) => subject === message.subject && states[0]?.state === "quarantined",
    );
    expect(record.recipients[0]?.verdict).toMatchObject({ action: "quarantine", rule: "spam" });
    expect(postfix.inbox("alice").some((text) => text.includes(message.subject))).toBe(false);
  }, 120_000);

  test("mail for a server that is down waits, and leaves when it is back", async () => {
    await postfix.stop();
    const message = testMessage({ from: "ann@good.example.org", to: "alice@example.test", subject: "waits" });
    // alice is known from an earlier call-out, whose answer is cached.
    const sent = await send("ann@good.example.org", "alice@example.test", message.text);
    expect(sent.accepted).toBe(true);
    await gateway.logged(
      "a failed attempt",
      ({ record: { subject }, attempts }) =>
        subject === message.subject && attempts.some(({ outcomes }) => outcomes[0]?.result === "deferred"),
    );
    await postfix.start();
    await waitUntil("it arrives", () =>
      postfix.inbox("alice").some((text) => text.includes(message.subject)),
    );
  }, 180_000);
});
