// What the people of a domain are told of undeliverable mail: a list once a day, an alert of a burst, never twice, over restarts too.
import { expect, test } from "bun:test";
import { quarantineInsert } from "../../src/store/quarantine-rows.ts";
import { markSeen, newerItem, unseenUndeliverable } from "../../src/store/quarantine-undeliverable.ts";
import { DAY, domainWith, type Gate, HOUR, MINUTE, openGate } from "./outgoing-kit.ts";

const alerts = (thresholds = {}) => ({ alerts: { mail: ["admin@example.test"], thresholds } });
let number = 0;

async function fail(
  gate: Gate,
  changes: { readonly recipient?: string; readonly senderDomain?: string; readonly answer?: string } = {},
): Promise<string> {
  const messageId = `m${++number}`;
  const failedAt = gate.clock.now();
  const { recipient = "bob@example.test", senderDomain = "", answer = "550 5.1.1 No such user" } = changes;
  const item = {
    id: `${messageId}-1`,
    messageId,
    n: 1,
    recipient,
    reversePath: "alice@sender.example",
    headerFrom: "",
    subject: "offer\r\nBcc: x@example.org",
    direction: senderDomain === "" ? ("inbound" as const) : ("outbound" as const),
    sender: senderDomain === "" ? "" : `@${senderDomain}`,
    identity: "",
    senderDomain,
    rule: "",
    words: answer,
    size: 1,
    receivedAt: failedAt - DAY,
    expiresAt: failedAt + 30 * DAY,
  };
  const why = { server: "mx [10.0.0.5]:25", answer, failedAt, round: 0 };
  await gate.database.commit([quarantineInsert(item, "hash", why)]);
  gate.notices.undeliverable();
  return item.id;
}

test("a list once a day, of what is new and still kept", async () => {
  await using gate = await openGate([domainWith(alerts())]);
  await gate.turn(MINUTE);
  const first = await fail(gate);
  await fail(gate, { answer: "552 5.3.4 too big" });
  await gate.turn(HOUR);
  expect(gate.mails).toHaveLength(0);
  await gate.turn(DAY);
  expect(gate.mails).toHaveLength(1);
  const [mail] = gate.mails;
  expect(mail?.to).toBe("admin@example.test" as never);
  expect(mail?.subject).toBe("Undeliverable mail of example.test: 2 messages");
  expect(mail?.text).toContain("552 5.3.4 too big");
  expect(mail?.text).toContain("mx [10.0.0.5]:25");
  expect(mail?.text).toContain(`/quarantine/${first}`);
  expect(mail?.text).not.toMatch(/^Bcc:/m);
  // Nothing new: no list. A restart does not repeat it.
  await gate.restart();
  await gate.turn(2 * DAY);
  expect(gate.mails).toHaveLength(1);
  await fail(gate);
  await gate.restart({ graceful: false });
  await gate.turn(DAY);
  expect(gate.mails).toHaveLength(2);
  expect(gate.mails[1]?.subject).toBe("Undeliverable mail of example.test: 1 message");
}, 60_000);

test("what fails before the first look at a domain stands in its first list", async () => {
  await using gate = await openGate([domainWith(alerts())]);
  await fail(gate);
  await gate.turn(MINUTE);
  await fail(gate);
  gate.domains = [...gate.domains, domainWith({ alerts: { mail: ["boss@other.test"] } }, "other.test")];
  await fail(gate, { recipient: "x@other.test" });
  await gate.turn(DAY + HOUR);
  expect(gate.mails.map(({ subject }) => subject).sort()).toEqual([
    "Undeliverable mail of example.test: 2 messages",
    "Undeliverable mail of other.test: 1 message",
  ]);
  await gate.turn(2 * DAY);
  expect(gate.mails).toHaveLength(2);
}, 60_000);

test("a burst is told within a minute, once in its window; the threshold can be none", async () => {
  await using gate = await openGate([domainWith(alerts({ undeliverable: 3, window: "10m" }))]);
  await gate.turn(MINUTE);
  await fail(gate);
  await fail(gate);
  await gate.turn(MINUTE);
  expect(gate.mails).toHaveLength(0);
  await fail(gate);
  await gate.turn(MINUTE);
  expect(gate.mails.map(({ subject }) => subject)).toEqual([
    "Undeliverable mail of example.test: 3 messages at once",
  ]);
  for (let i = 0; i < 5; i++) await fail(gate);
  await gate.restart({ graceful: false });
  await gate.turn(5 * MINUTE);
  expect(gate.mails).toHaveLength(1);
  gate.domains = [domainWith(alerts({ undeliverable: null }))];
  await gate.turn(HOUR);
  for (let i = 0; i < 20; i++) await fail(gate);
  await gate.turn(HOUR);
  expect(gate.mails).toHaveLength(1);
});

test("each domain hears of its own; what is nobody's goes to the postmaster", async () => {
  const other = { alerts: { mail: ["boss@other.test"] } };
  await using gate = await openGate([domainWith(alerts()), domainWith(other, "other.test")]);
  await gate.turn(MINUTE);
  await fail(gate);
  await fail(gate, { recipient: "x@outside.example", senderDomain: "other.test" });
  await fail(gate, { recipient: "y@nowhere.example" });
  await gate.turn(DAY + HOUR);
  const told = new Map(gate.mails.map(({ to, subject }) => [String(to), subject]));
  expect(told.get("admin@example.test")).toBe("Undeliverable mail of example.test: 1 message");
  expect(told.get("boss@other.test")).toBe("Undeliverable mail of other.test: 1 message");
  expect(told.get("postmaster@gate.example.test")).toBe("Undeliverable mail: 1 message");
}, 60_000);

test("what somebody has looked at counts no more, and a newer round is found", async () => {
  await using gate = await openGate([]);
  const first = await fail(gate);
  const second = await fail(gate);
  expect((await unseenUndeliverable(gate.database)).items).toBe(2);
  expect(await markSeen(gate.database, first, 1)).toBe(true);
  expect(await markSeen(gate.database, first, 2)).toBe(false);
  const left = await unseenUndeliverable(gate.database);
  expect([left.items, left.first?.answer]).toEqual([1, "550 5.1.1 No such user"]);
  expect(await newerItem(gate.database, second)).toBeNull();
  const [messageId = ""] = second.split("-1");
  for (const round of [1, 2, 10]) {
    const item = {
      id: `${second}-${round}`,
      messageId,
      n: 1,
      recipient: "bob@example.test",
      reversePath: "",
      headerFrom: "",
      subject: "",
      direction: "inbound" as const,
      sender: "",
      identity: "",
      senderDomain: "",
      rule: "",
      words: "",
      size: 1,
      receivedAt: 1,
      expiresAt: 2,
    };
    await gate.database.commit([
      quarantineInsert(item, "hash", { server: "", answer: "", failedAt: 1, round }),
    ]);
  }
  expect(await newerItem(gate.database, second)).toBe(`${second}-10`);
  expect(await newerItem(gate.database, `${second}-2`)).toBe(`${second}-10`);
  expect(await newerItem(gate.database, `${second}-10`)).toBeNull();
});
