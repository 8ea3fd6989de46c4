// DKIM keys from making to removing: what is kept, what is refused in which words, rotation without a gap, the audit log.
import { expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { quotedStrings } from "../../src/dkim/key-record.ts";
import { loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";
import { message } from "../message/message-samples.ts";
import { small } from "../message/small-body.ts";
import { rows, temporaryDirectory } from "../store/temporary-database.ts";
import { BY, DOMAIN, dkimKit, keyOf, wordsOf } from "./dkim-kit.ts";

const DAY_MS = 86_400_000;
const MAIL = message(["From: alice@example.test", "Subject: x"]);
const signersOf = (signed: Uint8Array): string[] =>
  [
    ...Buffer.from(signed)
      .toString("latin1")
      .matchAll(/ a=(\S+);[\s\S]*? s=(\S+);/g),
  ].map(([, a, s]) => `${s} ${a}`);

test("a new key is pending, with the record to publish and a sealed private key", async () => {
  await using kit = await dkimKit();
  const rsa = keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate1", algorithm: "rsa" }, BY));
  expect(rsa).toMatchObject({ state: "pending", activatedAt: null, retireAt: null });
  expect(rsa.record.name).toBe("gate1._domainkey.example.test");
  const spki = Buffer.from(/^v=DKIM1; k=rsa; p=(.+)$/.exec(rsa.record.value)?.[1] ?? "", "base64");
  expect(
    createPublicKey({ key: spki, format: "der", type: "spki" }).asymmetricKeyDetails?.modulusLength,
  ).toBe(2048);
  const ed = keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate2", algorithm: "ed25519" }, BY));
  expect(Buffer.from(/^v=DKIM1; k=ed25519; p=(.+)$/.exec(ed.record.value)?.[1] ?? "", "base64").length).toBe(
    32,
  );
  const kept = await rows(kit.database, "select private_key from dkim_key");
  for (const [text] of kept) expect(String(text)).toStartWith("sealed:");
});

test("a long record is also shown in strings of at most 255 octets that join to the same", async () => {
  await using kit = await dkimKit();
  const { record } = keyOf(
    await kit.dkim.create({ domain: DOMAIN, selector: "gate1", algorithm: "rsa" }, BY),
  );
  const strings =
    quotedStrings(record.value)
      .split(" ")
      .join(" ")
      .match(/"[^"]*"/g) ?? [];
  expect(strings.length).toBe(2);
  for (const string of strings) expect(string.length - 2).toBeLessThanOrEqual(255);
  expect(strings.map((string) => string.slice(1, -1)).join("")).toBe(record.value);
});

test("a selector that is taken, a name that is none, too many keys: refused in words", async () => {
  await using kit = await dkimKit();
  const make = (selector: string, domain = DOMAIN) =>
    kit.dkim.create({ domain, selector, algorithm: "ed25519" }, BY);
  keyOf(await make("gate1"));
  expect(wordsOf(await make("gate1"))).toContain('a key "gate1" already');
  for (const selector of ["", "-a", "a-", "A", "a.b", "ä", "a b", "x".repeat(64)])
    expect(wordsOf(await make(selector))).toContain("cannot be a selector");
  expect(wordsOf(await make("a", "no domain"))).toContain('"no domain" is not a domain name');
  const both = await Promise.all([make("twice"), make("twice")]);
  expect(both.filter(({ ok }) => ok).length).toBe(1);
  for (let i = 3; i <= 20; i++) keyOf(await make(`n${i}`));
  expect(wordsOf(await make("one-more"))).toContain("20 keys already");
});

test("no key signs before its record is published", async () => {
  await using kit = await dkimKit();
  const key = keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate1", algorithm: "ed25519" }, BY));
  const order = { domain: DOMAIN, selector: null };
  expect(await kit.dkim.sign(MAIL, order)).toBe(MAIL);
  expect(wordsOf(await kit.dkim.activate(DOMAIN, "gate1", BY))).toContain("cannot sign yet");
  kit.dns.set(key.record.name, "servfail");
  expect(wordsOf(await kit.dkim.activate(DOMAIN, "gate1", BY))).toContain("gave no answer");
  expect(await kit.dkim.sign(MAIL, { domain: DOMAIN, selector: "gate1" })).toBe(MAIL);
  kit.publish(key);
  expect(keyOf(await kit.dkim.activate(DOMAIN, "gate1", BY))).toMatchObject({
    state: "active",
    activatedAt: kit.clock.now(),
    publication: { state: "published" },
  });
  expect(signersOf(small(await kit.dkim.sign(MAIL, order)))).toEqual(["gate1 ed25519-sha256"]);
  expect(wordsOf(await kit.dkim.activate(DOMAIN, "gate1", BY))).toContain("signs already");
});

test("rotation: the old key signs until the new one does, then its record has a week", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("gate1", "rsa");
  const next = keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate2", algorithm: "rsa" }, BY));
  const order = { domain: DOMAIN, selector: null };
  expect(signersOf(small(await kit.dkim.sign(MAIL, order)))).toEqual(["gate1 rsa-sha256"]);
  wordsOf(await kit.dkim.activate(DOMAIN, "gate2", BY));
  expect(signersOf(small(await kit.dkim.sign(MAIL, order)))).toEqual(["gate1 rsa-sha256"]);
  kit.publish(next);
  // Whatever is signed while it turns is signed by exactly one of the two.
  const meanwhile = Promise.all(Array.from({ length: 20 }, () => kit.dkim.sign(MAIL, order)));
  keyOf(await kit.dkim.activate(DOMAIN, "gate2", BY));
  for (const signed of await meanwhile) expect(signersOf(small(signed)).length).toBe(1);
  expect(signersOf(small(await kit.dkim.sign(MAIL, order)))).toEqual(["gate2 rsa-sha256"]);
  const states = (await kit.dkim.list(DOMAIN)).map(({ selector, state, retireAt }) => [
    selector,
    state,
    retireAt,
  ]);
  expect(states).toEqual([
    ["gate1", "retiring", kit.clock.now() + 7 * DAY_MS],
    ["gate2", "active", null],
  ]);
  // And back again, should the new one make trouble.
  expect(keyOf(await kit.dkim.activate(DOMAIN, "gate1", BY))).toMatchObject({
    state: "active",
    retireAt: null,
  });
  expect(signersOf(small(await kit.dkim.sign(MAIL, order)))).toEqual(["gate1 rsa-sha256"]);
});

test("RSA and Ed25519 sign together, RSA on top; a named selector signs alone; survives a restart", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("a-ed", "ed25519");
  await kit.activeKey("b-rsa", "rsa");
  const both = ["b-rsa rsa-sha256", "a-ed ed25519-sha256"];
  for (const dkim of [kit.dkim, await kit.restart()]) {
    expect(signersOf(small(await dkim.sign(MAIL, { domain: DOMAIN, selector: null })))).toEqual(both);
    expect(signersOf(small(await dkim.sign(MAIL, { domain: DOMAIN, selector: "a-ed" })))).toEqual([
      both[1] ?? "",
    ]);
  }
  expect(kit.warnings).toEqual([]);
  expect(await kit.dkim.sign(MAIL, { domain: "example.org", selector: null })).toBe(MAIL);
});

test("a named selector that does not sign: the domain's own keys do, and the log says so once", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("gate1", "ed25519");
  keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "new", algorithm: "rsa" }, BY));
  for (const selector of ["new", "new", "gone"])
    expect(signersOf(small(await kit.dkim.sign(MAIL, { domain: DOMAIN, selector })))).toEqual([
      "gate1 ed25519-sha256",
    ]);
  expect(kit.warnings.length).toBe(2);
});

test("what signs cannot be removed, what never signed cannot retire", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("gate1", "ed25519");
  keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate2", algorithm: "ed25519" }, BY));
  expect(wordsOf(await kit.dkim.remove(DOMAIN, "gate1", BY))).toContain("signs the mail of example.test");
  expect(wordsOf(await kit.dkim.retire(DOMAIN, "gate2", BY))).toContain("never signed");
  keyOf(await kit.dkim.remove(DOMAIN, "gate2", BY));
  expect(keyOf(await kit.dkim.retire(DOMAIN, "gate1", BY)).state).toBe("retiring");
  expect(wordsOf(await kit.dkim.retire(DOMAIN, "gate1", BY))).toContain("no longer signs already");
  expect(await kit.dkim.sign(MAIL, { domain: DOMAIN, selector: null })).toBe(MAIL);
  keyOf(await kit.dkim.remove(DOMAIN, "gate1", BY));
  expect(await kit.dkim.list()).toEqual([]);
  for (const verb of ["check", "activate", "retire", "remove"] as const)
    expect(wordsOf(await kit.dkim[verb](DOMAIN, "gate1", BY))).toContain('no DKIM key "gate1"');
});

test("every change is in the audit log with its actor; refusals and looks are not", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("gate1", "ed25519");
  await kit.activeKey("gate2", "ed25519");
  await kit.dkim.check(DOMAIN, "gate2");
  await kit.dkim.remove(DOMAIN, "gate2", BY);
  await kit.dkim.remove(DOMAIN, "gate1", "api token rotate");
  const log = await rows(
    kit.database,
    "select actor, via, action, subject, detail from audit_log order by id",
  );
  expect(log).toEqual([
    [BY, "console", "dkim key made", "gate1._domainkey.example.test", "ed25519"],
    [BY, "console", "dkim key activated", "gate1._domainkey.example.test", "ed25519"],
    [BY, "console", "dkim key made", "gate2._domainkey.example.test", "ed25519"],
    [BY, "console", "dkim key activated", "gate2._domainkey.example.test", "ed25519"],
    [BY, "console", "dkim key retired", "gate1._domainkey.example.test", '"gate2" signs in its place'],
    ["api token rotate", "api", "dkim key removed", "gate1._domainkey.example.test", "it was retiring"],
  ]);
});

test("with another appliance key nothing leaves unsigned: signing fails in words, and an alarm tells", async () => {
  await using kit = await dkimKit();
  await kit.activeKey("gate1", "ed25519");
  await using elsewhere = temporaryDirectory();
  const dkim = await kit.restart({ applianceKey: loadOrMakeApplianceKey(elsewhere.path) });
  const failure = await dkim
    .sign(MAIL, { domain: DOMAIN, selector: null })
    .catch((error: unknown) => String(error));
  expect(failure).toContain("appliance.key is not the one it was sealed with");
  expect([...kit.alarms.keys()]).toEqual(["dkim key gate1._domainkey.example.test"]);
  // Of a domain that is switched off there is no mail to sign.
  kit.switchOn();
  expect([...kit.alarms.keys()]).toEqual([]);
  kit.switchOn(DOMAIN);
  while (kit.alarms.size === 0) await Bun.sleep(2);
  keyOf(await dkim.retire(DOMAIN, "gate1", BY));
  expect([...kit.alarms.keys()]).toEqual([]);
  expect(await dkim.sign(MAIL, { domain: DOMAIN, selector: null })).toBe(MAIL);
});
