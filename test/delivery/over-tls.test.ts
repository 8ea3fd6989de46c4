// A destination that is never without TLS: which policy each kind of it gets, and that it shares no way with the plain one.
import { expect, test } from "bun:test";
import { resolveHosts, routeKeys } from "../../src/delivery/resolve-hosts.ts";
import { type Destination, overTls, type TlsPolicy } from "../../src/delivery/route.ts";
import { createResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";

const mx: Destination = { kind: "mx", key: "mx:[192.0.2.1]", domain: "[192.0.2.1]" };
const routes = (...tls: readonly TlsPolicy[]): Destination => ({
  kind: "routes",
  key: "routes:example.test",
  routes: tls.map((one, priority) => ({ host: "192.0.2.1", port: 25, priority, tls: one })),
});

test("routes are raised to TLS, never lowered", () => {
  const raised = overTls(routes("none", "opportunistic", "required", "verified", "implicit"));
  expect(raised.key).toBe("routes:example.test over TLS");
  expect(raised.kind === "routes" && raised.routes.map(({ tls }) => tls)).toEqual([
    "required",
    "required",
    "required",
    "verified",
    "implicit",
  ]);
  expect(overTls(raised)).toBe(raised);
});

test("mail servers found by MX too", async () => {
  // An address literal is its own mail server: nothing is looked up.
  const resolver = createResolver({ servers: ["127.0.0.1:9"], log: silentLog });
  const hosts = async (destination: Destination, mxTls: TlsPolicy) => {
    const found = await resolveHosts(destination, {
      resolver,
      hostname: "gate.example.test",
      mxTls,
      mxPort: 25,
    });
    return "result" in found ? found.words : found.map(({ tls, routeKey }) => `${tls} ${routeKey}`);
  };
  expect(await hosts(mx, "opportunistic")).toEqual(["opportunistic mx|opportunistic"]);
  for (const weak of ["none", "opportunistic"] as const) {
    expect(await hosts(overTls(mx), weak)).toEqual(["required mx|required"]);
    expect(routeKeys(overTls(mx), weak)).toEqual(["mx|required"]);
  }
  expect(await hosts(overTls(mx), "verified")).toEqual(["verified mx|verified"]);
  expect(routeKeys(mx, "opportunistic")).toEqual(["mx|opportunistic"]);
  await resolver.close();
});
