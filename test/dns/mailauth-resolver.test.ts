// The resolver in the shape mailauth asks for, against a real DNS server on loopback.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mailauthResolver } from "../../src/dns/mailauth-resolver.ts";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer } from "../dns-server.ts";

let server: DnsServer;
let resolver: StubResolver;
beforeAll(async () => {
  server = await startDnsServer({
    "example.test": {
      TXT: ["v=spf1 ip4:192.0.2.0/24 -all"],
      MX: [{ exchange: "mx.example.test", priority: 5 }],
    },
    "mx.example.test": { A: ["192.0.2.7"], AAAA: ["2001:db8::7"] },
    "alias.example.test": { CNAME: "mx.example.test" },
    "7.2.0.192.in-addr.arpa": { PTR: ["mx.example.test"] },
    "broken.example.test": { fail: "servfail" },
  });
  resolver = createResolver({ servers: [server.address], log: silentLog, timeoutMs: 1000 });
});
afterAll(async () => {
  resolver.close();
  await server.close();
});

test("the shapes of node's dns.promises.resolve", async () => {
  const resolve = mailauthResolver(resolver);
  expect(await resolve("example.test", "TXT")).toEqual([["v=spf1 ip4:192.0.2.0/24 -all"]]);
  expect(await resolve("example.test", "MX")).toEqual([{ exchange: "mx.example.test", priority: 5 }]);
  expect(await resolve("mx.example.test", "A")).toEqual(["192.0.2.7"]);
  expect(await resolve("mx.example.test", "AAAA")).toEqual(["2001:db8::7"]);
  expect(await resolve("alias.example.test", "CNAME")).toEqual(["mx.example.test"]);
  expect(await resolve("7.2.0.192.in-addr.arpa", "PTR")).toEqual(["mx.example.test"]);
});

test("ENODATA, ENOTFOUND and failures are told apart", async () => {
  const resolve = mailauthResolver(resolver);
  const codeOf = async (name: string, type: string): Promise<unknown> =>
    resolve(name, type).then(
      () => null,
      (error: { code?: unknown }) => error.code,
    );
  expect(await codeOf("example.test", "A")).toBe("ENODATA");
  expect(await codeOf("nobody.example.test", "TXT")).toBe("ENOTFOUND");
  expect(await codeOf("broken.example.test", "TXT")).toBe("ESERVFAIL");
  expect(await codeOf("hostile\u0000.test", "TXT")).toBe("ENOTFOUND");
  expect(await codeOf("nonsense.in-addr.arpa", "PTR")).toBe("ENOTFOUND");
});

test("a caller that sorts its list does not change the cache", async () => {
  const resolve = mailauthResolver(resolver);
  const first = await resolve("example.test", "MX");
  first.length = 0;
  expect(await resolve("example.test", "MX")).toHaveLength(1);
});
