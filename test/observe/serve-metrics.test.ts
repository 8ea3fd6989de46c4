// /metrics and /healthz over a real socket: the texts, the codes, and a port that is taken.
import { afterEach, expect, test } from "bun:test";
import { createMetrics } from "../../src/observe/metrics.ts";
import { type Health, serveMetrics } from "../../src/observe/serve-metrics.ts";
import { freePorts } from "../peers/run-command.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function serve(health: () => Health = () => ({ ok: true, problems: [] })) {
  const metrics = createMetrics();
  const { port } = await freePorts("port");
  stops.push(serveMetrics({ listen: `127.0.0.1:${port}`, registry: metrics.registry, health }));
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  return { metrics, port, get };
}

test("/metrics has every counter with its labels, and gauges read at that moment", async () => {
  const { metrics, get } = await serve();
  let connections = 3;
  metrics.gauge("connections", "Open SMTP connections", () => connections);
  metrics.gauge("queued_recipients", "Recipients that wait", () => Promise.resolve(7));
  metrics.message("accepted");
  metrics.message("accepted");
  metrics.message("refused");
  metrics.connection('a"b');
  metrics.delivery("delivered");
  metrics.login("failed");
  metrics.checkFailure("clamd");
  connections = 4;
  const answer = await get("/metrics");
  expect(answer.headers.get("content-type")).toStartWith("text/plain");
  const text = await answer.text();
  for (const line of [
    'gatepost_messages_total{outcome="accepted"} 2',
    'gatepost_messages_total{outcome="refused"} 1',
    'gatepost_connections_total{listener="a\\"b"} 1',
    'gatepost_deliveries_total{result="delivered"} 1',
    'gatepost_logins_total{result="failed"} 1',
    'gatepost_check_failures_total{check="clamd"} 1',
    "gatepost_connections 4",
    "gatepost_queued_recipients 7",
  ])
    expect(text.split("\n")).toContain(line);
  // The format's grammar: every line is empty, a comment, or a name with labels and a number.
  for (const line of text.split("\n"))
    expect(line).toMatch(/^$|^# (HELP|TYPE) gatepost_[a-z_]+ .+$|^gatepost_[a-z_]+(\{.+\})? -?\d+(\.\d+)?$/);
});

test("two sets of figures do not mix", async () => {
  const [one, two] = [await serve(), await serve()];
  one.metrics.message("accepted");
  expect(await (await two.get("/metrics")).text()).not.toContain('outcome="accepted"');
});

test("/healthz is 200, or 503 with what is wrong", async () => {
  let health: Health = { ok: true, problems: [] };
  const { get } = await serve(() => health);
  const well = await get("/healthz");
  expect([well.status, await well.json()]).toEqual([200, { ok: true, problems: [] }]);
  health = { ok: false, problems: ["There is no space for mail."] };
  const ill = await get("/healthz");
  expect([ill.status, await ill.json()]).toEqual([
    503,
    { ok: false, problems: ["There is no space for mail."] },
  ]);
});

test("anything else is refused in words", async () => {
  const { get } = await serve();
  expect((await get("/")).status).toBe(404);
  expect((await get("/metrics", { method: "POST", body: "x" })).status).toBe(405);
});

test("a port that is taken throws", async () => {
  const { port } = await serve();
  const { registry } = createMetrics();
  expect(() =>
    serveMetrics({ listen: `127.0.0.1:${port}`, registry, health: () => ({ ok: true, problems: [] }) }),
  ).toThrow();
});
