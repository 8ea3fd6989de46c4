// When abuse reports go out: one per identity and hour, the rest counted; what is held back survives a restart; floods stay small.
import { expect, test } from "bun:test";
import { MAX_IDENTITIES } from "../../src/notify/run-abuse-reports.ts";
import { domainWith, HOUR, MINUTE, openGate, stoppedMessage } from "./outgoing-kit.ts";

const ABUSE = domainWith({ abuse_contact: "abuse@example.test" });
const incidents = (message: Uint8Array) =>
  Number(/^Incidents: (\d+)/m.exec(Buffer.from(message).toString())?.[1]);

test("the first at once, the others of the hour in one with their count", async () => {
  await using gate = await openGate([ABUSE]);
  const stop = (identity: string, at = "") =>
    gate.notices.stopped(stoppedMessage(gate.clock, { identity, kind: null, words: at }));
  for (let i = 0; i < 6; i++) stop("client-a", `message ${i}`);
  stop("client-b");
  gate.notices.stopped(stoppedMessage(gate.clock, { domain: "not-ours.example" }));
  await gate.turn(MINUTE);
  expect(gate.mails.map(({ to, words }) => [to, words])).toEqual([
    ["abuse@example.test", "abuse report about client-a (sender 192.0.2.0/28)"],
    ["abuse@example.test", "abuse report about client-b (sender 192.0.2.0/28)"],
  ]);
  expect(gate.mails.map(({ message }) => incidents(message))).toEqual([1, 1]);
  await gate.turn(58 * MINUTE);
  expect(gate.mails.length).toBe(2);
  stop("client-a", "message 6");
  await gate.turn(2 * MINUTE);
  expect(gate.mails.length).toBe(3);
  expect(incidents(gate.mails[2]?.message ?? new Uint8Array())).toBe(6);
  expect(Buffer.from(gate.mails[2]?.message ?? "").toString()).toContain("message 6");
  // The counted one begins an hour of its own; after a quiet one everything begins anew.
  stop("client-a");
  await gate.turn(30 * MINUTE);
  expect(gate.mails.length).toBe(3);
  await gate.turn(31 * MINUTE);
  expect(incidents(gate.mails[3]?.message ?? new Uint8Array())).toBe(1);
  await gate.turn(2 * HOUR);
  expect(gate.mails.length).toBe(4);
  const remembered = "select count(*) from notice_state where kind = 'abuse-report'";
  expect(await gate.database.query({ sql: remembered, params: [] })).toEqual([[0]]);
  stop("client-a");
  await gate.rest();
  expect(gate.mails.length).toBe(5);
});

test("what is held back is told after a crash, at its hour", async () => {
  await using gate = await openGate([ABUSE]);
  for (let i = 0; i < 4; i++)
    gate.notices.stopped(stoppedMessage(gate.clock, { kind: null, words: `message ${i}` }));
  await gate.turn(MINUTE);
  await gate.restart({ afterMs: 20 * MINUTE });
  gate.notices.stopped(stoppedMessage(gate.clock, { kind: null, words: "after the crash" }));
  await gate.turn(30 * MINUTE);
  expect(gate.mails.length).toBe(1);
  await gate.turn(10 * MINUTE);
  expect(gate.mails.length).toBe(2);
  expect(incidents(gate.mails[1]?.message ?? new Uint8Array())).toBe(4);
  expect(Buffer.from(gate.mails[1]?.message ?? "").toString()).toContain("after the crash");
  // Down when the hour was over: told at the start. A regular end saves what came in the last seconds.
  gate.notices.stopped(stoppedMessage(gate.clock, { kind: null }));
  await gate.restart({ graceful: true, afterMs: 3 * HOUR });
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(3);
});

test("invented identities give a bounded number of reports and a count of the rest", async () => {
  await using gate = await openGate([ABUSE]);
  for (let i = 0; i < 3000; i++) {
    gate.notices.stopped(stoppedMessage(gate.clock, { kind: null, identity: `client-${i}` }));
    if (i % 20 === 0) await gate.rest();
  }
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(MAX_IDENTITIES + 1);
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(MAX_IDENTITIES + 2);
  const last = gate.mails.at(-1);
  expect(incidents(last?.message ?? new Uint8Array())).toBe(3000 - MAX_IDENTITIES - 1);
  expect(
    Buffer.from(last?.message ?? "")
      .toString()
      .replace(/\s+/g, " "),
  ).toContain("messages of several senders of example.test");
});

test("state another version wrote is dropped, not stumbled over", async () => {
  await using gate = await openGate([ABUSE]);
  await gate.database.commit([
    { sql: "insert into notice_state values ('abuse-report', 'x', ?)", params: ['{"strange":true}'] },
    { sql: "insert into notice_state values ('report', 'example.test', ?)", params: ['"soon"'] },
    { sql: "insert into notice_state values ('alert', 'spam example.test', ?)", params: ["[]"] },
  ]);
  await gate.restart();
  await gate.turn(MINUTE);
  const left = await gate.database.query({
    sql: "select kind from notice_state where kind = 'abuse-report'",
    params: [],
  });
  expect(left).toEqual([]);
});
