// What a DKIM signature proves: fields that stand twice, odd names, old algorithms, lengths, times, and one bad among good ones.
import { describe, expect, test } from "bun:test";
import { createPrivateKey, createSign, generateKeyPairSync } from "node:crypto";
import { authenticateMessage } from "../../src/checks/authenticate-message.ts";
import { signatureFields } from "../../src/dkim/sign-message.ts";
import { headOf } from "../../src/message/body.ts";
import { addTraceHeaders } from "../../src/message/trace.ts";
import { type Facts, type Finding, factsOf } from "../../src/rules/fact.ts";
import { envelope, message } from "../message/message-samples.ts";
import { processorMs } from "../message/processor-time.ts";
import { type Zone, zoneResolve } from "./fake-dns.ts";
import { signedWith, type TestKey, testKey } from "./front-door.ts";

const key = testKey();
const short = testKey(768);
const zone: Zone = {
  "TXT _dmarc.example.org": ["v=DMARC1; p=reject"],
  "TXT k._domainkey.example.org": [key.record],
  "TXT k1_b._domainkey.example.org": [key.record],
  "TXT k._domainkey.mail_1.example.org": [key.record],
  "TXT short._domainkey.example.org": [short.record],
  "TXT k._domainkey.list.example.net": [key.record],
  "TXT down._domainkey.example.org": null,
};

const LETTER = [
  "From: Alice <alice@example.org>",
  "To: bob@example.test",
  "Subject: hello",
  "Date: Fri, 20 Nov 2026 10:00:00 +0000",
  "MIME-Version: 1.0",
  "Content-Type: text/plain",
  "Message-ID: <1@example.org>",
];
const OURS = { domain: "example.org", selector: "k" } as const;

async function findingsOf(raw: Uint8Array, dns: Zone = zone): Promise<readonly Finding[]> {
  const byCheck = await authenticateMessage({
    raw,
    client: { ip: "203.0.113.9", helo: "x.example", sender: "", hostname: "gate.example.test" },
    wanted: new Set(["spf", "dkim", "dmarc", "arc"]),
    resolve: zoneResolve(dns),
  });
  return [...byCheck.values()].flat();
}

async function judged(raw: Uint8Array, dns: Zone = zone): Promise<Facts> {
  return factsOf(await findingsOf(raw, dns));
}

/** The Authentication-Results field as it would stand on top of the message. */
async function results(raw: Uint8Array): Promise<string> {
  const traced = addTraceHeaders({
    raw,
    envelope: envelope({ reversePath: null }),
    hostname: "gate.example.test",
    recipient: null,
    findings: await findingsOf(raw),
    verdictWords: "",
  });
  const text = Buffer.from(headOf(traced)).toString("latin1");
  return /^Authentication-Results: [^\r]*(?:\r\n\t[^\r]*)*/m.exec(text)?.[0].replace(/\r\n\t/g, " ") ?? "";
}

const PASSES = { "dkim.result": "pass", "dkim.aligned": true, "dmarc.result": "pass" };
const PROVES_NOTHING = {
  "dkim.result": "policy",
  "dkim.aligned": false,
  "dkim.domains": [],
  "dmarc.result": "fail",
};

describe("a field that may stand once, standing twice", () => {
  const second: Readonly<Record<string, string>> = {
    Subject: "Subject: another",
    To: "To: mallory@example.net",
    Cc: "Cc: mallory@example.net",
    Bcc: "Bcc: mallory@example.net",
    Date: "Date: Sat, 21 Nov 2026 10:00:00 +0000",
    "Reply-To": "Reply-To: mallory@example.net",
    Sender: "Sender: mallory@example.net",
    "Message-ID": "Message-ID: <2@example.net>",
    "In-Reply-To": "In-Reply-To: <2@example.net>",
    References: "References: <2@example.net>",
    "Content-Type": "Content-Type: text/html",
    "MIME-Version": "MIME-Version: 1.0",
    "Content-Transfer-Encoding": "Content-Transfer-Encoding: base64",
  };
  for (const [name, field] of Object.entries(second)) {
    const whole = LETTER.some((line) => line.startsWith(`${name}:`)) ? LETTER : [...LETTER, field];
    test(`${name}: a second one on top, below, or spelt otherwise makes it no proof; signed twice, it is one`, async () => {
      const one = (await signedWith(key, message(whole), OURS)).toString("latin1");
      expect(await judged(Buffer.from(one, "latin1"))).toMatchObject(PASSES);
      const added = [
        one.replace("DKIM-Signature:", `${field}\r\nDKIM-Signature:`),
        one.replace("DKIM-Signature:", `${field.replace(":", " \t:")}\r\nDKIM-Signature:`),
        one.replace("DKIM-Signature:", `${field.toUpperCase()}\r\nDKIM-Signature:`),
      ];
      for (const text of added)
        expect(await judged(Buffer.from(text, "latin1"))).toMatchObject(PROVES_NOTHING);
      // Signatures of our own cover every instance.
      const twice = message([...whole, field]);
      const signed = await signatureFields(twice, {
        domain: "example.org",
        keys: [{ selector: "k", algorithm: "rsa", key: createPrivateKey(key.privateKey) }],
        signedAtMs: Date.now() - 60_000,
      });
      const facts = await judged(Buffer.concat([Buffer.from(signed, "latin1"), twice]));
      const all =
        "from sender to cc subject date reply-to message-id mime-version content-type content-transfer-encoding in-reply-to references";
      expect(facts["dkim.result"]).toBe(all.split(" ").includes(name.toLowerCase()) ? "pass" : "policy");
    });
  }

  test("fields that may stand any number of times do no harm", async () => {
    const one = (await signedWith(key, message(LETTER), OURS)).toString("latin1");
    const text = `Received: from a by b\r\nReceived: from c by d\r\nX-A: 1\r\nX-A: 2\r\nComments: 1\r\nComments: 2\r\n${one}`;
    expect(await judged(Buffer.from(text, "latin1"))).toMatchObject(PASSES);
  });
});

describe("names", () => {
  test.each([
    ["a selector with an underscore", { domain: "example.org", selector: "k1_b" }],
    ["a domain with an underscore", { domain: "mail_1.example.org", selector: "k" }],
  ])("%s", async (_, by) => {
    const raw = await signedWith(key, message(LETTER), by);
    expect(await judged(raw)).toMatchObject({ ...PASSES, "dkim.domains": [by.domain] });
    expect(await results(raw)).toContain(`header.d=${by.domain} header.s=${by.selector}`);
  });

  test("another record beside the key does not hide it", async () => {
    const raw = await signedWith(key, message(LETTER), OURS);
    const records = ["site-verification=abc", key.record];
    for (const shown of [records, [...records].reverse()]) {
      expect(await judged(raw, { ...zone, "TXT k._domainkey.example.org": shown })).toMatchObject(PASSES);
    }
  });

  test("a selector that is no name stays unusable", async () => {
    const raw = (await signedWith(key, message(LETTER), OURS)).toString("latin1");
    const odd = Buffer.from(raw.replace(/\bs=k;/, "s=k!_x;"), "latin1");
    expect((await judged(odd))["dkim.result"]).toBe("invalid");
  });
});

describe("what is too weak or too much", () => {
  test("rsa-sha1", async () => {
    const body = "x\r\n";
    const hash = new Bun.CryptoHasher("sha1").update(body).digest("base64");
    const unsigned = `DKIM-Signature: v=1; a=rsa-sha1; c=simple/simple; d=example.org; s=k; h=from; bh=${hash}; b=`;
    const b = createSign("sha1").update(`From: a@example.org\r\n${unsigned}`).sign(key.privateKey, "base64");
    const raw = Buffer.from(`${unsigned}${b}\r\nFrom: a@example.org\r\n\r\n${body}`);
    expect(await judged(raw)).toMatchObject(PROVES_NOTHING);
  });

  test("a key under 1024 bits", async () => {
    const raw = await signedWith(short, message(LETTER), { domain: "example.org", selector: "short" });
    expect(await judged(raw)).toMatchObject(PROVES_NOTHING);
  });

  test("a signature over the size limit is permerror, and does not hide a good one", async () => {
    const good = await signedWith(key, message(LETTER), OURS);
    const huge = `DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=huge; h=from; bh=AA; z=${"x".repeat(9000)};\r\n\tb=AA\r\n`;
    const alone = Buffer.concat([Buffer.from(huge), message(LETTER)]);
    expect(await judged(alone)).toMatchObject({ "dkim.result": "permerror", "dmarc.result": "fail" });
    expect(await results(alone)).toContain(
      "dkim=permerror header.d=example.org header.s=huge header.a=rsa-sha256",
    );
    expect(await judged(Buffer.concat([Buffer.from(huge), good]))).toMatchObject(PASSES);
  });

  test("a key far too large to be worth the work proves nothing and costs little", async () => {
    const modulus = Buffer.alloc(8192, 0xff);
    const der = Buffer.concat([
      Buffer.from([0x30, 0x82, 0x20, 0x0b, 0x02, 0x82, 0x20, 0x01, 0x00]),
      modulus,
      Buffer.from([0x02, 0x04, 0x7f, 0xff, 0xff, 0xff]),
    ]);
    const dns = { ...zone, "TXT k._domainkey.example.org": [`v=DKIM1; k=rsa; p=${der.toString("base64")}`] };
    const raw = await signedWith(key, message(LETTER), OURS);
    const startedAt = processorMs();
    expect(["invalid", "fail"]).toContain(String((await judged(raw, dns))["dkim.result"]));
    expect(processorMs() - startedAt).toBeLessThan(1000);
  });
});

describe("times", () => {
  const at = async (change: (text: string) => string): Promise<Facts> => {
    // The times are signed, so a changed one breaks the signature: here they are signed as they are.
    const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const body = "x\r\n";
    const bh = new Bun.CryptoHasher("sha256").update(body).digest("base64");
    const unsigned = change(
      `DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=t; TIMES h=from; bh=${bh}; b=`,
    );
    const signing = createSign("sha256").update(`From: a@example.org\r\n${unsigned}`);
    const raw = `${unsigned}${signing.sign(pair.privateKey, "base64")}\r\nFrom: a@example.org\r\n\r\n${body}`;
    const p = pair.publicKey.export({ type: "spki", format: "der" }).toString("base64");
    return judged(Buffer.from(raw), { ...zone, "TXT t._domainkey.example.org": [`v=DKIM1; k=rsa; p=${p}`] });
  };
  const now = Math.floor(Date.now() / 1000);
  test.each([
    ["none", "", "pass"],
    ["not yet over", `t=${now - 60}; x=${now + 600};`, "pass"],
    ["over", `t=${now - 600}; x=${now - 300};`, "invalid"],
    ["over before it began", `t=${now - 60}; x=${now - 600};`, "invalid"],
    ["no number", "t=soon;", "invalid"],
    // A clock a little ahead is no forgery (RFC 6376 §3.5: may be ignored).
    ["a minute ahead", `t=${now + 60};`, "pass"],
  ])("%s", async (_, times, result) => {
    expect((await at((text) => text.replace("TIMES", times)))["dkim.result"]).toBe(result);
  });
});

describe("bodies", () => {
  const canonical = async (c: string, signedBody: string, sentBody: string): Promise<unknown> => {
    const { dkimSign } = await import("mailauth/lib/dkim/sign");
    const one = {
      signingDomain: "example.org",
      selector: "k",
      privateKey: key.privateKey,
      canonicalization: c,
    };
    const raw = message(LETTER, signedBody);
    const { signatures } = await dkimSign(raw, { ...one, signatureData: [one] });
    return (await judged(Buffer.concat([Buffer.from(signatures), message(LETTER, sentBody)])))["dkim.result"];
  };
  test.each([
    ["simple/simple", "a\r\n", "a\r\n\r\n\r\n", "pass"],
    ["simple/simple", "", "\r\n\r\n", "pass"],
    ["simple/simple", "a b\r\n", "a  b\r\n", "fail"],
    ["relaxed/relaxed", "a b\r\n", "a \t b \t\r\n\r\n", "pass"],
    ["relaxed/relaxed", "", "\r\n", "pass"],
    ["relaxed/relaxed", "a\r\n\r\nb\r\n", "a\r\nb\r\n", "fail"],
    ["relaxed/relaxed", "a\r\n", " a\r\n", "fail"],
    ["relaxed/simple", "a \r\n", "a\r\n", "fail"],
  ])("%s: %p signed, %p sent", async (c, signedBody, sentBody, result) => {
    expect(await canonical(c, signedBody, sentBody)).toBe(result);
  });
});

describe("several signatures", () => {
  const sign = (raw: Buffer, domain: string, selector: string, by: TestKey = key): Promise<Buffer> =>
    signedWith(by, raw, { domain, selector });

  test("one bad among good ones, in any place", async () => {
    const bad = async (raw: Buffer): Promise<Buffer> =>
      Buffer.from(
        (await sign(raw, "example.org", "k")).toString("latin1").replace(/\bbh=..../, "bh=AAAA"),
        "latin1",
      );
    const orders = [
      async () => bad(await sign(message(LETTER), "example.org", "k")),
      async () => sign(await bad(message(LETTER)), "example.org", "k"),
      async () => sign(await sign(message(LETTER), "example.org", "missing"), "example.org", "k"),
      async () => sign(await sign(message(LETTER), "example.org", "down"), "example.org", "k"),
      async () => sign(await sign(message(LETTER), "list.example.net", "k"), "example.org", "k"),
    ];
    for (const make of orders) expect(await judged(await make())).toMatchObject(PASSES);
  });

  test("Authentication-Results names each, the failed ones too", async () => {
    let raw = await sign(message(LETTER), "example.org", "missing");
    raw = await sign(raw, "list.example.net", "k");
    raw = await sign(raw, "example.org", "down");
    raw = await sign(raw, "example.org", "k");
    const field = await results(raw);
    const b = [...raw.toString("latin1").matchAll(/\tb=|\bb=([A-Za-z0-9+/]{8})/g)].flatMap(
      ([, start]) => start ?? [],
    );
    expect(b.length).toBe(4);
    const shown = (start: string | undefined): string =>
      /[+/]/.test(start ?? "") ? `"${start}"` : String(start);
    expect(field).toContain(
      `dkim=pass header.d=example.org header.s=k header.a=rsa-sha256 header.b=${shown(b[0])};`,
    );
    expect(field).toContain(
      `dkim=temperror header.d=example.org header.s=down header.a=rsa-sha256 header.b=${shown(b[1])};`,
    );
    expect(field).toContain(
      `dkim=pass header.d=list.example.net header.s=k header.a=rsa-sha256 header.b=${shown(b[2])};`,
    );
    expect(field).toContain(
      `dkim=permerror header.d=example.org header.s=missing header.a=rsa-sha256 header.b=${shown(b[3])};`,
    );
    expect(field).toContain("spf=none smtp.helo=x.example;");
    expect(field).toContain("dmarc=pass (p=reject) header.from=example.org;");
  });

  test("hostile tags stay inside their place", async () => {
    const evil = `DKIM-Signature: v=1; a=rsa-sha256; d=example.org (x); s=a;\r\n\t h=from; bh=AA; b="; dkim=pass\r\n\theader.d=bank.example\r\n`;
    const field = await results(Buffer.concat([Buffer.from(evil), message(LETTER)]));
    expect(field).not.toContain("dkim=pass");
    expect(field).not.toContain("bank.example;");
  });
});
