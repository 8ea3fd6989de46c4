// What outgoing control hears of delivery attempts.
import { expect, test } from "bun:test";
import type { Attempt, Deliverer } from "../../src/delivery/attempt.ts";
import type { Outcome } from "../../src/delivery/outcome.ts";
import { type AttemptCounts, watchedDeliverer } from "../../src/gateway/watched-deliverer.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";

const outcome = (n: number, what: Partial<Outcome>): Outcome => ({
  n,
  result: "failed",
  code: 550,
  enhanced: null,
  text: "",
  server: "mx.example.org [192.0.2.7]:25",
  tls: null,
  ...what,
});

const attempt: Attempt = {
  messageId: "m1",
  destination: { kind: "mx", key: "mx:example.org", domain: "example.org" },
  reversePath: "alice@example.test",
  recipients: [],
  message: new Uint8Array(),
  smtpUtf8: false,
  eightBit: false,
  requireTls: false,
  dsnRet: null,
  dsnEnvid: null,
};

async function told(outcomes: readonly Outcome[]): Promise<readonly AttemptCounts[]> {
  const heard: AttemptCounts[] = [];
  const deliverer: Deliverer = {
    attempt: async () => outcomes,
    answers: async () => true,
    capacity: () => 1,
    close: async () => {},
  };
  const watched = watchedDeliverer(deliverer, {
    metrics: createMetrics(),
    log: silentLog,
    onOutcomes(id, counts) {
      expect(id).toBe("m1");
      heard.push(counts);
      if (counts.unknown === 99) throw new Error("not counted");
    },
  });
  expect(await watched.attempt(attempt)).toBe(outcomes);
  return heard;
}

test("recipients that do not exist are told apart from other refusals, by code and without one", async () => {
  const counts = await told([
    outcome(1, { result: "delivered", code: 250, enhanced: "2.1.5" }),
    outcome(2, { enhanced: "5.1.1", text: "550 5.1.1 gone" }),
    outcome(3, { enhanced: "5.1.10", code: 556 }),
    outcome(4, { enhanced: "5.7.1", text: "550 5.7.1 user unknown to be good" }),
    outcome(5, { text: "550 No such user here" }),
    outcome(6, { code: 554, text: "554 unknown trouble" }),
    outcome(7, { result: "deferred", code: 450, enhanced: "4.1.1" }),
  ]);
  expect(counts).toEqual([{ delivered: 1, rejected: 5, unknown: 3 }]);
});

test("an attempt that settles nobody is not told of", async () => {
  expect(await told([outcome(1, { result: "deferred", code: null, text: "no connection" })])).toEqual([]);
});

test("an outcome that cannot be counted is an outcome all the same", async () => {
  const outcomes = Array.from({ length: 99 }, (_, n) => outcome(n, { enhanced: "5.1.1" }));
  expect(await told(outcomes)).toHaveLength(1);
});
