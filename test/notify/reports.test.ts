// Scheduled reports of the outgoing quarantine: at the hour of the domain's time zone, also through daylight saving and restarts.
import { expect, test } from "bun:test";
import { reportTimes } from "../../src/notify/report-times.ts";
import type { Statement } from "../../src/store/database.ts";
import { outgoingQuarantineSince } from "../../src/store/notice-report-items.ts";
import { quarantineInsert } from "../../src/store/quarantine-rows.ts";
import { undeliverableCounts } from "../../src/store/quarantine-undeliverable.ts";
import { DAY, domainWith, type Gate, HOUR, MINUTE, openGate, START } from "./outgoing-kit.ts";

const plan = (changes: object) => ({
  report: { every: "daily", hour: 7, timezone: "Europe/Vienna", to: ["boss@example.test"], ...changes },
});
const at = (text: string) => Date.parse(text);
const dueAt = (changes: object, now: string) => {
  const times = reportTimes(domainWith(plan(changes)).outgoing.report)?.lastDue(at(now));
  return times === undefined || times === null ? null : new Date(times).toISOString().slice(0, 19);
};

test("when a report is due", () => {
  expect(dueAt({}, "2026-11-21T05:59:59.999Z")).toBe("2026-11-20T06:00:00");
  expect(dueAt({}, "2026-11-21T06:00:00.000Z")).toBe("2026-11-21T06:00:00");
  expect(dueAt({ every: "weekly", weekday: "monday" }, "2026-11-21T12:00:00Z")).toBe("2026-11-16T06:00:00");
  expect(dueAt({ every: "weekly", weekday: "sunday" }, "2026-11-21T12:00:00Z")).toBe("2026-11-15T06:00:00");
  expect(dueAt({ every: "off" }, "2026-11-21T12:00:00Z")).toBeNull();
  expect(dueAt({ timezone: "Asia/Kathmandu", hour: 0 }, "2026-11-21T18:15:00Z")).toBe("2026-11-21T18:15:00");
  // 29 March 2026 has no 2 o'clock in Vienna, 25 October has two: once each.
  expect(dueAt({ hour: 2 }, "2026-03-29T00:59:59Z")).toBe("2026-03-28T01:00:00");
  expect(dueAt({ hour: 2 }, "2026-03-29T12:00:00Z")).toBe("2026-03-29T01:00:00");
  expect(dueAt({ hour: 2 }, "2026-10-25T00:30:00Z")).toBe("2026-10-25T00:00:00");
  expect(dueAt({ hour: 2 }, "2026-10-25T01:30:00Z")).toBe("2026-10-25T00:00:00");
  expect(dueAt({ hour: 2 }, "2026-10-26T01:00:00Z")).toBe("2026-10-26T01:00:00");
});

let number = 0;

/** Puts a message of client-a into the quarantine. */
async function quarantine(
  gate: Gate,
  changes: {
    readonly senderDomain?: string;
    readonly direction?: "outbound" | "inbound";
    readonly subject?: string;
    readonly receivedAt?: number;
    readonly filedAt?: number;
    readonly failedAt?: number;
  } = {},
): Promise<string> {
  const messageId = `m${++number}`;
  const { receivedAt = gate.clock.now(), filedAt, failedAt } = changes;
  const { senderDomain = "example.test", direction = "outbound", subject = "offer" } = changes;
  const item = {
    id: `${messageId}-1`,
    messageId,
    n: 1,
    recipient: "bob@example.org",
    reversePath: "shop@elsewhere.example",
    headerFrom: "",
    subject,
    direction,
    rule: "outgoing-spam",
    words: "GTUBE found",
    size: 1,
    receivedAt,
    expiresAt: receivedAt + 30 * DAY,
    sender: "192.0.2.0/28",
    identity: "client-a",
    senderDomain,
    ...(filedAt === undefined ? {} : { filedAt }),
  } as const;
  const why = failedAt === undefined ? undefined : { server: "", answer: "no", failedAt, round: 0 };
  await gate.database.commit([quarantineInsert(item, "hash", why)]);
  return item.id;
}

test("each day at the hour, what came since the last one; nothing when nothing came", async () => {
  await using gate = await openGate([domainWith(plan({}))]);
  // Switched on at noon UTC: the report of 7 o'clock is not made up for.
  await quarantine(gate);
  await gate.turn(MINUTE);
  await quarantine(gate, { senderDomain: "example.org" });
  await quarantine(gate, { direction: "inbound", senderDomain: "" });
  await quarantine(gate, { senderDomain: "sub.example.test" });
  const first = await quarantine(gate, { subject: "Grüße\r\nBcc: x@example.org" });
  await gate.turn(17 * HOUR);
  expect(gate.mails).toEqual([]);
  const second = await quarantine(gate);
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(1);
  const [mail] = gate.mails;
  expect(mail).toMatchObject({
    to: "boss@example.test",
    subject: "Outgoing quarantine of example.test: 2 messages",
  });
  const words = mail?.text.replace(/\s+/g, " ") ?? "";
  expect(words).toStartWith(
    "Since 2026-11-21 13:00 Europe/Vienna, 2 messages from example.test were put into the outgoing quarantine and not sent.",
  );
  expect(words).toContain(
    `2026-11-21 13:01 Europe/Vienna client-a (sender 192.0.2.0/28) To: bob@example.org Subject: Grüße Bcc: x@example.org Why: GTUBE found Open: https://gate.example.test:8443/quarantine/${first}`,
  );
  expect(mail?.text.indexOf(first)).toBeLessThan(mail?.text.indexOf(second) ?? 0);
  await gate.turn(2 * DAY);
  expect(gate.mails.length).toBe(1);
  await quarantine(gate);
  await gate.turn(DAY);
  expect(gate.mails.map(({ subject }) => subject)).toEqual([
    "Outgoing quarantine of example.test: 2 messages",
    "Outgoing quarantine of example.test: 1 message",
  ]);
});

test("a report missed while the gateway was down is sent once when it runs again", async () => {
  await using gate = await openGate([domainWith(plan({ every: "weekly", weekday: "sunday" }))]);
  await gate.turn(MINUTE);
  await quarantine(gate);
  // Due on Sunday at 6 UTC, 18 hours from the start.
  await gate.restart({ afterMs: 30 * HOUR });
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  await gate.restart({ afterMs: HOUR });
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(1);
  // More than a day late: not any more; what it would have held is in the next one.
  await quarantine(gate);
  await gate.restart({ afterMs: 8 * DAY });
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(1);
  await gate.turn(7 * DAY);
  expect(gate.mails.length).toBe(2);
});

test("200 items are listed, the others counted; without an address of its own it goes where alerts go", async () => {
  await using gate = await openGate([
    domainWith({ ...plan({ to: [] }), alerts: { mail: ["admin@example.test", "second@example.test"] } }),
  ]);
  await gate.turn(MINUTE);
  for (let i = 0; i < 203; i++) await quarantine(gate);
  await gate.turn(DAY);
  expect(gate.mails.map(({ to }) => String(to))).toEqual(["admin@example.test", "second@example.test"]);
  expect(gate.mails[0]?.subject).toEqual("Outgoing quarantine of example.test: 203 messages");
  expect(gate.mails[0]?.text.match(/Open:/g)?.length).toBe(200);
  expect(gate.mails[0]?.text).toContain("and 3 older messages: https://gate.example.test:8443/quarantine");
});

test("a failure raises an alarm and is tried again; other domains get theirs", async () => {
  await using gate = await openGate([
    domainWith(plan({})),
    domainWith(plan({ to: ["x@example.org"] }), "example.org"),
  ]);
  await gate.turn(MINUTE);
  await quarantine(gate);
  gate.queueError = new Error("the disk is full");
  await gate.turn(19 * HOUR);
  expect(gate.alarms.get("reports")).toBe(
    "The report of the outgoing quarantine cannot be sent. example.test: the disk is full",
  );
  gate.queueError = null;
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(1);
  expect(gate.alarms.size).toBe(0);
});

test("switched off and on again, it begins anew", async () => {
  await using gate = await openGate([domainWith(plan({}))]);
  await gate.turn(MINUTE);
  await quarantine(gate);
  gate.domains = [domainWith(plan({ every: "off" }))];
  await gate.turn(DAY);
  gate.domains = [domainWith(plan({}))];
  await gate.turn(DAY);
  expect(gate.mails).toEqual([]);
  expect(gate.clock.now()).toBe(START + MINUTE + 2 * DAY);
});

test("mail that began before a report and is filed after it stands in the next one, once", async () => {
  await using gate = await openGate([domainWith(plan({}))]);
  await gate.turn(MINUTE);
  await quarantine(gate);
  await gate.turn(18 * HOUR);
  expect(gate.mails).toHaveLength(1);
  // The report was made between.
  const madeAt = gate.clock.now();
  for (const [began, filed] of [
    [-5000, 20_000],
    // A slow body; a vault that could not be written for days.
    [-2 * HOUR, 20_000],
    [-3 * DAY, 5 * MINUTE],
    // Filed at the very time of the report, committed after it.
    [-5000, 0],
  ] as const)
    await quarantine(gate, { receivedAt: madeAt + began, filedAt: madeAt + filed });
  await gate.turn(2 * DAY);
  expect(gate.mails.map(({ subject }) => subject)).toEqual([
    "Outgoing quarantine of example.test: 1 message",
    "Outgoing quarantine of example.test: 4 messages",
  ]);
});

test("lists of undeliverable mail that follow one another name each item once, whenever it failed", async () => {
  await using gate = await openGate([]);
  const now = gate.clock.now();
  const failures = [-DAY, -HOUR, -5000, 0, 1000];
  for (const failed of failures)
    for (const later of [0, 30_000, HOUR, 3 * HOUR])
      await quarantine(gate, { failedAt: now + failed, filedAt: now + failed + later });
  // One of an older version.
  await quarantine(gate, { failedAt: now - 5000 });
  let listed = 0;
  for (let since = now - 3 * DAY; since < now + 3 * DAY; since += 12 * HOUR) {
    const range = { since, until: since + 12 * HOUR, kept: true };
    for (const { items } of await undeliverableCounts(gate.database, range)) listed += items;
  }
  expect(listed).toBe(4 * failures.length + 1);
});

test("the rows of the quarantine are found without a walk through all of it", async () => {
  await using gate = await openGate([]);
  const asked: Statement[] = [];
  const reader = {
    query: (statement: Statement) => {
      asked.push(statement);
      return gate.database.query(statement);
    },
  };
  await quarantine(gate);
  await outgoingQuarantineSince(reader, "example.test", { since: 0, until: gate.clock.now() });
  expect(asked.length).toBe(2);
  for (const { sql, params } of asked) {
    const plan = await gate.database.query({ sql: `explain query plan ${sql}`, params });
    expect(plan.map(String).join("\n")).toContain("USING INDEX quarantine_sender_domain");
  }
});
