// Signatures against mailauth's verifier, over plain and odd messages; what is signed, and that the message itself stays as it is.
import { describe, expect, test } from "bun:test";
import { createHash, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { dkimVerify } from "mailauth/lib/dkim/verify";
import { relaxedBodyHash } from "../../src/dkim/body-hash.ts";
import { type SigningKey, signatureFields } from "../../src/dkim/sign-message.ts";
import { anyMessage, message } from "../message/message-samples.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed = generateKeyPairSync("ed25519");
const KEYS: readonly SigningKey[] = [
  { selector: "r", algorithm: "rsa", key: rsa.privateKey },
  { selector: "e", algorithm: "ed25519", key: ed.privateKey },
];
const RECORDS: Readonly<Record<string, string>> = {
  "r._domainkey.example.test": `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: "spki", format: "der" }).toString("base64")}`,
  "e._domainkey.example.test": `v=DKIM1; k=ed25519; p=${ed.publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64")}`,
};
const NOW = Date.UTC(2026, 10, 21, 12);

function fieldsOf(mail: Uint8Array, keys = KEYS): Promise<string> {
  return signatureFields(mail, { domain: "example.test", keys, signedAtMs: NOW });
}

async function signed(mail: Uint8Array): Promise<Buffer> {
  return Buffer.concat([Buffer.from(await fieldsOf(mail), "latin1"), mail]);
}

/** `rsa-sha256 pass`, … in the order of the fields. */
async function verdicts(mail: Buffer): Promise<readonly string[]> {
  const { results } = await dkimVerify(mail, {
    resolver: async (name: string) => {
      const record = RECORDS[name];
      if (record === undefined) throw Object.assign(new Error(name), { code: "ENOTFOUND" });
      return [[record]];
    },
    strict: true,
    curTime: new Date(NOW),
  });
  return results.map((result) => `${result.algo} ${result.status.result}`);
}
const BOTH = ["rsa-sha256 pass", "ed25519-sha256 pass"];

const FROM = "From: Alice <alice@example.test>";
const odd: readonly (readonly [what: string, mail: Buffer])[] = [
  ["a plain message", message([FROM, "To: bob@example.org", "Subject: Hello"])],
  ["no body", message([FROM], "")],
  ["no empty line", Buffer.from(`${FROM}\r\nSubject: x\r\n`)],
  ["no line end at the end of the header", Buffer.from(`${FROM}\r\nSubject: x`)],
  ["no line end at the end of the body", message([FROM], "Hello\r\nBob")],
  ["empty lines at the end", message([FROM], "Hello\r\n\r\n \t\r\n\r\n")],
  ["only empty lines", message([FROM], "\r\n\r\n\r\n")],
  ["only white space", message([FROM], " \t ")],
  ["white space runs and ends", message([FROM], " a \t b\t \r\n\tc  \r\n")],
  ["dots at line starts", message([FROM], ".\r\n..\r\n.a\r\n")],
  ["folded fields", message([FROM, "Subject: a\r\n\tb\r\n  c  ", "To:\r\n bob@example.org"])],
  ["white space before colons", message([FROM, "Subject \t: x", "TO: bob@example.org"])],
  ["empty fields", message([FROM, "Subject:", "To: ", "Cc:  \t"])],
  ["8-bit", message([FROM, "Subject: Grüße ☃"], "Ümläute \u00ff\r\n")],
  ["octets of no charset", Buffer.concat([message([FROM], ""), Buffer.from([0xff, 0xfe, 0, 0x80, 13, 10])])],
  ["a line of a megabyte", message([FROM], `${"x ".repeat(524_288)}\r\n`)],
  [
    "long header lines",
    message([FROM, `Subject: ${"y".repeat(900)}`, `References: ${"<a@b> ".repeat(2000)}`]),
  ],
  ["duplicates", message([FROM, "To: a@example.org", "Subject: 1", "To: b@example.org", "Subject: 2"])],
  [
    "a list's fields",
    message([FROM, "List-Id: <l.example.test>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]),
  ],
  [
    "trace fields on top",
    message(["Received: from a by b;\r\n\tdate", "Authentication-Results: x; none", FROM]),
  ],
  [
    "another signature",
    message(["DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=x; h=from; bh=; b=", FROM]),
  ],
];
describe("mailauth verifies", () => {
  test.each(odd)("%s", async (_, mail) => {
    const whole = await signed(mail);
    expect((await verdicts(whole)).slice(0, 2)).toEqual(BOTH);
    // Below our fields every octet is the original's.
    expect(whole.subarray(whole.length - mail.length).equals(mail)).toBe(true);
  });

  test("any message with a From, as a property", async () => {
    await fc.assert(
      fc.asyncProperty(anyMessage, async (rest) => {
        // Sessions refuse CR and LF that stand alone, and verifiers differ about them.
        const sound = Buffer.from(rest.toString("latin1").replace(/\r?\n|\r/g, "\r\n"), "latin1");
        const mail = Buffer.concat([Buffer.from(`${FROM}\r\n`), sound]);
        expect((await verdicts(await signed(mail))).slice(0, 2)).toEqual(BOTH);
      }),
      { numRuns: 300 },
    );
  });

  test("and notices what was changed or added", async () => {
    const whole = await signed(message([FROM, "Subject: Hello", "To: bob@example.org"], "Pay 10\r\n"));
    const text = whole.toString("latin1");
    const changes: readonly (readonly [from: string, to: string])[] = [
      ["Pay 10", "Pay 99"],
      ["Subject: Hello", "Subject: Hallo"],
      ["Pay 10\r\n", "Pay 10\r\nand more\r\n"],
      ["From: Alice", "From: Mallory <m@example.test>\r\nFrom: Alice"],
      ["Pay 10\r\n", "Pay 1 0\r\n"],
      // A second of a field that stands, and a first of one that does not.
      ...[
        "Subject: Other",
        "To: mallory@example.org",
        "Cc: mallory@example.org",
        "Date: Fri, 20 Nov 2026 10:00:00 +0000",
        "Reply-To: mallory@example.org",
        "Sender: mallory@example.org",
        "Content-Type: text/html",
        "MIME-Version: 1.0",
        "List-Unsubscribe: <https://mallory.example.org/>",
        "List-Id: <l.example.org>",
      ].map((field) => ["From: Alice", `${field}\r\nFrom: Alice`] as const),
    ];
    for (const [from, to] of changes) {
      expect(text).toContain(from);
      const verdict = await verdicts(Buffer.from(text.replace(from, to), "latin1"));
      expect(verdict.every((one) => !one.endsWith("pass"))).toBe(true);
    }
    // What a hop may do: other white space, another trace field.
    const handled = `Received: from x by y; now\r\n${text.replace("Subject: Hello", "subject:  Hello \r\n\t")}`;
    expect(await verdicts(Buffer.from(handled, "latin1"))).toEqual(BOTH);
  });
});

const CLOSED = (
  "from sender to cc subject date reply-to mime-version content-type list-id list-help list-unsubscribe list-unsubscribe-post " +
  "list-subscribe list-post list-owner list-archive"
).split(" ");

test("what readers see is named once more than it is there, trace fields never, and each line is short", async () => {
  const fields = await fieldsOf(
    message([
      "Received: x",
      "X-Gatepost: y",
      "Return-Path: <z@example.test>",
      FROM,
      "Subject: 1",
      "Subject: 2",
      "List-Id: <l>",
      "References: <r@example.test>",
      "X-Other: 1",
      ...Array.from({ length: 5000 }, (_, i) => `Reply-To: r${i}@example.test`),
    ]),
  );
  const names = /\th=([^;]*);/.exec(fields)?.[1]?.replace(/\s/g, "").split(":") ?? [];
  const times = (name: string): number => names.filter((one) => one === name).length;
  expect(times("from")).toBe(2);
  expect(times("subject")).toBe(3);
  expect(times("list-id")).toBe(2);
  expect(times("references")).toBe(1);
  expect(times("reply-to")).toBe(10);
  for (const name of CLOSED) expect([name, times(name) > 0]).toEqual([name, true]);
  expect(new Set(names)).toEqual(new Set([...CLOSED, "references"]));
  for (const line of fields.split("\r\n")) expect(line.length).toBeLessThan(79);
  expect(fields).not.toMatch(/[; ]l=/);
  expect(fields).toContain(`t=${NOW / 1000};`);
});

describe("the canonical body", () => {
  const hash = (text: string) => createHash("sha256").update(text, "latin1").digest("base64");
  const cases: readonly (readonly [body: string, canonical: string])[] = [
    // RFC 6376 §3.4.5 and §3.4.4.
    [" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"],
    ["", ""],
    ["\r\n", ""],
    [" \t\r\n \r\n", ""],
    ["a", "a\r\n"],
    ["\r\n\r\na\r\n", "\r\n\r\na\r\n"],
    ["a \r\n", "a\r\n"],
    ["a \t", "a\r\n"],
    ["a\rb\nc\r\n", "a\rb\nc\r\n"],
    ["a\n\r\n", "a\n\r\n"],
    ["a\r\r\n", "a\r\r\n"],
    [
      `${"x".repeat(16_383)}\r\n${"y".repeat(40_000)}\r\n`,
      `${"x".repeat(16_383)}\r\n${"y".repeat(40_000)}\r\n`,
    ],
  ];
  test.each(cases)("%j", async (body, canonical) => {
    const mail = Buffer.from(`H: x\r\n\r\n${body}`, "latin1");
    expect(await relaxedBodyHash(mail, 8)).toBe(hash(canonical));
  });

  test("line ends that fall between two strides", async () => {
    for (const shift of [0, 1, 2, 3]) {
      const body = `${"z".repeat(1_048_576 - 2 + shift)}\r\n \r\n${"z".repeat(10)} \r\n`;
      const mail = Buffer.from(body, "latin1");
      expect(await relaxedBodyHash(mail, 0)).toBe(hash(body.replace(/ \r\n/g, "\r\n")));
    }
  });

  test("as large as a body may be, other work has its turn in between", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await relaxedBodyHash(Buffer.alloc(30_000_000, "abc \r\n"), 0);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});
