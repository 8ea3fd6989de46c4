// Mail of our own: alerts, reports, links. Durable, null reverse-path, one recipient, in the log, never answered by a notice.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { MailAddress } from "../../src/message/address.ts";
import type { OwnMail } from "../../src/queue/queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { small } from "../message/small-body.ts";
import { failureOf } from "../store/temporary-database.ts";
import { Bench, byMx, DAY, HOUR, isDown, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const TEXT =
  "From: <postmaster@gate.example.test>\r\nTo: <it@example.org>\r\nSubject: Locked\r\nMessage-ID: <alert1@gate.example.test>\r\n\r\nalice is locked.\r\n";

function alert(to = "it@example.org"): OwnMail {
  return {
    to: to as MailAddress,
    message: new TextEncoder().encode(TEXT),
    smtpUtf8: false,
    eightBit: false,
    subject: "Locked",
    headerFrom: "<postmaster@gate.example.test>",
    words: "alert about alice@example.test",
  };
}

test("it leaves with the null reverse-path and stands in the log with what it is about", async () => {
  const queue = await bench.start();
  const id = await queue.send(alert());
  await bench.run(1000);
  const [attempt] = bench.deliverer.delivered().map((seen) => seen.attempt);
  expect(attempt).toMatchObject({ messageId: id, reversePath: "", destination: byMx("it@example.org") });
  expect(attempt?.recipients).toEqual([{ n: 1, address: "it@example.org", dsn: null }]);
  expect(small(attempt?.message).toString()).toBe(TEXT);
  expect(bench.states(id)).toEqual(["delivered"]);
  const [event] = bench.events;
  expect(event?.kind === "message" ? event.record : null).toMatchObject({
    id,
    subject: "Locked",
    headerMessageId: "<alert1@gate.example.test>",
    reply: "250 2.0.0 Own mail: alert about alice@example.test",
    recipients: [{ n: 1, address: "it@example.org", direction: "outbound", state: "queued" }],
  });
});

test("it is kept before the promise resolves: a crash right after loses nothing", async () => {
  bench.deliverer.script = isDown;
  const id = await (await bench.start()).send(alert());
  await bench.crash();
  bench.deliverer.script = takes;
  await bench.start();
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual([id]);
});

test("a full disk rejects it, and nothing is kept", async () => {
  const queue = await bench.start();
  bench.beforeCommit = async () => {
    throw new StoreError("disk-full", "no space");
  };
  expect((await failureOf(queue.send(alert()))).kind).toBe("disk-full");
  bench.beforeCommit = async () => {};
  await bench.run(DAY);
  expect(bench.deliverer.seen).toEqual([]);
  expect(bench.alarms.some(({ name }) => name === "disk-full")).toBe(true);
});

test("when it cannot be delivered nobody is told: there is nobody", async () => {
  bench.deliverer.script = refuses;
  const queue = await bench.start();
  const id = await queue.send(alert());
  await bench.run(DAY);
  expect(bench.deliverer.seen.length).toBe(1);
  // It is kept where a person sees it.
  expect(bench.states(id)).toEqual(["quarantined"]);
  expect(bench.filed.map(({ undeliverable }) => undeliverable?.answer)).toEqual(["550 5.1.1 No such user"]);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
});

test("an address of ours is internal, and a policy that breaks does not keep it from leaving", async () => {
  bench.destinationFor = (address) => {
    if (address === "it@broken.test") throw new Error("no route");
    return { kind: "routes", key: "routes:one", routes: [] };
  };
  const queue = await bench.start();
  await queue.send(alert("it@example.test"));
  await queue.send(alert("it@broken.test"));
  await bench.run(1000);
  const keys = bench.deliverer.seen.map(({ attempt }) => attempt.destination.key);
  expect(keys.toSorted()).toEqual(["mx:broken.test", "routes:one"]);
  const directions = bench.events.flatMap((event) =>
    event.kind === "message" ? event.record.recipients.map(({ direction }) => direction) : [],
  );
  expect(directions).toEqual(["internal", "outbound"]);
});
