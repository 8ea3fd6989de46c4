// A long queue for one server: what is done to all of it is done in small steps, and everybody else's 250 comes between them.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Destination } from "../../src/delivery/route.ts";
import { systemClock } from "../../src/observe/clock.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import type { Statement } from "../../src/store/database.ts";
import { insertMessage, insertRecipient } from "../../src/store/spool-writing.ts";
import { Bench, mail, takes } from "./queue-kit.ts";

const ROWS = 10_000;
const OWN: Destination = {
  kind: "routes",
  key: "routes:example.org",
  routes: [{ host: "192.0.2.7", port: 25, priority: 10, tls: "none" }],
};
const NEWEST = "01k00000000000000000";
const BODY = Buffer.from(`Subject: x\r\n\r\n${"0123456789".repeat(300)}\r\n`);

let bench: Bench;
let queue: RunningQueue;
beforeEach(async () => {
  bench = await Bench.open();
  bench.destinationFor = () => OWN;
});
afterEach(async () => {
  await queue.close(0);
  await bench.close();
});

/** Mail that was put off by a server in trouble, its next try hours away, the oldest the furthest. */
async function fill(rows: number): Promise<void> {
  const now = Date.now();
  const lastOutcome = {
    n: 1,
    result: "deferred",
    code: 451,
    enhanced: "4.3.0",
    text: "451 4.3.0 not now",
    server: "mx",
    tls: null,
  } as const;
  for (let from = 0; from < rows; from += 1000) {
    const unit: Statement[] = [];
    for (let seq = from + 1; seq <= Math.min(rows, from + 1000); seq++) {
      const receivedAt = now - 7_200_000 + seq;
      const envelope = {
        reversePath: "a@example.test",
        smtpUtf8: false,
        eightBit: false,
        requireTls: false,
        dsnRet: null,
        dsnEnvid: null,
      };
      unit.push(
        insertMessage(
          {
            seq,
            id: `01h00000000000${String(seq).padStart(6, "0")}`,
            receivedAt,
            size: BODY.length,
            envelope,
            bodyFile: null,
          },
          BODY,
        ),
        insertRecipient(
          seq,
          {
            n: 1,
            state: "queued",
            address: "b@example.org",
            nextAttemptAt: now + 7_200_000 - seq,
            tries: 3,
            deadlineAt: now + 86_400_000,
            expiresAt: now + 86_400_000,
            lastOutcome,
            awaitsServer: true,
            detail: {
              destination: OWN,
              edits: [],
              sign: null,
              dsn: null,
              mayBounce: false,
              quarantine: null,
            },
          },
          null,
        ),
      );
    }
    await bench.spool.commit(unit);
  }
}

const ELSEWHERE: Destination = { kind: "mx", key: "mx:elsewhere.example", domain: "elsewhere.example" };

/** How many messages for somebody else were answered 250 while `work` went on, and the most rows that one statement changed. */
async function besides(
  work: Promise<unknown>,
): Promise<{ readonly accepted: number; readonly mostRows: number }> {
  const commit = bench.database.commit.bind(bench.database);
  let mostRows = 0;
  bench.database.commit = async (unit) => {
    const changed = await commit(unit);
    mostRows = Math.max(mostRows, ...changed);
    return changed;
  };
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  let accepted = 0;
  for (; !over; accepted++) {
    const id = `01j00000000000${String(accepted).padStart(6, "0")}`;
    const deliver = { kind: "deliver", destination: ELSEWHERE, edits: [] } as const;
    await queue.accept(mail({ id, now: Date.now(), disposition: () => deliver }));
    await Bun.sleep(1);
  }
  await ended;
  return { accepted, mostRows };
}

/** Looks no further than the first: a look at all would itself be what is to be avoided. */
async function anyAwaitsServer(): Promise<boolean> {
  const sql =
    "select 1 from recipient where state = 'queued' and awaits_server = 1 and destination_key = ? limit 1";
  return (await bench.database.query({ sql, params: [OWN.key] })).length > 0;
}

test("10,000 messages become due when mail goes through their server again, and nobody waits for it", async () => {
  queue = await bench.start({ clock: systemClock });
  await fill(ROWS);
  await queue.close(0);
  // The long queue is not to leave: what is measured is the hurry, not the delivery.
  bench.deliverer.script = (attempt, now) =>
    attempt.destination.key === OWN.key && attempt.messageId !== NEWEST
      ? new Promise(() => {})
      : takes(attempt, now);
  queue = await bench.start({ clock: systemClock });
  await queue.accept(
    mail({
      id: NEWEST,
      now: Date.now(),
      disposition: () => ({ kind: "deliver", destination: OWN, edits: [] }),
    }),
  );
  const due = (async () => {
    while (await anyAwaitsServer()) await Bun.sleep(20);
  })();
  const { accepted, mostRows } = await besides(due);
  expect(mostRows).toBeLessThanOrEqual(500);
  expect(accepted).toBeGreaterThan(20);
}, 110_000);
