// Forward-confirmed reverse names, by a real resolver against a real DNS server on loopback.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import { verifiedName } from "../../src/dns/verified-name.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer } from "../dns-server.ts";

let server: DnsServer;
let resolver: StubResolver;

beforeAll(async () => {
  server = await startDnsServer({
    "7.2.0.192.in-addr.arpa": { PTR: ["mail.example.org"] },
    "mail.example.org": { A: ["192.0.2.7"] },
    "8.2.0.192.in-addr.arpa": { PTR: ["bank.example.com"] },
    "bank.example.com": { A: ["192.0.2.200"] },
    "9.2.0.192.in-addr.arpa": { PTR: ["liar.example.net", "second.example.net"] },
    "second.example.net": { A: ["192.0.2.1", "192.0.2.9"] },
  });
  resolver = createResolver({ servers: [`127.0.0.1:${server.port}`], log: silentLog, timeoutMs: 1000 });
});
afterAll(async () => {
  resolver.close();
  await server.close();
});

const nameOf = (ip: string) => verifiedName(resolver, { ip, timeoutMs: 5000 });

test("a name that leads back to the address is believed", async () => {
  expect(await nameOf("192.0.2.7")).toBe("mail.example.org");
});

test("a name somebody else owns is not", async () => {
  expect(await nameOf("192.0.2.8")).toBeNull();
});

test("of several names the one that leads back counts", async () => {
  expect(await nameOf("192.0.2.9")).toBe("second.example.net");
});

test("no reverse name, and no answer in time, are both no name", async () => {
  expect(await nameOf("192.0.2.50")).toBeNull();
  const silent = { ...resolver, ptr: () => new Promise<never>(() => {}) };
  expect(await verifiedName(silent, { ip: "192.0.2.7", timeoutMs: 10 })).toBeNull();
});
