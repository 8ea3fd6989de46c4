// Each limit refuses exactly at its edge, frees exactly when the oldest leaves its window, and holds over a restart.
import { describe, expect, test } from "bun:test";
import { formatReply } from "../../src/policy/reply.ts";
import type { OutgoingParty } from "../../src/policy/snapshot.ts";
import { address, CHEAP_HASH } from "../policy/policy-fixtures.ts";
import {
  type Bench,
  benchOf,
  CLEAN,
  connect,
  DAY,
  HOUR,
  MINUTE,
  messageOf,
  partyAt,
  partyOf,
  send,
  strangers,
} from "./outgoing-kit.ts";

const ALICE = address("alice@example.test");
const user = { kind: "user", login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH };

function mail(bench: Bench, party: OutgoingParty, connection = connect()): string | null {
  const reply = bench.outgoing.admitTransaction(party, connection, ALICE);
  return reply === null ? null : formatReply(reply);
}

const WINDOWS = [
  ["per_minute", MINUTE, "minute"],
  ["per_hour", HOUR, "hour"],
  ["per_day", DAY, "day"],
  ["per_week", 7 * DAY, "week"],
  ["per_month", 30 * DAY, "30 days"],
] as const;

describe.each(WINDOWS)("%s", (limit, windowMs, per) => {
  for (const whose of ["limits", "identity_limits"] as const) {
    test(`${whose}: the third of three passes, the fourth waits for the first to leave`, async () => {
      await using bench = await benchOf({ sender: [{ ...user, [whose]: { [limit]: 3 } }] });
      const party = partyOf(bench, "alice@example.test");
      const step = Math.floor(windowMs / 10);
      for (let i = 0; i < 3; i++) {
        expect(mail(bench, party)).toBeNull();
        bench.clock.pass(step);
      }
      const refused = mail(bench, party) ?? "";
      const whoseWord = whose === "limits" ? "sender" : "identity";
      expect(refused).toStartWith(
        `450 4.7.1 Limit of 3 connections per ${per} reached for this ${whoseWord}; free again in `,
      );
      // Refused ones are not counted: only time frees.
      bench.clock.pass(windowMs - 3 * step - 1);
      expect(mail(bench, party)).toBe(
        `450 4.7.1 Limit of 3 connections per ${per} reached for this ${whoseWord}; free again in 1 second`,
      );
      bench.clock.pass(1);
      expect(mail(bench, party)).toBeNull();
      expect(mail(bench, party)).not.toBeNull();
    });

    test(`${whose}: holds over a restart, and exactly`, async () => {
      await using bench = await benchOf({ sender: [{ ...user, [whose]: { [limit]: 2 } }] });
      const party = () => partyOf(bench, "alice@example.test");
      expect(mail(bench, party())).toBeNull();
      expect(mail(bench, party())).toBeNull();
      const downMs = Math.floor(windowMs / 2);
      await bench.restart({ downMs });
      expect(mail(bench, party())).not.toBeNull();
      bench.clock.pass(windowMs - downMs - 1);
      expect(mail(bench, party())).not.toBeNull();
      bench.clock.pass(1);
      expect(mail(bench, party())).toBeNull();
    });
  }
});

test("a crash loses at most what came after the last save, every 20 seconds", async () => {
  await using bench = await benchOf({ sender: [{ ...user, limits: { per_hour: 2 } }] });
  const party = partyOf(bench, "alice@example.test");
  expect(mail(bench, party)).toBeNull();
  expect(mail(bench, party)).toBeNull();
  bench.clock.pass(20_000);
  // The save runs in the background; the page waits for it.
  await bench.outgoing.identities({ limit: 1, offset: 0 });
  await bench.restart({ crash: true });
  expect(mail(bench, partyOf(bench, "alice@example.test"))).not.toBeNull();
});

test("a connection counts once for its sender and once for each identity", async () => {
  await using bench = await benchOf({
    sender: [
      {
        kind: "ip",
        range: "192.0.2.0/28",
        domain: "example.test",
        identify_by: { header: "X-Client-ID" },
        limits: { per_hour: 2 },
        identity_limits: { per_hour: 1 },
      },
    ],
  });
  const party = partyAt(bench, "192.0.2.1");
  const [first, second, third] = [connect(), connect(), connect()];
  for (let i = 0; i < 5; i++) {
    expect(mail(bench, party, first)).toBeNull();
    expect(send(bench, messageOf(party, "a", ["x@example.net"], first))).toBeNull();
    expect(send(bench, messageOf(party, "b", ["x@example.net"], first))).toBeNull();
  }
  expect(mail(bench, party, second)).toBeNull();
  // The second connection is one too many for a, and the first for c.
  expect(send(bench, messageOf(party, "a", ["x@example.net"], second))).toStartWith(
    "450 4.7.1 Limit of 1 connection per hour reached for this identity; free again in 60 minutes",
  );
  expect(send(bench, messageOf(party, "c", ["x@example.net"], second))).toBeNull();
  expect(mail(bench, party, third)).toStartWith(
    "450 4.7.1 Limit of 2 connections per hour reached for this sender",
  );
  expect(mail(bench, party, first)).toBeNull();
});

test("recipients in 24 hours: at RCPT, at the end of DATA, and freed one by one", async () => {
  await using bench = await benchOf({
    sender: [{ ...user, limits: { recipients_per_day: 10 }, identity_limits: { recipients_per_day: 6 } }],
  });
  const party = partyOf(bench, "alice@example.test");
  const rcpt = (pending: number) => bench.outgoing.admitRecipient(party, ALICE, pending);
  const to = (count: number) => messageOf(party, ALICE, strangers(count, "r"));
  expect(send(bench, to(2))).toBeNull();
  bench.clock.pass(HOUR);
  expect(send(bench, to(3))).toBeNull();
  // One place is left for the identity.
  expect(rcpt(0)).toBeNull();
  const full = rcpt(1);
  expect(full === null ? null : formatReply(full)).toBe(
    "450 4.7.1 Limit of 6 recipients per 24 hours reached for this identity; free again in 23 hours",
  );
  expect(send(bench, to(2))).toStartWith(
    "450 4.7.1 Limit of 6 recipients per 24 hours reached for this identity",
  );
  expect(send(bench, to(1))).toBeNull();
  expect(rcpt(0)).not.toBeNull();
  bench.clock.pass(23 * HOUR - 1);
  expect(rcpt(0)).not.toBeNull();
  bench.clock.pass(1);
  expect(rcpt(1)).toBeNull();
  expect(rcpt(2)).not.toBeNull();
  await bench.restart();
  expect(bench.outgoing.admitRecipient(partyOf(bench, "alice@example.test"), ALICE, 2)).not.toBeNull();
  expect(bench.outgoing.admitRecipient(partyOf(bench, "alice@example.test"), ALICE, 1)).toBeNull();
});

test("messages that are checked at the same time do not share the same room", async () => {
  await using bench = await benchOf({ sender: [{ ...user, limits: { recipients_per_day: 3 } }] });
  const party = partyOf(bench, "alice@example.test");
  const [one, two, three] = [1, 2, 3].map(() => messageOf(party, ALICE, strangers(2, "r")));
  if (one === undefined || two === undefined || three === undefined) throw new Error("unreachable");
  expect(bench.outgoing.admitMessage(one)).toBeNull();
  expect(bench.outgoing.admitMessage(two)).not.toBeNull();
  // The first is refused by a rule: its room is free again.
  bench.outgoing.settle(one, { ...CLEAN, counted: [] });
  expect(bench.outgoing.admitMessage(two)).toBeNull();
  expect(bench.outgoing.admitMessage(three)).not.toBeNull();
  // The session of the second dies without a word.
  bench.clock.pass(10 * MINUTE);
  expect(send(bench, messageOf(party, ALICE, ["x@example.net"]))).toBeNull();
  expect(send(bench, three)).toBeNull();
});

test("enterprise mode limits identities that have no limits of their own", async () => {
  const sender = { ...user, identity_limits: { per_minute: 5 } };
  const outgoing = {
    enterprise: true,
    default_limits: { per_minute: 1, per_hour: 2, recipients_per_day: 3 },
  };
  await using bench = await benchOf({ sender: [sender], domain: [{ name: "example.test", outgoing }] });
  const party = partyOf(bench, "alice@example.test");
  expect(mail(bench, party)).toBeNull();
  expect(mail(bench, party)).toBeNull();
  expect(mail(bench, party)).toContain("2 connections per hour");
  expect(bench.outgoing.admitRecipient(party, ALICE, 3)?.text).toContain(
    "Limit of 3 recipients per 24 hours",
  );
  await using without = await benchOf({
    sender: [sender],
    domain: [{ name: "example.test", outgoing: { ...outgoing, limit_identities: false } }],
  });
  for (let i = 0; i < 5; i++) expect(mail(without, partyOf(without, "alice@example.test"))).toBeNull();
  expect(mail(without, partyOf(without, "alice@example.test"))).toContain("5 connections per minute");
});

test("a barred domain sends nothing, and known identities only means it", async () => {
  const ip = {
    kind: "ip",
    range: "192.0.2.0/28",
    domain: "example.test",
    identify_by: [{ header: "X-Client-ID" }, { header: "X-User" }],
  };
  await using barred = await benchOf({
    sender: [ip],
    domain: [{ name: "example.test", outgoing: { barred: true } }],
  });
  expect(mail(barred, partyAt(barred, "192.0.2.1"))).toBe(
    "550 5.7.1 This domain may not send mail; ask the administrator",
  );
  expect(send(barred, messageOf(partyAt(barred, "192.0.2.1"), "a"))).toStartWith("550 5.7.1 ");
  await using strict = await benchOf({
    sender: [ip],
    domain: [{ name: "example.test", outgoing: { known_identities_only: true } }],
  });
  expect(send(strict, messageOf(partyAt(strict, "192.0.2.1"), null))).toBe(
    "550 5.7.1 Message refused: it needs the header X-Client-ID or X-User to say who sent it",
  );
  expect(send(strict, messageOf(partyAt(strict, "192.0.2.1"), "a"))).toBeNull();
});
