// The pool of scan workers: one round trip per message, and a worker that hangs or dies takes only its own message with it.
import { afterEach, expect, test } from "bun:test";
import type { ScanRequest } from "../../src/checks/scan-job.ts";
import { createScanPool, type ScanPool, type ScanPoolOptions } from "../../src/checks/scan-pool.ts";
import { silentLog } from "../../src/observe/log.ts";
import { message } from "../message/message-samples.ts";
import { small } from "../message/small-body.ts";
import { zoneResolve } from "./fake-dns.ts";

let pool: ScanPool | null = null;
afterEach(async () => {
  await pool?.close();
  pool = null;
});

function start(options: Partial<ScanPoolOptions> = {}): ScanPool {
  pool = createScanPool({ resolve: zoneResolve({}), log: silentLog, ...options });
  return pool;
}

function startBreaking(options: Partial<ScanPoolOptions> = {}): ScanPool {
  return start({
    newWorker: () => new Worker("./test/checks/breaking.worker.ts"),
    parseBudgetMs: 400,
    ...options,
  });
}

const client = {
  ip: "192.0.2.1",
  helo: "mail.example.org",
  sender: "alice@example.org",
  hostname: "gate.example.test",
};

function order(body: string, options: { readonly proven?: boolean } = {}): ScanRequest {
  const authentication = options.proven === true ? { client, wanted: ["spf", "dmarc"] as const } : null;
  const user = { key: "192.0.2.0/24", known: false };
  return {
    user,
    raw: message(["From: Alice <alice@example.org>"], body),
    content: ["structure"],
    authentication,
  };
}

test("a message is scanned and proven in one round trip, and the caller's bytes stay", async () => {
  const asked: string[] = [];
  const resolve = zoneResolve({ "TXT example.org": ["v=spf1 ip4:192.0.2.1 -all"] }, asked);
  const request = order("hello\r\n", { proven: true });
  const copy = Buffer.from(small(request.raw));
  const answer = start({ resolve }).scan(request);
  expect(new Map(await answer.parsed).get("structure")).toContainEqual({
    check: "structure",
    fact: "structure.parts",
    value: 1,
  });
  expect((await answer.authenticated).map(([name]) => name)).toEqual(["spf", "dmarc"]);
  expect(asked).toContain("TXT example.org");
  expect(copy.equals(small(request.raw))).toBe(true);
});

test("the same DNS question is asked of the main thread once in a burst", async () => {
  const asked: string[] = [];
  const running = start({ resolve: zoneResolve({}, asked), workers: 1 });
  await Promise.all(
    Array.from({ length: 20 }, () => running.scan(order("x\r\n", { proven: true })).authenticated),
  );
  expect(asked.filter((question) => question === "TXT example.org")).toHaveLength(1);
});

test.each([
  ["hangs", "hang", "took longer than 400 ms"],
  ["dies", "die", "it stopped"],
  ["throws", "throw", "broken on purpose"],
])("a worker that %s is replaced and only its message fails", async (_, body, words) => {
  const running = startBreaking({ workers: 1 });
  const bad = running.scan(order(body));
  const good = Array.from({ length: 5 }, () => running.scan(order("fine")).parsed);
  await expect(bad.parsed).rejects.toThrow(words);
  for (const answer of await Promise.all(good)) expect(answer).toHaveLength(1);
});

test("a neighbour that waits for DNS in a worker that hangs is tried again and succeeds", async () => {
  const running = startBreaking({ workers: 1 });
  const neighbours = Array.from({ length: 3 }, () => running.scan(order("fine", { proven: true })));
  for (const { parsed } of neighbours) await parsed;
  const bad = running.scan(order("hang"));
  await expect(bad.parsed).rejects.toThrow("had to be replaced");
  for (const { authenticated } of neighbours) expect(await authenticated).toEqual([["spf", []]]);
});

test("a worker stuck after parsing is found out, and the message fails", async () => {
  const running = startBreaking({ workers: 1, authenticationBudgetMs: 300 });
  const bad = running.scan(order("late-loop", { proven: true }));
  await expect(bad.authenticated).rejects.toThrow("took longer than 300 ms");
  expect(await running.scan(order("fine")).parsed).toHaveLength(1);
});

test("a sender that cannot be proven in time fails alone; a check's own failure is told", async () => {
  const running = startBreaking({ authenticationBudgetMs: 200 });
  const slow = running.scan(order("silent", { proven: true }));
  expect(await slow.parsed).toHaveLength(1);
  await expect(slow.authenticated).rejects.toThrow("took longer than 200 ms");
  await expect(running.scan(order("refuse")).parsed).rejects.toThrow("refused on purpose");
});

test("what waits is bounded in number and in time", async () => {
  // A user has at most what is left for the others, of what is not kept for known ones: two of these six.
  // The worker of a busy machine starts within the wait; the one that hangs is left alone for longer than that.
  const running = startBreaking({ workers: 1, maxQueued: 6, maxWaitMs: 1000, parseBudgetMs: 1200 });
  const first = running.scan(order("hang"));
  const waiting = running.scan(order("fine"));
  await expect(running.scan(order("fine")).parsed).rejects.toThrow("too many messages");
  const elsewhere = running.scan({ ...order("fine"), user: { key: "198.51.100.0/24", known: false } });
  await expect(elsewhere.parsed).rejects.toThrow("no scan worker was free");
  await expect(first.parsed).rejects.toThrow("took longer");
  await expect(waiting.parsed).rejects.toThrow("no scan worker was free");
  expect(await running.scan(order("fine")).parsed).toHaveLength(1);
});

test("what is in the workers is bounded in octets; a message larger than that is scanned alone", async () => {
  const running = startBreaking({ workers: 2, maxBytes: 10_000 });
  const order1 = running.scan(order("x".repeat(20_000), { proven: true }));
  const order2 = running.scan(order("fine"));
  let first = true;
  const second = order2.parsed.then(() => first);
  await order1.authenticated;
  first = false;
  expect(await second).toBe(false);
});

test("closing fails what is left", async () => {
  const running = startBreaking({ workers: 1 });
  const answers = [running.scan(order("hang")), running.scan(order("fine"))];
  await running.close();
  for (const { parsed } of answers) await expect(parsed).rejects.toThrow("stopping");
  await expect(running.scan(order("fine")).parsed).rejects.toThrow("stopping");
});
