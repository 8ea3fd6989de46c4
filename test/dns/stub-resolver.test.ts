// The stub resolver against an honest DNS server: answers, caching, sharing, several servers.
import { afterEach, describe, expect, test } from "bun:test";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer, type Zone } from "../dns-server.ts";

const ZONE: Zone = {
  "mail.example.test": { A: ["192.0.2.1", "192.0.2.2"], AAAA: ["2001:db8::1"] },
  "example.test": {
    MX: [
      { exchange: "b.example.test", priority: 20 },
      { exchange: "A.example.test", priority: 10 },
    ],
    TXT: ["v=spf1 -all", `long=${"x".repeat(600)}`],
  },
  "null.example.test": { MX: [{ exchange: ".", priority: 0 }] },
  "alias.example.test": { CNAME: "mail.example.test" },
  "to-nowhere.example.test": { CNAME: "gone.example.test" },
  "to-nodata.example.test": { CNAME: "example.test" },
  "loop-a.example.test": { CNAME: "loop-b.example.test" },
  "loop-b.example.test": { CNAME: "loop-a.example.test" },
  "broken.example.test": { fail: "servfail" },
  "refused.example.test": { fail: "refused" },
  "silent.example.test": { fail: "silent" },
  "secure.example.test": { A: ["192.0.2.9"], ad: true },
  "1.2.0.192.in-addr.arpa": { PTR: ["mail.example.test"] },
  "huge.example.test": { TXT: Array.from({ length: 12 }, (_, n) => `${n}=${"y".repeat(1000)}`) },
};

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

async function setUp(options: { timeoutMs?: number; clock?: Clock } = {}): Promise<{
  readonly server: DnsServer;
  readonly resolver: StubResolver;
}> {
  const server = await startDnsServer(ZONE);
  const resolver = createResolver({ servers: [server.address], log: silentLog, timeoutMs: 2000, ...options });
  open.push(resolver, server);
  return { server, resolver };
}

/** A clock that only moves when told to. */
function handClock(): Clock & { advance(ms: number): void } {
  let now = 1_000_000;
  return {
    now: () => now,
    after: () => () => {},
    advance: (ms) => {
      now += ms;
    },
  };
}

describe("answers", () => {
  test("A, AAAA, MX, TXT and PTR", async () => {
    const { resolver } = await setUp();
    expect(await resolver.a("Mail.Example.Test.")).toEqual({
      ok: true,
      records: ["192.0.2.1", "192.0.2.2"],
      authenticated: false,
    });
    expect(await resolver.aaaa("mail.example.test")).toMatchObject({ ok: true, records: ["2001:db8::1"] });
    expect(await resolver.mx("example.test")).toMatchObject({
      records: [
        { exchange: "b.example.test", priority: 20 },
        { exchange: "a.example.test", priority: 10 },
      ],
    });
    expect(await resolver.txt("example.test")).toMatchObject({
      records: ["v=spf1 -all", `long=${"x".repeat(600)}`],
    });
    expect(await resolver.ptr("192.0.2.1")).toMatchObject({ records: ["mail.example.test"] });
    expect(await resolver.mx("null.example.test")).toMatchObject({
      records: [{ exchange: "", priority: 0 }],
    });
    expect(await resolver.cname("alias.example.test")).toMatchObject({ records: ["mail.example.test"] });
  });

  test("NODATA, NXDOMAIN and SERVFAIL are told apart", async () => {
    const { resolver } = await setUp();
    expect(await resolver.aaaa("example.test")).toMatchObject({ ok: false, failure: "nodata" });
    expect(await resolver.a("nobody.example.test")).toMatchObject({ ok: false, failure: "nxdomain" });
    expect(await resolver.a("broken.example.test")).toMatchObject({ ok: false, failure: "servfail" });
    expect(await resolver.a("refused.example.test")).toMatchObject({ ok: false, failure: "servfail" });
  });

  test("CNAMEs are followed to records, to nothing, and not in circles", async () => {
    const { resolver } = await setUp();
    expect(await resolver.a("alias.example.test")).toMatchObject({
      ok: true,
      records: ["192.0.2.1", "192.0.2.2"],
    });
    expect(await resolver.a("to-nowhere.example.test")).toMatchObject({ failure: "nxdomain" });
    expect(await resolver.a("to-nodata.example.test")).toMatchObject({ failure: "nodata" });
    expect(await resolver.a("loop-a.example.test")).toMatchObject({ failure: "servfail" });
  });

  test("a long answer comes over TCP", async () => {
    const { resolver, server } = await setUp();
    const answer = await resolver.txt("huge.example.test");
    expect(answer.ok && answer.records.length).toBe(12);
    expect(server.asked).toEqual(["huge.example.test TXT udp", "huge.example.test TXT tcp"]);
  });

  test("AD is believed from a loopback server", async () => {
    const { resolver } = await setUp();
    expect(await resolver.a("secure.example.test")).toMatchObject({ authenticated: true });
  });

  test("IP literals and localhost answer themselves", async () => {
    const { resolver, server } = await setUp();
    expect(await resolver.a("192.0.2.55")).toMatchObject({ records: ["192.0.2.55"] });
    expect(await resolver.aaaa("192.0.2.55")).toMatchObject({ failure: "nodata" });
    expect(await resolver.aaaa("[2001:db8::5]")).toMatchObject({ records: ["2001:db8::5"] });
    expect(await resolver.a("localhost")).toMatchObject({ records: ["127.0.0.1"] });
    expect(server.asked).toEqual([]);
  });

  test("names that cannot be names are not asked", async () => {
    const { resolver, server } = await setUp();
    const hostile = [
      "a\u0000b.test",
      "b.test ",
      `${"x".repeat(64)}.test`,
      `${"a.".repeat(127)}toolong`,
      "",
      "a..b",
      ".",
      "\r\n",
    ];
    for (const name of hostile) expect(await resolver.txt(name)).toMatchObject({ failure: "nxdomain" });
    expect(await resolver.ptr("not an address")).toMatchObject({ failure: "nxdomain" });
    expect(server.asked).toEqual([]);
  });
});

describe("keeping and sharing", () => {
  test("answers and noes are kept for their TTL", async () => {
    const clock = handClock();
    const { resolver, server } = await setUp({ clock });
    for (let n = 0; n < 3; n++) {
      await resolver.a("mail.example.test");
      await resolver.a("nobody.example.test");
    }
    expect(server.asked.length).toBe(2);
    clock.advance(61_000);
    await resolver.a("mail.example.test");
    await resolver.a("nobody.example.test");
    expect(server.asked.length).toBe(4);
  });

  test("equal questions at one time are one question", async () => {
    const { resolver, server } = await setUp();
    const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.mx("example.test")));
    expect(new Set(answers).size).toBe(1);
    expect(server.asked.length).toBe(1);
  });

  test("a thousand different questions are answered with a hundred in flight", async () => {
    const { resolver, server } = await setUp({ timeoutMs: 8000 });
    let inFlight = 0;
    let most = 0;
    server.answerWith(() => {
      inFlight++;
      most = Math.max(most, inFlight);
      queueMicrotask(() => inFlight--);
      return null;
    });
    const names = Array.from({ length: 1000 }, (_, n) => `n${n}.example.test`);
    const answers = await Promise.all(names.map((name) => resolver.a(name)));
    expect(answers.every((answer) => !answer.ok && answer.failure === "nxdomain")).toBe(true);
    expect(most).toBeLessThanOrEqual(100);
  });

  test("too many waiting questions fail at once instead of piling up", async () => {
    const { resolver, server } = await setUp({ timeoutMs: 400 });
    server.answerWith(() => []);
    const failed: number[] = [];
    const ask = async (n: number): Promise<void> => {
      const answer = await resolver.a(`n${n}.example.test`);
      if (!answer.ok && answer.failure === "servfail") failed.push(n);
    };
    await Promise.all(Array.from({ length: 2500 }, (_, n) => ask(n)));
    expect(failed).toHaveLength(2500);
    // A hundred are asked and two thousand wait: the last are refused before any of those has run out of time.
    const last = Array.from({ length: 400 }, (_, n) => 2100 + n);
    expect(failed.slice(0, 400).toSorted((a, b) => a - b)).toEqual(last);
  }, 20_000);
});

test("hundreds of questions about dead names do not keep others waiting for their whole time", async () => {
  const { resolver, server } = await setUp({ timeoutMs: 2000 });
  server.answerWith((query) => (query.questions?.[0]?.name.toLowerCase().includes("dead") ? [] : null));
  const dead = Array.from({ length: 300 }, (_, n) => resolver.txt(`n${n}.dead.example.org`));
  const startedAt = performance.now();
  expect(await resolver.a("mail.example.test")).toMatchObject({ ok: true });
  // Three hundred of them take a place for a fifth of their time, a hundred at once.
  expect(performance.now() - startedAt).toBeLessThan(1800);
  expect((await Promise.all(dead)).every((answer) => !answer.ok)).toBe(true);
}, 20_000);

describe("servers", () => {
  test("the second server is asked when the first is down or refuses", async () => {
    const good = await startDnsServer(ZONE);
    const bad = await startDnsServer({ "mail.example.test": { fail: "servfail" } });
    const resolver = createResolver({
      servers: ["127.0.0.1:9", bad.address, good.address],
      log: silentLog,
      timeoutMs: 2000,
    });
    open.push(resolver, good, bad);
    expect(await resolver.a("mail.example.test")).toMatchObject({ ok: true });
    expect(bad.asked.length).toBe(1);
  });

  test("a silent server costs the time-out and no more", async () => {
    const { resolver, server } = await setUp({ timeoutMs: 500 });
    const startedAt = performance.now();
    const answer = await resolver.a("silent.example.test");
    expect(answer).toMatchObject({ ok: false, failure: "servfail" });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(server.asked.length).toBe(3);
  });

  test("a server that is no address is refused with words", () => {
    expect(() => createResolver({ servers: ["dns.example.test:53"], log: silentLog })).toThrow(
      'DNS server "dns.example.test:53" is not an IP address',
    );
  });

  test("closing answers what is under way", async () => {
    const { resolver } = await setUp({ timeoutMs: 5000 });
    const pending = resolver.a("silent.example.test");
    await Bun.sleep(20);
    const startedAt = performance.now();
    resolver.close();
    expect(await pending).toMatchObject({ failure: "servfail" });
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
