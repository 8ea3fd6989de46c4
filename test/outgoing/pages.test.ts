// The lists and pages of identities: exact by domain and sender, the same from memory and from the database, bounded memory.
import { expect, test } from "bun:test";
import type { LimitUse } from "../../src/outgoing/outgoing.ts";
import { address, CHEAP_HASH } from "../policy/policy-fixtures.ts";
import {
  type Bench,
  benchOf,
  connect,
  DAY,
  HOUR,
  MINUTE,
  messageOf,
  partyAt,
  partyOf,
  SPAM,
  send,
} from "./outgoing-kit.ts";

const header = { identify_by: { header: "X-Client-ID" } };
const document = {
  sender: [
    {
      kind: "ip",
      range: "192.0.2.0/28",
      domain: "example.test",
      ...header,
      limits: { per_minute: 60, recipients_per_day: 3 },
    },
    { kind: "ip", range: "192.0.2.16/28", domain: "example.org", ...header },
    { kind: "user", login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH },
  ],
};

async function names(bench: Bench, filter: object): Promise<string[]> {
  const { items } = await bench.outgoing.identities({ limit: 100, offset: 0, ...filter });
  return items.map(({ sender, name }) => `${sender} ${name}`.trim()).sort();
}

test("a list holds exactly what it was asked for", async () => {
  await using bench = await benchOf(document);
  const [ours, theirs] = [partyAt(bench, "192.0.2.1"), partyAt(bench, "192.0.2.17")];
  for (const name of ["shop", "forum", "100%"]) send(bench, messageOf(ours, name));
  for (const name of ["shop", "example.test"]) send(bench, messageOf(theirs, name));
  send(bench, messageOf(partyOf(bench, "alice@example.test"), "alice@example.test"));
  await bench.outgoing.lock({ sender: "192.0.2.16/28", identity: "shop" }, "admin", "x");
  await bench.outgoing.lock({ sender: "192.0.2.16/28", identity: "never-seen" }, "admin", "x");
  const all = async () => {
    expect(await names(bench, { domain: "example.org" })).toEqual([
      "192.0.2.16/28",
      "192.0.2.16/28 example.test",
      "192.0.2.16/28 never-seen",
      "192.0.2.16/28 shop",
    ]);
    expect(await names(bench, { domain: "example.org", only: "identities" })).toEqual([
      "192.0.2.16/28 example.test",
      "192.0.2.16/28 never-seen",
      "192.0.2.16/28 shop",
    ]);
    expect(await names(bench, { domain: "xample.test" })).toEqual([]);
    expect(await names(bench, { domain: "" })).toEqual([]);
    expect(await names(bench, { domain: "example.test", search: "SHOP" })).toEqual(["192.0.2.0/28 shop"]);
    expect(await names(bench, { search: "%" })).toEqual(["192.0.2.0/28 100%"]);
    expect(await names(bench, { search: "' or 1=1 --" })).toEqual([]);
    expect(await names(bench, { sender: "192.0.2.0/28", search: "o" })).toEqual([
      "192.0.2.0/28 forum",
      "192.0.2.0/28 shop",
    ]);
    expect(await names(bench, { locked: true })).toEqual(["192.0.2.16/28 never-seen", "192.0.2.16/28 shop"]);
    expect(await names(bench, { domain: "example.test", locked: true })).toEqual([]);
    expect(await names(bench, { domain: "example.test", locked: false })).toHaveLength(6);
    const page = await bench.outgoing.identities({ limit: 2, offset: 9 });
    expect(page).toMatchObject({ total: 10 });
    expect(page.items).toHaveLength(1);
  };
  await all();
  await bench.restart();
  await all();
});

test("the page of an identity: volume by day, limits, lock and history", async () => {
  await using bench = await benchOf(document);
  const party = partyAt(bench, "192.0.2.1");
  const key = { sender: "192.0.2.0/28", identity: "shop" };
  const connection = connect();
  expect(await bench.outgoing.identity(key)).toBeNull();
  for (let day = 0; day < 40; day++) {
    bench.outgoing.admitTransaction(party, connection, null);
    send(bench, messageOf(party, "shop", ["a@example.net", "b@example.net"], connection));
    send(bench, messageOf(party, "shop", ["a@example.net"], connection), SPAM);
    // One recipient too many for the day: refused.
    send(bench, messageOf(party, "shop", ["c@example.net", "d@example.net"], connection));
    if (day < 39) bench.clock.pass(DAY);
  }
  const page = await bench.outgoing.identity(key);
  expect(page).toMatchObject({
    messagesDay: 1,
    recipientsDay: 2,
    spamDay: 1,
    locked: false,
    lock: null,
    limits: [],
  });
  expect(page?.days).toHaveLength(31);
  expect(page?.days[0]?.day).toBe("2026-11-30");
  expect(page?.days.at(-1)).toEqual({ day: "2026-12-30", messages: 1, recipients: 2, spam: 1, refused: 1 });
  expect(page?.bulk.map(({ words }) => words)).toEqual([
    "Bulk: nothing unusual about the identity's mail",
    "",
    "It is under no order to wait",
    "2 recipients in the last hour",
    "0 of them new to it",
    expect.stringMatching(/^\d recipients are usual in a busy hour$/),
    "0 % of the day's recipients do not exist",
    "0 % of the day's recipients were refused by the far side",
  ]);
  const own = await bench.outgoing.identity({ sender: "192.0.2.0/28", identity: null });
  expect(own?.limits).toEqual([
    { limit: "per_minute", used: 0, most: 60, freeAt: null },
    { limit: "recipients_per_day", used: 2, most: 3, freeAt: null },
  ]);
  bench.outgoing.admitTransaction(party, connect(), null);
  send(bench, messageOf(party, "shop", ["c@example.net"], connection));
  const full = (await bench.outgoing.identity({ sender: "192.0.2.0/28", identity: null }))?.limits;
  expect(full).toEqual([
    { limit: "per_minute", used: 1, most: 60, freeAt: null },
    { limit: "recipients_per_day", used: 3, most: 3, freeAt: bench.clock.now() + DAY },
  ]);
  await bench.restart();
  expect((await bench.outgoing.identity(key))?.days).toHaveLength(31);
  expect((await bench.outgoing.identity({ sender: "192.0.2.0/28", identity: null }))?.limits).toEqual(
    full ?? [],
  );
});

test("a log-in has its domain's limits, before it sends and after; of two on a window the one that leaves less", async () => {
  const outgoing = {
    limit_identities: true,
    default_limits: { per_minute: 2, per_hour: 4, recipients_per_day: 6 },
  };
  await using bench = await benchOf({
    domain: [{ name: "example.test", outgoing }, { name: "example.org" }],
    sender: [
      { ...document.sender[2], limits: { per_minute: 9, per_hour: 1, per_week: 50 } },
      { kind: "domain", domain: "example.test", password_hash: CHEAP_HASH },
      ...document.sender.slice(0, 1),
    ],
  });
  const alice = { sender: "alice@example.test", identity: null };
  const limits = (used: number, recipients: number): readonly LimitUse[] => [
    { limit: "per_minute", used, most: 2, freeAt: null },
    { limit: "per_hour", used, most: 1, freeAt: used === 0 ? null : bench.clock.now() + HOUR },
    { limit: "per_week", used, most: 50, freeAt: null },
    { limit: "recipients_per_day", used: recipients, most: 6, freeAt: null },
  ];
  expect(bench.outgoing.senders([alice.sender])[0]?.limits).toEqual(limits(0, 0));
  const most = (key: string) => bench.outgoing.senders([key])[0]?.limits.map((one) => one.most);
  expect(most("@example.test")).toEqual([2, 4, 6]);
  // Many may stand behind a range: its own alone.
  expect(most("192.0.2.0/28")).toEqual([60, 3]);
  const party = partyOf(bench, alice.sender);
  const connection = connect();
  bench.outgoing.admitTransaction(party, connection, alice.sender);
  send(bench, messageOf(party, alice.sender, ["c@example.net", "d@example.net"], connection));
  const after = limits(1, 2);
  expect((await bench.outgoing.identity(alice))?.limits).toEqual(after);
  expect(bench.outgoing.senders([alice.sender])[0]?.limits).toEqual(after);
  await bench.restart();
  expect((await bench.outgoing.identity(alice))?.limits).toEqual(after);
});

test("old days and identities nobody sees any more are deleted", async () => {
  await using bench = await benchOf(document);
  send(bench, messageOf(partyAt(bench, "192.0.2.1"), "old"));
  await bench.restart({ downMs: 100 * DAY });
  send(bench, messageOf(partyAt(bench, "192.0.2.1"), "new"));
  bench.clock.pass(20_000);
  await bench.restart();
  expect(await names(bench, {})).toEqual(["192.0.2.0/28", "192.0.2.0/28 new"]);
  expect(await bench.rows("select count(*) from outgoing_day")).toEqual([[2]]);
});

test("made-up identities push each other out of memory; counts and locks of those who come back are there again", async () => {
  await using bench = await benchOf(
    {
      sender: [
        {
          ...document.sender[0],
          limits: {},
          identity_limits: { per_day: 1 },
          lock: { spam: 2, timeout: "1d" },
        },
      ],
    },
    { mostTallies: 100 },
  );
  const party = partyAt(bench, "192.0.2.1");
  expect(send(bench, messageOf(party, "regular"))).toBeNull();
  await bench.outgoing.lock({ sender: party.key, identity: "bad" }, "admin", "x");
  for (let i = 0; i < 1000; i++) {
    bench.clock.pass(MINUTE / 10);
    send(bench, messageOf(party, `made-up-${i}`));
    if (i % 100 === 99) await bench.outgoing.identities({ limit: 1, offset: 0 });
  }
  expect((await bench.outgoing.identities({ limit: 1, offset: 0 })).total).toBe(1003);
  expect(send(bench, messageOf(party, "bad"))).toStartWith("550 ");
  // It has left memory: the first question brings it back, the next one knows.
  send(bench, messageOf(party, "made-up-1"));
  bench.outgoing.admitMessage(messageOf(party, "regular"));
  expect(
    (await bench.outgoing.identity({ sender: party.key, identity: "regular" }))?.limits[0]?.used,
  ).toBeGreaterThan(0);
  expect(send(bench, messageOf(party, "regular"))).toContain("Limit of 1 connection per day");
  bench.clock.pass(HOUR);
  await bench.restart();
  expect((await bench.outgoing.identities({ limit: 1, offset: 0 })).total).toBe(1003);
  send(bench, messageOf(party, "made-up-2"));
  await bench.outgoing.identity({ sender: party.key, identity: "made-up-2" });
  expect(send(bench, messageOf(party, "made-up-2"))).toContain("Limit of 1 connection per day");
});

test("a user's identity is its own address, and the sender has a line of its own", async () => {
  await using bench = await benchOf(document);
  const party = partyOf(bench, "alice@example.test");
  bench.outgoing.admitTransaction(party, connect(), address("alice@example.test"));
  send(bench, messageOf(party, "alice@example.test"));
  expect(await names(bench, { domain: "example.test" })).toEqual([
    "alice@example.test",
    "alice@example.test alice@example.test",
  ]);
});
