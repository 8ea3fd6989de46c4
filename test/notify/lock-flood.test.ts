// Many locks of one domain: the first are told one by one, the rest together, and the limit is told itself.
import { expect, test } from "bun:test";
import { domainWith, HOUR, lockNews, MINUTE, openGate } from "./outgoing-kit.ts";

const MAIL = { alerts: { mail: ["admin@example.test"] } };

test("a flood of locks: twenty are told one by one, the rest together at the end of the hour", async () => {
  await using gate = await openGate([domainWith(MAIL)]);
  for (let i = 0; i < 500; i++) {
    gate.notices.locked(lockNews(gate.clock, { identity: `client-${i}` }));
    if (i % 50 === 0) await gate.rest();
  }
  await gate.turn(MINUTE);
  expect(gate.mails.length).toBe(20);
  const together = "Further ones are told together, in one alert at 2026-11-21 13:00 UTC";
  for (const [n, { text }] of gate.mails.entries())
    expect(text.replaceAll("\n", " ").includes(together)).toBe(n === 19);
  expect(gate.alarms.get("lock alerts of example.test")).toStartWith("480 further locks were set");
  await gate.turn(HOUR);
  expect(gate.mails.length).toBe(21);
  expect(gate.alarms.size).toBe(0);
  expect(gate.ended).toEqual(["lock alerts of example.test"]);
  expect(gate.mails[20]?.subject).toBe("Locked: 480 further senders of example.test");
  expect(gate.mails[20]?.text).toContain("  and 430 more");
  gate.notices.locked(lockNews(gate.clock));
  await gate.rest();
  expect(gate.mails.length).toBe(22);
});

for (const graceful of [false, true])
  test(`locks that wait to be told outlive a ${graceful ? "stop" : "crash"}, and are told once`, async () => {
    await using gate = await openGate([domainWith(MAIL)]);
    for (let i = 0; i < 23; i++) {
      gate.notices.locked(lockNews(gate.clock, { identity: `client-${i}` }));
      await gate.rest();
    }
    await gate.restart({ graceful, afterMs: 20 * MINUTE });
    await gate.rest();
    expect(gate.alarms.has("lock alerts of example.test")).toBe(!graceful);
    if (!graceful) gate.notices.locked(lockNews(gate.clock, { identity: "client-23" }));
    await gate.turn(HOUR);
    expect(gate.mails.length).toBe(21);
    const { subject, text } = gate.mails[20] ?? { subject: "", text: "" };
    expect(subject).toBe(`Locked: ${graceful ? 3 : 4} further senders of example.test`);
    expect(text).toContain("name=client-22\n");
    expect(gate.alarms.size).toBe(0);
    await gate.restart();
    await gate.turn(2 * HOUR);
    expect(gate.mails.length).toBe(21);
  });

test("the flood of one domain leaves the alerts of another alone", async () => {
  await using gate = await openGate([domainWith(MAIL), domainWith(MAIL, "other.test")]);
  for (let i = 0; i < 30; i++) gate.notices.locked(lockNews(gate.clock, { identity: `client-${i}` }));
  gate.notices.locked(lockNews(gate.clock, { domain: "other.test" }));
  await gate.rest();
  expect(gate.mails.length).toBe(21);
  expect([...gate.alarms.keys()]).toEqual(["lock alerts of example.test"]);
});
