// What a look at the DNS says of a key's record, and the daily look that tells when a record vanishes.
import { expect, test } from "bun:test";
import { compareRecords } from "../../src/dkim/key-record.ts";
import { message } from "../message/message-samples.ts";
import { BY, DOMAIN, dkimKit, keyOf } from "./dkim-kit.ts";

const P = `MIIB${"A".repeat(388)}`;
const KEY = { domain: DOMAIN, selector: "gate1", algorithm: "rsa", publicKey: P } as const;

const looks: readonly (readonly [what: string, records: readonly string[], state: string, words: string])[] =
  [
    ["the record as shown", [`v=DKIM1; k=rsa; p=${P}`], "published", "is published"],
    ["other spaces and order", [`v=DKIM1;p=${P} ;k = rsa ; n=note`], "published", "is published"],
    [
      "white space in the key",
      [`k=rsa; p=${P.slice(0, 100)} \t${P.slice(100)}`],
      "published",
      "is published",
    ],
    ["no k= for RSA", [`v=DKIM1; p=${P}`], "published", "is published"],
    ["a test key", [`v=DKIM1; t=y:s; p=${P}`], "published", "Remove t=y"],
    ["services and hashes that fit", [`v=DKIM1; h=sha1:sha256; s=*; p=${P}`], "published", "is published"],
    ["another hash", [`v=DKIM1; h=sha1; p=${P}`], "different", "sha256"],
    ["another service", [`v=DKIM1; s=tlsrpt; p=${P}`], "different", "used for mail"],
    ["another key", [`v=DKIM1; p=MIIBother`], "different", "holds another key"],
    ["a key cut off", [`v=DKIM1; k=rsa; p=${P.slice(0, 236)}`], "different", "cut off after 236 of 392"],
    ["another kind", [`v=DKIM1; k=ed25519; p=${P}`], "different", 'says k="ed25519"'],
    ["a revoked key", ["v=DKIM1; p="], "different", "revoked"],
    ["something else", ["v=spf1 -all"], "different", 'no DKIM key: "v=spf1 -all"'],
    ["another version", [`v=DKIM2; p=${P}`], "different", "no DKIM key"],
    ["nonsense", ["hello\u0007"], "different", 'no DKIM key: "hello?"'],
    ["two records", [`v=DKIM1; p=${P}`, "v=DKIM1; p=MIIBother"], "different", "2 TXT records"],
  ];
test.each(looks)("%s", (_, records, state, words) => {
  const found = compareRecords(KEY, records);
  expect(found.state).toBe(state as typeof found.state);
  expect(found.words).toContain(words);
});

test("a look keeps what it found; a record under a doubled name is told", async () => {
  await using kit = await dkimKit();
  const key = keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate1", algorithm: "ed25519" }, BY));
  expect(key.publication.state).toBe("unchecked");
  const missing = keyOf(await kit.dkim.check(DOMAIN, "gate1"));
  expect(missing.publication).toMatchObject({ state: "missing", checkedAt: kit.clock.now() });
  kit.dns.set(`${key.record.name}.example.test`, [key.record.value]);
  expect(keyOf(await kit.dkim.check(DOMAIN, "gate1")).publication.words).toContain(
    "Enter gate1._domainkey as the name",
  );
  kit.publish(key);
  expect(keyOf(await kit.dkim.check(DOMAIN, "gate1")).publication.state).toBe("published");
  kit.dns.set(key.record.name, "servfail");
  expect(keyOf(await kit.dkim.check(DOMAIN, "gate1")).publication.state).toBe("failed");
  const [after] = await (await kit.restart()).list();
  expect(after?.publication).toMatchObject({ state: "failed", checkedAt: kit.clock.now() });
});

test("a record that vanishes raises an alarm within a day and a bit, and the key goes on signing", async () => {
  await using kit = await dkimKit();
  const key = await kit.activeKey("gate1", "ed25519");
  const mail = message(["From: alice@example.test"]);
  const order = { domain: DOMAIN, selector: null };
  const name = "dkim gate1._domainkey.example.test";
  /** Turns the clock past the next daily look and waits until it is written down. */
  const aDay = async (): Promise<void> => {
    const until = kit.clock.now() + 1.2 * 86_400_000;
    kit.clock.step(until);
    const at = kit.clock.now();
    while ((await kit.dkim.list())[0]?.publication.checkedAt !== at) await Bun.sleep(2);
    // Only then is the next look arranged for.
    await Bun.sleep(2);
  };
  await aDay();
  expect(kit.alarms.size).toBe(0);
  kit.dns.set(key.record.name, "servfail");
  await aDay();
  // No answer says nothing about the record.
  expect(kit.alarms.size).toBe(0);
  kit.dns.delete(key.record.name);
  await aDay();
  expect(kit.alarms.get(name)).toContain("There is no TXT record at gate1._domainkey.example.test");
  expect((await kit.dkim.sign(mail, order)).length).toBeGreaterThan(mail.length);
  await kit.restart();
  expect(kit.alarms.has(name)).toBe(true);
  kit.publish(key);
  keyOf(await kit.dkim.check(DOMAIN, "gate1"));
  expect(kit.alarms.has(name)).toBe(false);
});

test("a pending key without a record is no alarm, and retiring lifts one", async () => {
  await using kit = await dkimKit();
  keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "new", algorithm: "ed25519" }, BY));
  await kit.dkim.check(DOMAIN, "new");
  expect(kit.alarms.size).toBe(0);
  await kit.activeKey("gate1", "ed25519");
  kit.dns.clear();
  await kit.dkim.check(DOMAIN, "gate1");
  expect(kit.alarms.size).toBe(1);
  await kit.dkim.retire(DOMAIN, "gate1", BY);
  expect(kit.alarms.size).toBe(0);
});

test("the alarm ends, told, when the domain is switched off or removed, and is back with the domain", async () => {
  await using kit = await dkimKit();
  const name = "dkim gate1._domainkey.example.test";
  kit.switchOn(DOMAIN, "other.test");
  await kit.activeKey("gate1", "ed25519");
  kit.dns.clear();
  await kit.dkim.check(DOMAIN, "gate1");
  expect([...kit.alarms.keys()]).toEqual([name]);
  kit.switchOn("other.test");
  expect([...kit.alarms.keys()]).toEqual([]);
  // The daily look at it finds the same, which nobody needs to know now.
  await kit.dkim.check(DOMAIN, "gate1");
  expect([...kit.alarms.keys()]).toEqual([]);
  expect(kit.ended()).toEqual([name]);
  kit.switchOn(DOMAIN);
  while (kit.alarms.size === 0) await Bun.sleep(2);
  expect([...kit.alarms.keys()]).toEqual([name]);
});
