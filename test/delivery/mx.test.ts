// Where mail goes: MX and its exceptions, by the product's own resolver against a real DNS server.
import { afterEach, describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import type { Deliverer } from "../../src/delivery/attempt.ts";
import { byPriority, judgeMxAddress, mxAddresses } from "../../src/delivery/resolve-hosts.ts";
import type { Destination } from "../../src/delivery/route.ts";
import { createResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer, type Zone } from "../dns-server.ts";
import { attemptFor, makeDeliverer, SHORT } from "./deliverer-fixture.ts";
import { type ScriptedPeer, startScriptedPeer, usualServer } from "./scripted-peer.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface Fixture {
  readonly peer: ScriptedPeer;
  readonly dns: DnsServer;
  readonly deliverer: Deliverer;
}

/** A peer, a zone and a deliverer whose MX port is the peer's. */
async function setUp(zone: Zone, options: { readonly onlyStrangers?: boolean } = {}): Promise<Fixture> {
  const peer = await startScriptedPeer(usualServer());
  const dns = await startDnsServer(zone);
  const resolver = createResolver({ servers: [dns.address], log: silentLog, timeoutMs: 600 });
  const deliverer = makeDeliverer({
    resolver,
    timeouts: SHORT,
    connectTimeoutMs: 300,
    ...(options.onlyStrangers === true ? {} : { mxPort: peer.port }),
  });
  open.push(
    () => deliverer.close(200),
    () => resolver.close(),
    () => dns.close(),
    () => peer.close(),
  );
  return { peer, dns, deliverer };
}

function mx(domain: string): Destination {
  return { kind: "mx", key: domain, domain };
}

const LOCAL = { A: ["127.0.0.1"] };

describe("by MX", () => {
  test("the best server that is up", async () => {
    const { deliverer, peer } = await setUp({
      "example.test": {
        MX: [
          { exchange: "backup.example.test", priority: 20 },
          { exchange: "main.example.test", priority: 10 },
        ],
      },
      "main.example.test": LOCAL,
      "backup.example.test": { A: ["127.0.0.2"] },
    });
    const [outcome] = await deliverer.attempt(attemptFor(mx("example.test")));
    expect(outcome).toMatchObject({
      result: "delivered",
      server: `main.example.test [127.0.0.1]:${peer.port}`,
    });
  });

  test("the next one when the best is down", async () => {
    const { deliverer, peer } = await setUp({
      "example.test": {
        MX: [
          { exchange: "down.example.test", priority: 10 },
          { exchange: "gone.example.test", priority: 15 },
          { exchange: "up.example.test", priority: 20 },
        ],
      },
      // Nobody listens on the peer's port there.
      "down.example.test": { A: ["127.0.0.3"] },
      "up.example.test": LOCAL,
    });
    const [outcome] = await deliverer.attempt(attemptFor(mx("example.test")));
    expect(outcome).toMatchObject({
      result: "delivered",
      server: `up.example.test [127.0.0.1]:${peer.port}`,
    });
  });

  test("the domain itself when it has no MX", async () => {
    const { deliverer, peer } = await setUp({ "example.test": LOCAL });
    const [outcome] = await deliverer.attempt(attemptFor(mx("example.test")));
    expect(outcome).toMatchObject({ result: "delivered", server: `example.test [127.0.0.1]:${peer.port}` });
  });

  test("an address literal", async () => {
    const { deliverer } = await setUp({});
    const [outcome] = await deliverer.attempt(attemptFor(mx("[127.0.0.1]")));
    expect(outcome?.result).toBe("delivered");
  });

  test("one lookup for many messages over one connection", async () => {
    const { deliverer, dns, peer } = await setUp({ "example.test": LOCAL });
    for (let n = 0; n < 5; n++) await deliverer.attempt(attemptFor(mx("example.test")));
    expect(dns.asked.length).toBe(3);
    expect(peer.connections()).toBe(1);
  });
});

describe("no server", () => {
  const LOOP: Zone = {
    "looping.test": { MX: [{ exchange: "Gate.Example.Com", priority: 10 }] },
    "behind-us.test": {
      MX: [
        { exchange: "gate.example.com", priority: 10 },
        { exchange: "worse.example.test", priority: 20 },
      ],
    },
    "gate.example.com": LOCAL,
    "worse.example.test": LOCAL,
  };
  for (const [what, zone, domain, result, enhanced, words] of [
    [
      "null MX",
      { "null.test": { MX: [{ exchange: ".", priority: 0 }] } },
      "null.test",
      "failed",
      "5.1.10",
      "takes no mail",
    ],
    ["no such domain", {}, "nowhere.test", "failed", "5.1.2", "does not exist"],
    [
      "DNS is broken",
      { "broken.test": { fail: "servfail" } },
      "broken.test",
      "deferred",
      "4.4.3",
      "cannot be looked up",
    ],
    [
      "DNS is silent",
      { "silent.test": { fail: "silent" } },
      "silent.test",
      "deferred",
      "4.4.3",
      "cannot be looked up",
    ],
    [
      "MX without an address",
      { "x.test": { MX: [{ exchange: "y.test", priority: 1 }] } },
      "x.test",
      "failed",
      "5.4.4",
      "no address",
    ],
    [
      "no MX and no address",
      { "empty.test": { TXT: ["hello"] } },
      "empty.test",
      "failed",
      "5.4.4",
      "no address",
    ],
    [
      "an address that cannot be looked up now",
      { "x.test": { MX: [{ exchange: "y.test", priority: 1 }] }, "y.test": { fail: "servfail" } },
      "x.test",
      "deferred",
      "4.4.3",
      "no address",
    ],
    ["MX to ourselves", LOOP, "looping.test", "failed", "5.4.6", "come back to this gateway"],
    ["MX behind ourselves", LOOP, "behind-us.test", "failed", "5.4.6", "come back to this gateway"],
    ["hostile domain", {}, "a\u0000b\r\nevil.test", "failed", "5.1.2", "does not exist"],
  ] as const) {
    test(`${what}: ${result}`, async () => {
      const { deliverer, peer } = await setUp(zone);
      const [outcome] = await deliverer.attempt(attemptFor(mx(domain)));
      expect(outcome).toMatchObject({ result, enhanced, code: null, server: null });
      expect(outcome?.text).toContain(words);
      // A domain of this gateway without a server of its own: what came in for it waits.
      const [own] = await deliverer.attempt(attemptFor({ kind: "mx", key: domain, domain, ours: true }));
      expect(own).toMatchObject({ result: "deferred", code: null });
      expect(own?.text).toContain("No mail server is set for");
      expect(outcome?.text).not.toMatch(/[\u0000-\u001f]/);
      expect(peer.connections()).toBe(0);
    });
  }

  test("a stranger's MX may not point at this machine", async () => {
    const { deliverer } = await setUp(
      { "sly.test": { A: ["127.0.0.1", "0.0.0.0"], AAAA: ["::1"] } },
      { onlyStrangers: true },
    );
    const [outcome] = await deliverer.attempt(attemptFor(mx("sly.test")));
    expect(outcome).toMatchObject({ result: "failed", enhanced: "5.4.4" });
    expect(judgeMxAddress("192.0.2.1")).toBe("fine");
    for (const address of [
      "127.9.9.9",
      "::1",
      "::ffff:127.0.0.1",
      "0.0.0.0",
      "::",
      "224.0.0.1",
      "255.255.255.255",
      "x",
    ]) {
      expect(judgeMxAddress(address)).toBe("never");
    }
  });

  test("a stranger's MX that is this machine's own address is a loop, for worse servers too", () => {
    const own = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find((entry) => !entry.internal && judgeMxAddress(entry.address) !== "never");
    if (own === undefined) {
      console.warn("SKIPPED: this machine has no address but loopback");
      return;
    }
    expect(mxAddresses("mx.example.test", ["192.0.2.1", own.address])).toMatchObject({
      enhanced: "5.4.6",
      stop: true,
    });
    expect(mxAddresses("mx.example.test", ["192.0.2.1", "127.0.0.1"])).toEqual(["192.0.2.1"]);
    // The same address as a stranger's AAAA record may write it.
    const other = own.family === "IPv4" ? `::ffff:${own.address}` : own.address.toUpperCase();
    expect(judgeMxAddress(other)).toBe("ours");
  });

  test("a route that is not set, and a route whose name is gone, wait for the administrator", async () => {
    const { deliverer } = await setUp({});
    const none: Destination = { kind: "routes", key: "example.test", routes: [] };
    expect((await deliverer.attempt(attemptFor(none)))[0]).toMatchObject({
      result: "deferred",
      enhanced: "4.3.5",
    });
    const gone: Destination = {
      kind: "routes",
      key: "example.test",
      routes: [{ host: "mail.gone.test", port: 25, priority: 1, tls: "none" }],
    };
    expect((await deliverer.attempt(attemptFor(gone)))[0]).toMatchObject({
      result: "deferred",
      enhanced: "4.4.3",
    });
  });

  test("a thousand mail servers are not all tried", async () => {
    const MX = Array.from({ length: 60 }, (_, n) => ({ exchange: `m${n}.many.test`, priority: n }));
    const hosts = MX.map(({ exchange }) => [exchange, { A: ["127.0.0.3"] }] as const);
    const { deliverer, dns } = await setUp({ "many.test": { MX }, ...Object.fromEntries(hosts) });
    const [outcome] = await deliverer.attempt(attemptFor(mx("many.test")));
    expect(outcome?.result).toBe("deferred");
    expect(dns.asked.length).toBeLessThan(50);
  });
});

test("equal priorities are shuffled, others kept in order", () => {
  const list = [30, 10, 10, 10, 20].map((priority, id) => ({ priority, id }));
  const orders = new Set<string>();
  for (let n = 0; n < 200; n++) {
    const sorted = byPriority(list);
    expect(sorted.map((one) => one.priority)).toEqual([10, 10, 10, 20, 30]);
    orders.add(sorted.map((one) => one.id).join());
  }
  expect(orders.size).toBe(6);
});

test("the resolver's IPv6 addresses are used too", async () => {
  const { deliverer } = await setUp({ "six.test": { AAAA: ["::1"], A: ["127.0.0.1"] } });
  const [outcome] = await deliverer.attempt(attemptFor(mx("six.test")));
  expect(outcome?.result).toBe("delivered");
});
