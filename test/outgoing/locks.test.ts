// A lock's whole life: spam brings it, time ends it, people lift it, and all of it survives a restart and is in the audit log.
import { expect, test } from "bun:test";
import { formatReply } from "../../src/policy/reply.ts";
import { StoreError } from "../../src/store/database.ts";
import { waitUntil } from "../peers/run-command.ts";
import { address, CHEAP_HASH } from "../policy/policy-fixtures.ts";
import {
  type Bench,
  benchOf,
  CLEAN,
  connect,
  HOUR,
  MINUTE,
  messageOf,
  partyAt,
  partyOf,
  refusalOf,
  SPAM,
  send,
} from "./outgoing-kit.ts";

const ip = {
  kind: "ip",
  range: "192.0.2.0/28",
  domain: "example.test",
  identify_by: { header: "X-Client-ID" },
};
const KEY = { sender: "192.0.2.0/28", identity: "a" };

function gtube(bench: Bench, identity: string | null, times = 1): (string | null)[] {
  const party = partyAt(bench, "192.0.2.1");
  return Array.from({ length: times }, () => send(bench, messageOf(party, identity), SPAM));
}

function clean(bench: Bench, identity: string | null): string | null {
  return send(bench, messageOf(partyAt(bench, "192.0.2.1"), identity));
}

test("to leave the header out is no way around a lock", async () => {
  await using bench = await benchOf({ sender: [ip] });
  gtube(bench, null, 5);
  expect(clean(bench, null)).toStartWith("450 4.7.1 This identity is locked");
  expect(clean(bench, "b")).toBeNull();
  expect(bench.outgoing.locks()).toMatchObject([{ sender: "192.0.2.0/28", identity: "(no identity)" }]);
});

test("the fifth spam message locks its identity; the sixth is told; the others go on, on the same connection too", async () => {
  await using bench = await benchOf({ sender: [ip] });
  expect(gtube(bench, "a", 4)).toEqual([null, null, null, null]);
  expect(bench.outgoing.locks()).toEqual([]);
  // The rule's own reply stands for the message that brings the lock.
  expect(gtube(bench, "a")).toEqual([null]);
  expect(gtube(bench, "a")).toEqual([
    "450 4.7.1 This identity is locked and may not send until 2026-11-21 13:00 UTC",
  ]);
  expect(clean(bench, "a")).toStartWith("450 4.7.1 This identity is locked");
  const connection = connect();
  const party = partyAt(bench, "192.0.2.1");
  expect(bench.outgoing.admitTransaction(party, connection, null)).toBeNull();
  expect(send(bench, messageOf(party, "b", ["x@example.net"], connection))).toBeNull();
  expect(clean(bench, null)).toBeNull();
  // A crash now could forget the lock: nobody is told of it yet.
  expect(bench.news).toEqual([]);
  await bench.outgoing.locksKept();
  expect(bench.news).toEqual([
    {
      at: bench.clock.now(),
      domain: "example.test",
      sender: "192.0.2.0/28",
      identity: "a",
      until: bench.clock.now() + HOUR,
      words: "5 spam messages within 10 minutes",
      template: "lock-notice",
      user: null,
    },
  ]);
  expect(bench.outgoing.locks("example.test")).toHaveLength(1);
  expect(bench.outgoing.locks("example.org")).toEqual([]);
  expect(bench.outgoing.locks("xample.test")).toEqual([]);
});

test("spam that is spread over more than the window does not lock", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 3, window: "10m" } }] });
  gtube(bench, "a", 2);
  bench.clock.pass(10 * MINUTE);
  gtube(bench, "a", 2);
  expect(bench.outgoing.locks()).toEqual([]);
  bench.clock.pass(10 * MINUTE - 1);
  gtube(bench, "a");
  expect(bench.outgoing.locks()).toHaveLength(1);
});

test("time ends a lock to the millisecond, so often as is allowed; then only a person does", async () => {
  await using bench = await benchOf({
    sender: [{ ...ip, lock: { spam: 1, timeout: "1h", max_unlocks: 2 } }],
  });
  for (const timeouts of [0, 1]) {
    gtube(bench, "a");
    expect(bench.outgoing.locks()[0]?.timeouts).toBe(timeouts);
    bench.clock.pass(HOUR - 1);
    expect(clean(bench, "a")).toStartWith("450 4.7.1 ");
    bench.clock.pass(1);
    expect(clean(bench, "a")).toBeNull();
  }
  gtube(bench, "a");
  bench.clock.pass(1000 * HOUR);
  expect(clean(bench, "a")).toBe("550 5.7.1 This identity is locked and may not send; ask the administrator");
  await bench.outgoing.locksKept();
  expect(bench.news.at(-1)?.until).toBeNull();
  expect(await bench.outgoing.unlock(KEY, "admin")).toBe(true);
  expect(await bench.outgoing.unlock(KEY, "admin")).toBe(false);
  expect(clean(bench, "a")).toBeNull();
  // The count begins anew.
  gtube(bench, "a");
  expect(bench.outgoing.locks()[0]).toMatchObject({ timeouts: 0, until: bench.clock.now() + HOUR });
  const history = (await bench.outgoing.identity(KEY))?.history.map(({ what, by }) => `${what} ${by}`);
  expect(history).toEqual([
    "locked gatepost",
    "unlocked admin",
    "locked gatepost",
    "timed-out gatepost",
    "locked gatepost",
    "timed-out gatepost",
    "locked gatepost",
  ]);
});

test("a clock put back holds a lock no longer than its time, over a restart too; the spam window neither empties nor fills", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 3, window: "10m", timeout: "1h" } }] });
  gtube(bench, "a", 3);
  gtube(bench, "b", 2);
  bench.clock.set(bench.clock.now() - 100 * HOUR);
  gtube(bench, "b");
  expect(
    bench.outgoing
      .locks()
      .map(({ identity }) => identity)
      .sort(),
  ).toEqual(["a", "b"]);
  await bench.restart();
  bench.clock.pass(HOUR - 1);
  expect(clean(bench, "a")).toStartWith("450 4.7.1 ");
  bench.clock.pass(1);
  expect(clean(bench, "a")).toBeNull();
  expect(bench.outgoing.locks()).toEqual([]);
});

test("a lock ends by its timer, without a question", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 1, timeout: "30m" } }] });
  gtube(bench, "a");
  const until = bench.clock.now() + 30 * MINUTE;
  bench.clock.pass(45 * MINUTE);
  await bench.outgoing.close();
  expect(await bench.rows("select what, at from outgoing_lock_event order by id")).toEqual([
    ["locked", until - 30 * MINUTE],
    ["timed-out", until],
  ]);
});

test("a person's unlock begins the spam window anew", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 3 } }] });
  gtube(bench, "a", 3);
  await bench.outgoing.unlock(KEY, "admin");
  gtube(bench, "a", 2);
  expect(bench.outgoing.locks()).toEqual([]);
  gtube(bench, "a");
  expect(bench.outgoing.locks()).toHaveLength(1);
});

test("locks and counts survive a restart; a lock whose time ended meanwhile has ended", async () => {
  await using bench = await benchOf({
    sender: [{ ...ip, lock: { spam: 2, timeout: "1h", max_unlocks: 1 } }],
  });
  gtube(bench, "a", 2);
  gtube(bench, "b");
  await bench.outgoing.lock({ sender: "192.0.2.0/28", identity: null }, "admin", "holiday");
  await bench.restart({ downMs: 5 * MINUTE });
  expect(clean(bench, "c")).toStartWith("550 5.7.1 This sender is locked");
  await bench.outgoing.unlock({ sender: "192.0.2.0/28", identity: null }, "admin");
  expect(clean(bench, "a")).toStartWith("450 ");
  // The spam window of b was kept too.
  gtube(bench, "b");
  expect(clean(bench, "b")).toStartWith("450 ");
  await bench.restart({ downMs: HOUR });
  expect(bench.outgoing.locks()).toEqual([]);
  gtube(bench, "a", 2);
  expect(clean(bench, "a")).toStartWith("550 ");
});

test("a lock survives a crash right after a person set it", async () => {
  await using bench = await benchOf({ sender: [ip] });
  await bench.outgoing.lock(KEY, "admin", "complaints");
  await bench.restart({ crash: true });
  expect(clean(bench, "a")).toStartWith("550 5.7.1 This identity is locked");
  await bench.outgoing.unlock(KEY, "admin");
  await bench.restart({ crash: true });
  expect(clean(bench, "a")).toBeNull();
});

test("who locks and unlocks is in the audit log", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 1, timeout: "1h" } }] });
  gtube(bench, "a");
  bench.clock.pass(HOUR);
  await bench.outgoing.lock(KEY, "admin@example.test", "complaints");
  await bench.outgoing.unlock(KEY, "admin@example.test");
  await bench.outgoing.close();
  expect(await bench.rows("select actor, via, action, subject, detail from audit_log order by id")).toEqual([
    [
      "gatepost",
      "system",
      "outgoing.lock",
      'identity "a" of sender 192.0.2.0/28',
      "1 spam message within 10 minutes; until 2026-11-21 13:00 UTC",
    ],
    [
      "gatepost",
      "system",
      "outgoing.lock-timed-out",
      'identity "a" of sender 192.0.2.0/28',
      "1 spam message within 10 minutes",
    ],
    [
      "admin@example.test",
      "console",
      "outgoing.lock",
      'identity "a" of sender 192.0.2.0/28',
      "complaints; only a person lifts it",
    ],
    ["admin@example.test", "console", "outgoing.unlock", 'identity "a" of sender 192.0.2.0/28', "complaints"],
  ]);
});

test("a lock takes effect at MAIL, RCPT and DATA of open connections, and on messages that are being checked", async () => {
  const user = {
    kind: "user",
    login: "alice@example.test",
    domain: "example.test",
    password_hash: CHEAP_HASH,
  };
  await using bench = await benchOf({ sender: [{ ...user, lock: { spam: 1 } }] });
  const party = partyOf(bench, "alice@example.test");
  const alice = address("alice@example.test");
  const connection = connect();
  expect(bench.outgoing.admitTransaction(party, connection, alice)).toBeNull();
  const underWay = messageOf(party, alice);
  const refusedAnyway = messageOf(party, alice);
  expect(bench.outgoing.admitMessage(underWay)).toBeNull();
  expect(bench.outgoing.admitMessage(refusedAnyway)).toBeNull();
  send(bench, messageOf(party, alice), SPAM);
  expect(bench.outgoing.admitRecipient(party, alice, 0)?.code).toBe(450);
  expect(bench.outgoing.admitTransaction(party, connection, alice)?.code).toBe(450);
  expect(bench.outgoing.admitMessage(messageOf(party, alice))?.code).toBe(450);
  const reply = bench.outgoing.settle(underWay, { ...CLEAN, counted: underWay.recipients });
  expect(reply === null ? null : formatReply(reply)).toStartWith("450 4.7.1 This identity is locked");
  expect(bench.outgoing.settle(refusedAnyway, { ...CLEAN, counted: [] })).toBeNull();
  expect((await bench.outgoing.identity({ sender: party.key, identity: alice }))?.recipientsDay).toBe(0);
  expect(bench.news[0]?.user).toBe("alice@example.test");
});

test("the sender is locked where its settings say so, the identity where enterprise mode does", async () => {
  const both = { ...ip, lock: { identity: false, sender: true, spam: 3 } };
  await using bench = await benchOf({ sender: [both] });
  gtube(bench, "a", 2);
  gtube(bench, null);
  expect(bench.outgoing.locks().map(({ identity }) => identity)).toEqual([null]);
  expect(clean(bench, "b")).toStartWith("450 4.7.1 This sender is locked");
  await using strict = await benchOf({
    sender: [{ ...both, lock: { ...both.lock, sender: false } }],
    domain: [{ name: "example.test", outgoing: { enterprise: true } }],
  });
  gtube(strict, "a", 3);
  expect(strict.outgoing.locks().map(({ identity }) => identity)).toEqual(["a"]);
});

test("a rule that locks does so at once", async () => {
  await using bench = await benchOf({ sender: [ip] });
  const result = {
    ...SPAM,
    lock: true,
    kind: "bulk",
    rule: "bulk-lock",
    words: "1200 new recipients within an hour",
  } as const;
  expect(send(bench, messageOf(partyAt(bench, "192.0.2.1"), "a"), result)).toBeNull();
  expect(clean(bench, "a")).toStartWith("450 ");
  expect(bench.outgoing.locks()[0]?.words).toBe("bulk-lock: 1200 new recipients within an hour");
});

test("a database that takes nothing: locks fall all the same and are kept later; what a person asked for did not happen", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 1 } }] });
  bench.brittle.failWith = new StoreError("disk-full", "the disk is full");
  gtube(bench, "a");
  expect(clean(bench, "a")).toStartWith("450 ");
  expect(await refusalOf(bench.outgoing.lock({ ...KEY, identity: "b" }, "admin", "x"))).toContain(
    "the disk is full",
  );
  expect(clean(bench, "b")).toBeNull();
  expect(await refusalOf(bench.outgoing.unlock(KEY, "admin"))).toContain("the disk is full");
  expect(clean(bench, "a")).toStartWith("450 ");
  expect(bench.alarms.get("lock-records")).toContain("the disk is full");
  bench.brittle.failWith = null;
  await bench.restart();
  expect([...bench.alarms]).toEqual([]);
  expect(clean(bench, "a")).toStartWith("450 ");
  expect(await bench.rows("select what from outgoing_lock_event")).toEqual([["locked"]]);
});

test("nobody can be locked under a sender that does not exist", async () => {
  await using bench = await benchOf({ sender: [ip] });
  const lock = bench.outgoing.lock({ sender: "nobody@example.test", identity: null }, "admin", "x");
  expect(await refusalOf(lock)).toContain('there is no sender "nobody@example.test"');
});

test("as many locks as can be held: the alarm ends as soon as one is lifted, told of by no further lock", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 1 } }] });
  await bench.rows(`with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 100000)
    insert into outgoing_lock (sender, name, domain, since, until, timeouts, words, by_whom, active)
    select '${ip.range}', 'x' || n, 'example.test', 1, null, 0, 'spam', 'system', 1 from numbers`);
  await bench.restart();
  gtube(bench, "a");
  expect(bench.alarms.get("locks")).toContain("More identities are locked than can be held");
  expect(clean(bench, "a")).toBeNull();
  expect(await bench.outgoing.unlock({ ...KEY, identity: "x1" }, "admin")).toBe(true);
  expect([...bench.alarms]).toEqual([]);
});

test("counts that cannot be kept are an alarm until they can", async () => {
  await using bench = await benchOf({ sender: [{ ...ip, lock: { spam: 1 } }] });
  bench.brittle.failWith = new StoreError("disk-full", "the disk is full");
  expect(clean(bench, "a")).toBeNull();
  bench.clock.pass(21_000);
  await waitUntil("the alarm stands", () => bench.alarms.has("outgoing-counts"));
  bench.brittle.failWith = null;
  await waitUntil("the alarm ends", () => {
    bench.clock.pass(21_000);
    return bench.alarms.size === 0;
  });
});
