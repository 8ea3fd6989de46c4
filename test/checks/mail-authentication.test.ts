// SPF, DKIM, DMARC and ARC as facts: signed and verified for real, DNS from a written-down zone. Each trap of stack.md's row has a test.
import { describe, expect, test } from "bun:test";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type ARCSealOptions, sealMessage } from "mailauth";
import { dkimSign } from "mailauth/lib/dkim/sign";
import {
  type AuthenticationCheck,
  type AuthenticationClient,
  authenticateMessage,
} from "../../src/checks/authenticate-message.ts";
import { type Finding, factsOf } from "../../src/rules/fact.ts";
import { message } from "../message/message-samples.ts";
import { processorMs } from "../message/processor-time.ts";
import { type Zone, zoneResolve } from "./fake-dns.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed25519 = generateKeyPairSync("ed25519");

function keyRecord(type: "rsa" | "ed25519", key: KeyObject): string {
  // RFC 8463 §4: an Ed25519 key is published bare, without its 12 octets of wrapping.
  const der = key.export({ type: "spki", format: "der" });
  return `v=DKIM1; k=${type}; p=${(type === "rsa" ? der : der.subarray(12)).toString("base64")}`;
}

const zone: Zone = {
  "TXT example.org": ["v=spf1 ip4:192.0.2.0/28 -all"],
  "TXT _dmarc.example.org": ["v=DMARC1; p=reject"],
  "TXT rsa._domainkey.example.org": [keyRecord("rsa", rsa.publicKey)],
  "TXT ed._domainkey.example.org": [keyRecord("ed25519", ed25519.publicKey)],
  "TXT soft.example.net": ["v=spf1 ~all"],
  "TXT open.example.net": ["v=spf1 +all"],
  "TXT broken.example.net": ["v=spf1 ip4:nonsense -all"],
  "TXT mx.example.net": ["v=spf1 mx -all"],
  "MX mx.example.net": ["10 relay.example.net"],
  "A relay.example.net": ["192.0.2.1"],
  "TXT down.example.net": null,
  "TXT _dmarc.down.example.net": null,
};

const LETTER = [
  "From: Alice <alice@example.org>",
  "To: bob@example.test",
  "Subject: hello",
  "Date: Fri, 20 Nov 2026 10:00:00 +0000",
];
const ALL: readonly AuthenticationCheck[] = ["spf", "dkim", "dmarc", "arc"];

interface Found {
  readonly facts: Readonly<Record<string, Finding["value"]>>;
  readonly words: string;
}

async function authenticate(
  raw: Uint8Array,
  changes: Partial<AuthenticationClient> = {},
  dns: Zone = zone,
): Promise<Found> {
  const client = {
    ip: "192.0.2.1",
    helo: "mail.example.org",
    sender: "alice@example.org",
    hostname: "gate.example.test",
    ...changes,
  };
  const byCheck = await authenticateMessage({ raw, client, wanted: new Set(ALL), resolve: zoneResolve(dns) });
  const findings = [...byCheck.values()].flat();
  return { facts: factsOf(findings), words: findings.map(({ words }) => words ?? "").join("\n") };
}

interface SigningChanges {
  readonly selector?: "rsa" | "ed";
  readonly domain?: string;
  readonly maxBodyLength?: number;
}

async function signed(
  raw: Buffer,
  { selector = "rsa", domain = "example.org", maxBodyLength }: SigningChanges = {},
): Promise<Buffer> {
  const privateKey = (selector === "rsa" ? rsa : ed25519).privateKey
    .export({ type: "pkcs8", format: "pem" })
    .toString();
  const length = maxBodyLength === undefined ? {} : { maxBodyLength };
  const key = { signingDomain: domain, selector, privateKey, ...length };
  const signTime = new Date(Date.now() - 60_000);
  // The types ask for the key at the top too; only the one in signatureData is used.
  const { signatures, errors } = await dkimSign(raw, { ...key, signTime, signatureData: [key] });
  expect(errors).toEqual([]);
  return Buffer.concat([Buffer.from(signatures), raw]);
}

test.each(["rsa", "ed"] as const)(
  "a signature made with %s holds, and breaks with one octet changed",
  async (selector) => {
    const raw = await signed(message(LETTER, "Pay 10 to Alice.\r\n"), { selector });
    const good = await authenticate(raw, { ip: "203.0.113.9" });
    expect(good.facts).toMatchObject({
      "spf.result": "fail",
      "spf.aligned": false,
      "dkim.result": "pass",
      "dkim.domains": ["example.org"],
      "dkim.aligned": true,
      "dmarc.result": "pass",
      "dmarc.policy": "reject",
      "dmarc.domain": "example.org",
      "arc.result": "none",
    });
    const forged = await authenticate(Buffer.from(raw.toString().replace("Pay 10", "Pay 99")), {
      ip: "203.0.113.9",
    });
    expect(forged.facts).toMatchObject({ "dkim.result": "fail", "dkim.domains": [], "dmarc.result": "fail" });
    expect(forged.words).toContain("body hash did not verify");
  },
);

const spfCases: readonly (readonly [sender: string, ip: string, result: string, words: string])[] = [
  ["a@example.org", "192.0.2.1", "pass", "192.0.2.1 may send for example.org"],
  ["a@example.org", "198.51.100.1", "fail", "example.org forbids mail from 198.51.100.1"],
  ["a@soft.example.net", "192.0.2.1", "softfail", "does not expect mail from"],
  ["a@open.example.net", "198.51.100.1", "pass", "+all"],
  ["a@broken.example.net", "192.0.2.1", "permerror", "is broken"],
  ["a@mx.example.net", "192.0.2.1", "pass", "may send"],
  ["a@none.example.net", "192.0.2.1", "none", "has no SPF record"],
  ["a@down.example.net", "192.0.2.1", "temperror", "could not be looked up"],
  ["a@under_score.example.net", "192.0.2.1", "none", "has no SPF record"],
];
test.each(spfCases)("SPF of %s from %s: %s", async (sender, ip, result, words) => {
  const found = await authenticate(message(LETTER), { sender, ip });
  expect(found.facts["spf.result"]).toBe(result);
  expect(found.words).toContain(words);
});

test("the null reverse-path is checked by its HELO name, and an address as HELO is no name", async () => {
  expect((await authenticate(message(LETTER), { sender: "", helo: "example.org" })).facts).toMatchObject({
    "spf.result": "pass",
    "spf.domain": "example.org",
  });
  expect((await authenticate(message(LETTER), { sender: "", helo: "[192.0.2.1]" })).facts["spf.result"]).toBe(
    "none",
  );
});

test("DMARC aligns by organisation, SPF alone is enough, a stranger's pass is not", async () => {
  const subdomain = await authenticate(message(["From: a@news.example.org"]), {});
  expect(subdomain.facts).toMatchObject({
    "spf.aligned": true,
    "dmarc.result": "pass",
    "dmarc.domain": "news.example.org",
  });
  const stranger = await authenticate(message(LETTER), { sender: "a@open.example.net" });
  expect(stranger.facts).toMatchObject({
    "spf.result": "pass",
    "spf.aligned": false,
    "dmarc.result": "fail",
    "dmarc.policy": "reject",
  });
  const without = await authenticate(message(["From: a@none.example.net"]));
  expect(without.facts).toMatchObject({ "dmarc.result": "none", "dmarc.policy": "absent" });
  expect((await authenticate(message(["From: a@down.example.net"]))).facts["dmarc.result"]).toBe("temperror");
});

test("two From fields, two authors, or none: DMARC has failed, it is not absent", async () => {
  const twice = await authenticate(message([...LETTER, "From: a@example.org"]));
  expect(twice.facts).toMatchObject({
    "dmarc.result": "fail",
    "dmarc.policy": "reject",
    "spf.aligned": false,
    "dkim.aligned": false,
  });
  const hidden = await authenticate(message([...LETTER, "From : boss@bank.example.test"]));
  expect(hidden.facts).toMatchObject({
    "dmarc.result": "fail",
    "dmarc.policy": "reject",
    "spf.aligned": false,
  });
  const authors = await authenticate(message(["From: a@example.org, b@bank.example.test"]));
  expect(authors.facts).toMatchObject({ "dmarc.result": "fail", "dmarc.policy": "reject" });
  const nobody = await authenticate(message(["From: nobody", "Subject: x"]));
  expect(nobody.facts).toMatchObject({ "dmarc.result": "fail", "dmarc.policy": "quarantine" });
  expect((await authenticate(message(["Subject: x"]))).facts["dmarc.result"]).toBe("fail");
});

test("two authors without a DMARC record are no matter of DMARC; a record that cannot be looked up puts them off", async () => {
  const none = await authenticate(message(["From: a@none.example.net", "From: b@nothing.example.net"]));
  expect(none.facts).toMatchObject({
    "dmarc.result": "none",
    "dmarc.policy": "absent",
    "spf.aligned": false,
  });
  expect(none.words).toContain("no DMARC record says what to do");
  const dns: Zone = { ...zone, "TXT _dmarc.mild.example.net": ["v=DMARC1; p=none"] };
  const ask = async (from: string) => (await authenticate(message([`From: ${from}`]), {}, dns)).facts;
  expect(await ask("a@none.example.net, b@mild.example.net")).toMatchObject({
    "dmarc.result": "fail",
    "dmarc.policy": "none",
  });
  expect(await ask("a@none.example.net, b@down.example.net")).toMatchObject({
    "dmarc.result": "temperror",
    "dmarc.policy": "unknown",
    "dmarc.undecided": true,
  });
  // What is known convicts already.
  expect(await ask("a@example.org, b@down.example.net")).toMatchObject({
    "dmarc.result": "fail",
    "dmarc.policy": "reject",
    "dmarc.undecided": false,
  });
  const crowd = Array.from({ length: 30 }, (_, n) => `a@d${n}.example.net`).join(", ");
  // One who wants his mail refused may stand behind those that are asked.
  expect(await ask(crowd)).toMatchObject({ "dmarc.result": "fail", "dmarc.policy": "reject" });
  expect(await ask(`${crowd}, boss@example.org`)).toMatchObject({ "dmarc.policy": "reject" });
});

test("a signature over part of the body (l=) is no proof; over the whole of it, it is one", async () => {
  const body = "Pay 10 to Alice.\r\n";
  const whole = await signed(message(LETTER, body), { maxBodyLength: body.length });
  expect((await authenticate(whole, { ip: "203.0.113.9" })).facts).toMatchObject({
    "dkim.result": "pass",
    "dkim.aligned": true,
    "dmarc.result": "pass",
  });
  // Empty lines at the end are no text (RFC 6376 §3.4.4).
  const padded = Buffer.concat([whole, Buffer.from("\r\n\r\n")]);
  expect((await authenticate(padded, { ip: "203.0.113.9" })).facts["dkim.result"]).toBe("pass");
  const raw = Buffer.concat([whole, Buffer.from("And 99 to Mallory.\r\n")]);
  const found = await authenticate(raw, { ip: "203.0.113.9" });
  expect(found.facts).toMatchObject({
    "dkim.result": "policy",
    "dkim.domains": [],
    "dkim.aligned": false,
    "dmarc.result": "fail",
  });
  expect(found.words).toContain("(l=)");
  const nothing = await signed(message(LETTER, body), { maxBodyLength: 0 });
  expect((await authenticate(nothing, { ip: "203.0.113.9" })).facts["dkim.result"]).toBe("policy");
  // Beside a whole signature a partial one changes nothing.
  const both = Buffer.concat([await signed(message(LETTER, body)), message(LETTER, body)]);
  expect((await authenticate(both, { ip: "203.0.113.9" })).facts["dkim.result"]).toBeDefined();
});

describe("a length (l=) of more text than there is makes it no signature (RFC 6376 §3.5)", () => {
  const TWO = "one\r\ntwo\r\n";
  /** By hand: signers write the true length. */
  function lied(body: string, canon: "simple" | "relaxed", length: number): Buffer {
    const [from = ""] = LETTER;
    const canonical = body.replace(/(?:\r\n)+$/, "\r\n") || (canon === "simple" ? "\r\n" : "");
    const hash = createHash("sha256").update(canonical.slice(0, length)).digest("base64");
    const unsigned = `DKIM-Signature: v=1; a=rsa-sha256; c=simple/${canon}; d=example.org; s=rsa; h=from; l=${length}; bh=${hash}; b=`;
    const made = sign("sha256", Buffer.from(`${from}\r\n${unsigned}`), rsa.privateKey).toString("base64");
    return Buffer.concat([Buffer.from(`${unsigned}${made}\r\n`), message(LETTER, body)]);
  }
  const cases = (["simple", "relaxed"] as const).flatMap((canon) =>
    (
      [
        [TWO, TWO.length, "pass pass"],
        [`${TWO}\r\n\r\n`, TWO.length, "pass pass"],
        [TWO, TWO.length + 1, "invalid fail"],
        [`${TWO}\r\n\r\n`, TWO.length + 2, "invalid fail"],
        [TWO, 99, "invalid fail"],
        [TWO, 4_000_000_000, "invalid fail"],
        ["", canon === "simple" ? 2 : 0, "pass pass"],
        ["", canon === "simple" ? 3 : 1, "invalid fail"],
        [TWO, 3, "policy fail"],
      ] as const
    ).map(([body, length, wanted]) => ({ canon, body, length, wanted })),
  );
  test.each(cases)("%j", async ({ canon, body, length, wanted }) => {
    const { facts } = await authenticate(lied(body, canon, length), { ip: "203.0.113.9" });
    expect(`${facts["dkim.result"]} ${facts["dmarc.result"]}`).toBe(wanted);
  });
});

test("a key that is missing, and one that cannot be looked up", async () => {
  const raw = await signed(message(LETTER));
  const { "TXT rsa._domainkey.example.org": _, ...withoutKey } = zone;
  expect((await authenticate(raw, {}, withoutKey)).facts["dkim.result"]).toBe("invalid");
  const down = await authenticate(raw, {}, { ...zone, "TXT rsa._domainkey.example.org": null });
  expect(down.facts["dkim.result"]).toBe("temperror");
});

test("a stranger's signature passes but is not aligned; any passing one is enough", async () => {
  const dns: Zone = { ...zone, "TXT rsa._domainkey.list.example.net": [keyRecord("rsa", rsa.publicKey)] };
  const raw = await signed(message(LETTER), { domain: "list.example.net" });
  const alone = await authenticate(raw, { ip: "203.0.113.9" }, dns);
  expect(alone.facts).toMatchObject({ "dkim.result": "pass", "dkim.aligned": false, "dmarc.result": "fail" });
  const both = await authenticate(await signed(raw), { ip: "203.0.113.9" }, dns);
  expect(both.facts).toMatchObject({ "dkim.result": "pass", "dkim.aligned": true, "dmarc.result": "pass" });
  expect(both.facts["dkim.domains"]).toEqual(["example.org", "list.example.net"]);
});

test("an ARC chain holds, and breaks when the message is changed", async () => {
  const raw = message(LETTER, "Forwarded.\r\n");
  const seal: ARCSealOptions = {
    signingDomain: "example.org",
    selector: "rsa",
    privateKey: rsa.privateKey.export({ type: "pkcs8", format: "pem" }),
    cv: "none",
    authResults: "relay.example.org; spf=pass",
  };
  const sealed = Buffer.concat([await sealMessage(raw, seal), raw]);
  const good = await authenticate(sealed);
  expect(good.facts).toMatchObject({ "arc.result": "pass", "arc.sealer": "example.org", "arc.instance": 1 });
  expect(good.words).toContain("example.org sealed it last");
  const changed = Buffer.from(sealed.toString().replace("Forwarded", "Falsified"));
  expect((await authenticate(changed)).facts).toMatchObject({
    "arc.result": "fail",
    "arc.sealer": "example.org",
  });
});

test("only what is wanted is found out", async () => {
  const asked: string[] = [];
  const client = {
    ip: "192.0.2.1",
    helo: "mail.example.org",
    sender: "alice@example.org",
    hostname: "gate.example.test",
  };
  const found = await authenticateMessage({
    raw: message(LETTER),
    client,
    wanted: new Set(["dkim"]),
    resolve: zoneResolve(zone, asked),
  });
  expect([...found.keys()]).toEqual(["dkim"]);
  expect(asked).toEqual([]);
});

test("hundreds of signatures and endless headers cost little", async () => {
  const one = (await signed(message(LETTER))).toString().split("From:")[0] ?? "";
  const raw = Buffer.concat([Buffer.from(one.repeat(400)), message(LETTER)]);
  const started = processorMs();
  const found = await authenticate(raw);
  expect(processorMs() - started).toBeLessThan(3000);
  expect(found.facts["dkim.result"]).toBe("pass");
  expect(found.words).toContain("380 more signatures");
  const fields = ["from", ...Array.from({ length: 5000 }, (_, index) => `x${index % 50}`)].join(":\r\n ");
  const wide = Buffer.from(one.replace(/h=[^;]*/, `h=${fields}`).repeat(2));
  const many = Array.from({ length: 1500 }, (_, index) => `X${index % 50}: y`);
  const again = processorMs();
  await authenticate(Buffer.concat([wide, message([...LETTER, ...many])])).catch(() => undefined);
  expect(processorMs() - again).toBeLessThan(5000);
  await expect(authenticate(message([...LETTER, ...many, ...many]))).rejects.toThrow(
    "too long to be authenticated",
  );
});
