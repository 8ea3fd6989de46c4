// Identities as strangers name them in a header: names of the language's own objects, separators of our keys, endless and invisible ones.
// Each is one identity, found again by its name, locked by itself, and the same after a restart.
import { expect, test } from "bun:test";
import { benchOf, messageOf, partyAt, SPAM, send } from "./outgoing-kit.ts";

const RANGE = "192.0.2.0/28";
const document = {
  sender: [
    {
      kind: "ip",
      range: RANGE,
      domain: "example.test",
      identify_by: { header: "X-Client-ID" },
      lock: { identity: true, sender: false, spam: 1, timeout: "1h" },
    },
  ],
};

const ODD = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "0",
  `${RANGE}\\n`,
  "' or 1=1 --",
  "%",
  "_",
  "\u202egro.elpmaxe",
  "😀".repeat(99),
  "x".repeat(5000),
  "a\u00a0b",
  "<script>alert(1)</script>",
];

test("each is an identity of its own, through locks, pages and a restart", async () => {
  await using bench = await benchOf(document);
  const party = partyAt(bench, "192.0.2.1");
  const names: string[] = [];
  for (const value of ODD) {
    const header = Buffer.from(`X-Client-ID: ${value}\r\nSubject: x\r\n\r\n`, "utf8");
    const { identity } = bench.outgoing.identify(party, null, header);
    expect(identity).not.toBeNull();
    expect((identity ?? "").length).toBeLessThanOrEqual(200);
    expect(send(bench, messageOf(party, identity), SPAM)).toBeNull();
    names.push(identity ?? "");
  }
  expect(new Set(names).size).toBe(ODD.length);
  // Nobody else is locked by it, a sender that has the name of a prototype least of all.
  expect(send(bench, messageOf(party, "prototype"))).toBeNull();
  for (let round = 0; round < 2; round++) {
    expect(bench.outgoing.locks()).toHaveLength(ODD.length);
    for (const name of names) {
      expect(send(bench, messageOf(party, name))).toContain("locked");
      const key = { sender: RANGE, identity: name };
      expect(await bench.outgoing.identity(key)).toMatchObject({ name, spamDay: 1, locked: true });
    }
    const found = await bench.outgoing.identities({ sender: RANGE, search: "%", limit: 50, offset: 0 });
    expect(found.items.map(({ name }) => name)).toEqual(["%"]);
    await bench.restart();
  }
  for (const name of names)
    expect(await bench.outgoing.unlock({ sender: RANGE, identity: name }, "a test")).toBe(true);
  expect(bench.outgoing.locks()).toEqual([]);
  expect(bench.news).toHaveLength(ODD.length);
});
