// Show 3 of outgoing control: what goes out through the real gateway is verified by independent verifiers from Debian, as it arrives:
// after edits, large, in 8-bit, released from quarantine, and while keys rotate under a steady stream.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isAscii } from "node:buffer";
import { type DnsServer, startDnsServer } from "../dns-server.ts";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { freePorts, waitUntil } from "./run-command.ts";
import { type RunningConsole, runConsole } from "./run-console.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { openSubmission, type Submission } from "./submit-mail.ts";
import {
  type DkimVerifier,
  dkimVerifiers,
  type KeyRecords,
  signaturesOnTop,
  withSignature,
} from "./verify-dkim.ts";

const LOGIN = { from: "alice@example.test", password: "correct-horse-7-battery" } as const;
const BOB = "bob@example.org";
/** Behind a server without 8BITMIME. */
const CAROL = "carol@plain.test";
const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
const ALGORITHMS = ["rsa", "ed25519"] as const;
type Algorithm = (typeof ALGORITHMS)[number];

interface Key {
  readonly selector: string;
  readonly state: string;
  readonly record: { readonly name: string; readonly value: string };
  readonly publication: { readonly state: string };
}

function policy(ports: Readonly<Record<"submission" | "sink" | "plainSink", number>>): string {
  return `
[[listener]]
name = "submission"
listen = "127.0.0.1:${ports.submission}"
tls = "starttls-required"
auth = "required"
relay = ["authenticated"]

[[rule]]
name = "mark-for-marked"
when = 'recipient.address == "marked@example.org"'
action = "mark"
subject = { prefix = "[outside] ", suffix = " ✓" }
scope = { directions = ["outbound"] }

[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${ports.sink}, tls = "none" }]
recipients = { verify = "catch-all" }

[[domain]]
name = "plain.test"
routes = [{ host = "127.0.0.1", port = ${ports.plainSink}, tls = "none" }]
recipients = { verify = "catch-all" }

[[sender]]
kind = "user"
login = "${LOGIN.from}"
password = "${LOGIN.password}"
domain = "example.test"
identify_by = { header = "X-Client-ID", remove = true }
quarantine_response = "accepted"

[delivery]
smarthost = { host = "127.0.0.1", port = ${ports.sink}, tls = "none" }
retry = ["1s"]
`;
}

function mail(subject: string, text: string, fields: readonly string[] = []): Buffer {
  const header = [
    `From: Alice <${LOGIN.from}>`,
    `To: ${BOB}`,
    `Subject: ${subject}`,
    "X-Client-ID: client-a; shop 7",
    "Date: Sat, 21 Nov 2026 10:00:00 +0000",
    `Message-ID: <${crypto.randomUUID()}@example.test>`,
    ...fields,
  ];
  return Buffer.from(`${header.join("\r\n")}\r\n\r\n${text}`);
}

const EIGHT_BIT = [
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: 8bit",
];

/** What is sent, to whom, and what must stand in it when it arrives. */
const MESSAGES: readonly (readonly [what: string, subject: string, Sent])[] = [
  ["a small message", "plain", { text: "Hello Bob\r\n" }],
  [
    "one with a marked subject",
    "marked",
    { to: "marked@example.org", text: "Hello\r\n", arrives: "[outside] marked" },
  ],
  [
    "one with a marked subject in UTF-8",
    "grüße marked",
    { to: "marked@example.org", text: "Hello\r\n", fields: EIGHT_BIT },
  ],
  ["a large message", "large", { text: `${"All work and no play. ".repeat(3)}\r\n`.repeat(12_000) }],
  ["lines that end in white space and dots", "odd lines", { text: ".\r\n..\r\n tail \t \r\n\r\n\r\n" }],
  ["one in 8-bit", "eight bits", { text: "Ümläute ☃\r\n", fields: EIGHT_BIT }],
  [
    "one with a header in UTF-8 (SMTPUTF8)",
    "Grüße ☃ an alle",
    { to: "jürgen@example.org", text: "Ümläute ☃\r\n", fields: EIGHT_BIT },
  ],
];

const HTML = ["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit"];
const LINES = "Ümläute ☃ und mehr = \r\n";
/** No verifier of ours is asked about it. */
const FOREIGN = "DKIM-Signature: v=1; d=elsewhere.test; s=a; h=from; bh=x; b=y";
/** Sent to two servers, of which one takes 7 bits alone. */
const TO_BOTH: readonly (readonly [what: string, subject: string, Sent])[] = [
  ["a text", "both text", { text: `${LINES}\r\n\r\n`, fields: EIGHT_BIT }],
  ["one without MIME", "both bare", { text: LINES }],
  ["a large text", "both large", { text: LINES.repeat(20_000), fields: EIGHT_BIT }],
  [
    "a large multipart with binary parts",
    "both multipart",
    {
      text: `ä\r\n--b\r\n${HTML.join("\r\n")}\r\n\r\n${LINES}\r\n--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n${LINES.repeat(20_000)}--b--\r\n`,
      fields: ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"],
    },
  ],
  ["one that bears a stranger's signature", "both foreign", { text: LINES, fields: [FOREIGN, ...EIGHT_BIT] }],
];

interface Sent {
  readonly to?: string;
  readonly text: string;
  readonly fields?: readonly string[];
  readonly arrives?: string;
}

const peers = await dkimVerifiers("mail signed by the gateway");

describe.skipIf(peers.every(([, able]) => !able))("mail signed by the gateway", () => {
  let dns: DnsServer;
  let sink: MailSink;
  let plainSink: MailSink;
  let gateway: RunningGateway;
  let web: RunningConsole;
  let client: Submission;
  const verifiers = new Map<string, DkimVerifier>();
  /** What stands in the DNS. */
  const published: Record<string, string> = {};

  beforeAll(async () => {
    dns = await startDnsServer();
    sink = await startMailSink();
    plainSink = await startMailSink({ sevenBit: true });
    const { submission } = await freePorts("submission");
    gateway = await runGateway({
      policy: policy({ submission, sink: sink.port, plainSink: plainSink.port }),
      dns: [dns.address],
    });
    web = await runConsole(gateway);
    client = await openSubmission(submission, LOGIN);
    for (const [name, able, start] of peers) if (able) verifiers.set(name, await start());
  }, 120_000);

  afterAll(async () => {
    client?.close();
    await gateway?.dispose();
    for (const verifier of verifiers.values()) await verifier.close();
    await sink?.close();
    await plainSink?.close();
    await dns?.close();
  }, 60_000);

  const keys = "/domains/example.test/dkim";
  const make = (selector: string, algorithm: Algorithm) =>
    web.api<Key>("POST", keys, { selector, algorithm });
  const check = (selector: string) => web.api<Key>("POST", `${keys}/${selector}/check`);
  const activate = (selector: string) => web.api<Key>("POST", `${keys}/${selector}/activate`);
  const publish = ({ record }: Key) => {
    dns.set(record.name, { TXT: [record.value] });
    published[record.name] = record.value;
  };

  /** The message as the far side got it. */
  const arrived = async (subject: string, where = sink): Promise<Buffer> => {
    const wanted = Buffer.from(subject).toString("latin1");
    const found = await waitUntil(`"${subject}" arrives`, () =>
      where.messages.find(({ text }) => text.slice(0, text.indexOf("\r\n\r\n")).includes(wanted)),
    );
    return Buffer.from(found.text, "latin1");
  };
  const expectVerified = async (got: Buffer, records: KeyRecords = published) => {
    const asked = ALGORITHMS.flatMap((algorithm) =>
      [...verifiers].map(async ([name, verifier]) => {
        const wrong = await verifier.verify(withSignature(got, algorithm), records);
        return wrong === null ? [] : [`${name}, ${algorithm}: ${wrong}`];
      }),
    );
    expect((await Promise.all(asked)).flat()).toEqual([]);
  };

  test("a key signs once its record is published and it is activated, not before", async () => {
    for (const [selector, algorithm] of [
      ["gate1", "rsa"],
      ["gate1-ed", "ed25519"],
    ] as const) {
      const key = await make(selector, algorithm);
      expect((await check(selector)).publication.state).toBe("missing");
      await expect(activate(selector)).rejects.toThrow(/409.*receivers could not verify/);
      publish(key);
      expect((await check(selector)).publication.state).toBe("published");
    }
    expect(await client.send(mail("too early", "Hello\r\n"), [BOB])).toStartWith("250");
    expect(signaturesOnTop(await arrived("too early"))).toEqual([]);
    for (const selector of ["gate1", "gate1-ed"]) expect((await activate(selector)).state).toBe("active");
  }, 120_000);

  test.each(MESSAGES)(
    "%s arrives verifiable, without the identity header",
    async (_what, subject, sent) => {
      const { to = BOB, text, fields = [], arrives = subject } = sent;
      expect(await client.send(mail(subject, text, fields), [to])).toStartWith("250");
      const got = await arrived(subject === arrives ? `${subject}` : arrives);
      expect(got.toString("latin1").toLowerCase()).not.toContain("x-client-id");
      expect(signaturesOnTop(got)).toHaveLength(2);
      await expectVerified(got);
    },
    120_000,
  );

  test.each(TO_BOTH)(
    "%s verifies at a server with 8BITMIME and at one without",
    async (_what, subject, { text, fields = [] }) => {
      expect(await client.send(mail(subject, text, fields), [BOB, CAROL])).toStartWith("250");
      const asItWas = await arrived(subject);
      expect(asItWas.toString("utf8")).toEndWith(`\r\n\r\n${text}`);
      const plain = await arrived(subject, plainSink);
      expect(plain.length).toBeGreaterThan(asItWas.length);
      expect(isAscii(plain)).toBe(true);
      for (const got of [asItWas, plain])
        await expectVerified(Buffer.from(got.toString("latin1").replace(`${FOREIGN}\r\n`, ""), "latin1"));
    },
    120_000,
  );

  test("mail released from the outgoing quarantine is signed and edited like any other", async () => {
    expect(await client.send(mail("held", `${GTUBE}\r\n`), [BOB])).toStartWith("250");
    const item = await waitUntil("the message is in quarantine", async () => {
      const { out } = await gateway.command("quarantine", "list", "--json");
      const items = out.split("\n").filter((line) => line !== "");
      return items
        .map((line) => JSON.parse(line) as { id: string; subject: string })
        .find(({ subject }) => subject === "held");
    });
    expect(sink.messages.filter(({ text }) => text.includes("Subject: held"))).toEqual([]);
    expect((await gateway.command("quarantine", "release", item.id)).code).toBe(0);
    const got = await arrived("Subject: held");
    expect(got.toString("latin1").toLowerCase()).not.toContain("x-client-id");
    await expectVerified(got);
  }, 120_000);

  test("while both keys rotate under a steady stream every message is signed, and mail of the old keys stays verifiable", async () => {
    let flowing = true;
    let sent = 0;
    const stream = (async () => {
      while (flowing || sent < 20) {
        sent++;
        expect(await client.send(mail(`stream ${sent}.`, "Hello Bob\r\n"), [BOB])).toStartWith("250");
      }
    })();
    const flow = async (count: number) => {
      const from = sent;
      await waitUntil("mail flows", () => sent >= from + count);
    };
    await flow(4);
    for (const [selector, algorithm] of [
      ["gate2", "rsa"],
      ["gate2-ed", "ed25519"],
    ] as const) {
      publish(await make(selector, algorithm));
      await flow(2);
      expect((await activate(selector)).state).toBe("active");
      await flow(4);
    }
    flowing = false;
    await stream;
    const states = (await web.api<{ readonly items: readonly Key[] }>("GET", keys)).items.map(
      ({ selector, state }) => `${selector} ${state}`,
    );
    expect(states.toSorted()).toEqual([
      "gate1 retiring",
      "gate1-ed retiring",
      "gate2 active",
      "gate2-ed active",
    ]);

    const ours = () => sink.messages.filter(({ text }) => text.includes("Subject: stream "));
    const all = await waitUntil("all of them arrive", () => (ours().length >= sent ? ours() : null));
    const mails = all.map(({ text }) => Buffer.from(text, "latin1"));
    const selectors = mails.map((one) =>
      signaturesOnTop(one).map((field) => /; s=([^;]+);/.exec(field)?.[1]),
    );
    for (const used of selectors) expect(used).toHaveLength(2);
    const used = new Set(selectors.map(([rsa, ed]) => `${rsa} ${ed}`));
    expect([...used].toSorted()).toEqual(["gate1 gate1-ed", "gate2 gate1-ed", "gate2 gate2-ed"]);
    const python = verifiers.get("python3-dkim");
    for (const algorithm of python === undefined ? [] : ALGORITHMS)
      for (const one of mails)
        expect(await python?.verify(withSignature(one, algorithm), published)).toBeNull();
    const [first, last] = [mails[0], mails.at(-1)];
    if (first === undefined || last === undefined) throw new Error("nothing was sent");
    await expectVerified(first);
    await expectVerified(last);
  }, 120_000);
});
