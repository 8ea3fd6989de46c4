// What our keys sign, verified by independent verifiers from Debian: RSA and Ed25519, odd messages, and while a key rotates.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BY, type DkimKit, DOMAIN, dkimKit, keyOf } from "../dkim/dkim-kit.ts";
import { message } from "../message/message-samples.ts";
import { small } from "../message/small-body.ts";
import { type DkimVerifier, dkimVerifiers, type KeyRecords, withSignature } from "./verify-dkim.ts";

const FROM = "From: Alice <alice@example.test>";
const USUAL = [
  FROM,
  "To: bob@example.org",
  "Subject: Hello",
  "Date: Sat, 21 Nov 2026 10:00:00 +0000",
  "Message-ID: <1@example.test>",
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=utf-8",
];

/** Every message is complete in what RFC 5322 §3.6 asks for (From, Date), else OpenDKIM does not look at it at all. */
const MESSAGES: readonly (readonly [what: string, mail: Buffer])[] = [
  ["a plain message", message(USUAL, "Hello Bob\r\n")],
  ["without a body", message(USUAL, "")],
  ["without a line end at its end", message(USUAL, "Hello\r\nBob")],
  ["with empty lines at its end", message(USUAL, "Hello\r\n\r\n \t\r\n\r\n")],
  [
    "with folded fields",
    message([...USUAL, "References: <a@example.org>\r\n\t<b@example.org>\r\n  <c@example.org>  "]),
  ],
  [
    "with runs of white space",
    message([...USUAL, "Reply-To:\t  x@example.test \t "], "a \t  b\t\r\n\tc \r\n"),
  ],
  ["in 8-bit", message([...USUAL, "Reply-To: Grüße <x@example.test>"], "Ümläute ☃\r\n")],
  ["with lines of any length", message(USUAL, `${"long ".repeat(40_000)}\r\n`)],
  [
    "with duplicate fields",
    // OpenDKIM refuses to look at a second To or Cc (RFC 5322 §3.6).
    message([
      ...USUAL,
      "Content-Type: text/html",
      "List-Help: <https://example.test/1>",
      "List-Help: <mailto:h@example.test>",
    ]),
  ],
  [
    "of a list",
    message([...USUAL, "List-Id: <l.example.test>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]),
  ],
  [
    "with our trace on top",
    message([
      "Received: from a ([192.0.2.1])\r\n\tby b with ESMTP id 1;\r\n\tnow",
      "X-Gatepost: id=1",
      ...USUAL,
    ]),
  ],
  ["with dots at line starts", message(USUAL, ".\r\n..\r\n.dot\r\n")],
];

/** Fields whose number is closed by the signature: one more of them breaks it, whether the message had one or not. */
const CLOSED = (
  "From Sender To Cc Subject Date Reply-To MIME-Version Content-Type List-Id List-Help List-Unsubscribe List-Unsubscribe-Post " +
  "List-Subscribe List-Post List-Owner List-Archive"
).split(" ");
/** Of these every hop may add some. */
const LEFT_OPEN = ["Received", "Return-Path", "Resent-From", "X-Spam", "Comments", "In-Reply-To"];
const VALUES: Readonly<Record<string, string>> = {
  Date: "Sat, 21 Nov 2026 11:00:00 +0000",
  "Content-Type": "text/html",
  "MIME-Version": "1.0",
};

async function recordsOf(kit: DkimKit): Promise<KeyRecords> {
  return Object.fromEntries((await kit.dkim.list()).map(({ record }) => [record.name, record.value]));
}

for (const [name, able, start] of await dkimVerifiers("DKIM")) {
  describe.skipIf(!able)(name, () => {
    let verifier: DkimVerifier;
    let kit: DkimKit;
    beforeAll(async () => {
      verifier = await start();
      kit = await dkimKit(Date.now());
      await kit.activeKey("gate1", "rsa");
      await kit.activeKey("gate1-ed", "ed25519");
    }, 120_000);
    afterAll(async () => {
      await kit[Symbol.asyncDispose]();
      await verifier.close();
    });

    describe.each(["rsa", "ed25519"] as const)("%s", (algorithm) => {
      test.each(MESSAGES)(
        "a message %s",
        async (_, mail) => {
          const signed = await kit.dkim.sign(mail, { domain: DOMAIN, selector: null });
          expect(
            await verifier.verify(withSignature(small(signed), algorithm), await recordsOf(kit)),
          ).toBeNull();
        },
        120_000,
      );

      test("a changed message, an added From and a missing record are noticed", async () => {
        const [, mail] = MESSAGES[0] ?? ["", Buffer.alloc(0)];
        const signed = withSignature(
          small(await kit.dkim.sign(mail, { domain: DOMAIN, selector: null })),
          algorithm,
        );
        const text = signed.toString("latin1");
        const records = await recordsOf(kit);
        for (const [from, to] of [
          ["Hello Bob", "Hello Rob"],
          ["Subject: Hello", "Subject: Hullo"],
          [FROM, `From: Mallory <m@example.test>\r\n${FROM}`],
        ] as const) {
          const changed = Buffer.from(text.replace(from, to), "latin1");
          expect(await verifier.verify(changed, records)).not.toBeNull();
        }
        const elsewhere = Buffer.from(text.replace(/; s=gate1/, "; s=nosuch"), "latin1");
        expect(await verifier.verify(elsewhere, records)).not.toBeNull();
      }, 120_000);

      test("a field that is added or doubled afterwards breaks it, wherever it stands", async () => {
        const signed = await kit.dkim.sign(message(USUAL, "Hello\r\n"), { domain: DOMAIN, selector: null });
        const text = withSignature(small(signed), algorithm).toString("latin1");
        const records = await recordsOf(kit);
        const judge = (changed: string) => verifier.verify(Buffer.from(changed, "latin1"), records);
        expect(await judge(text)).toBeNull();
        const held: string[] = [];
        for (const name of CLOSED) {
          const field = `${name}: ${VALUES[name] ?? "Mallory <m@elsewhere.example>"}\r\n`;
          for (const changed of [
            field + text,
            field.toUpperCase() + text,
            text.replace("\r\n\r\n", `\r\n${field}\r\n`),
          ])
            if ((await judge(changed)) === null) held.push(name);
        }
        expect(held).toEqual([]);
        for (const name of LEFT_OPEN)
          expect([name, await judge(`${name}: <m@elsewhere.example>\r\n${text}`)]).toEqual([name, null]);
      }, 120_000);

      test("while the key rotates: signed before, between and after", async () => {
        const old = algorithm === "rsa" ? "gate1" : "gate1-ed";
        const selector = `next-${algorithm}`;
        const [, mail] = MESSAGES[0] ?? ["", Buffer.alloc(0)];
        const sign = () => kit.dkim.sign(mail, { domain: DOMAIN, selector: null });
        const before = await sign();
        const next = keyOf(await kit.dkim.create({ domain: DOMAIN, selector, algorithm }, BY));
        const between = await sign();
        kit.publish(next);
        const during = Promise.all([sign(), sign(), sign()]);
        keyOf(await kit.dkim.activate(DOMAIN, selector, BY));
        const after = await sign();
        const records = await recordsOf(kit);
        for (const signed of [before, between, ...(await during), after])
          expect(await verifier.verify(withSignature(small(signed), algorithm), records)).toBeNull();
        expect(small(between).toString("latin1")).toContain(`; s=${old};`);
        expect(small(after).toString("latin1")).toContain(`; s=${selector};`);
        expect(small(after).toString("latin1")).not.toContain(`; s=${old};`);
      }, 120_000);
    });
  });
}
