// Server addresses, the system’s list and reverse names.
import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOfReverseName, reverseName } from "../../src/dns/query-name.ts";
import { parseServerAddress, systemServers } from "../../src/dns/server-address.ts";

test("server addresses", () => {
  expect(parseServerAddress("192.0.2.53:5353")).toEqual({
    host: "192.0.2.53",
    port: 5353,
    family: 4,
    trusted: false,
  });
  expect(parseServerAddress("[::1]:53")).toEqual({ host: "::1", port: 53, family: 6, trusted: true });
  expect(parseServerAddress("[2001:db8::53]")).toMatchObject({ port: 53, trusted: false });
  expect(parseServerAddress("127.0.0.53")).toMatchObject({ port: 53, trusted: true });
  for (const bad of ["dns.example.test", "192.0.2.53:0", "192.0.2.53:70000", "", "192.0.2.300:53"]) {
    expect(parseServerAddress(bad)).toBeNull();
  }
});

test("the system's servers come from resolv.conf", async () => {
  const folder = await mkdtemp(join(tmpdir(), "resolv-"));
  const path = join(folder, "resolv.conf");
  await writeFile(path, "# comment\nsearch example.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
  expect(systemServers(path)).toEqual(["192.0.2.53", "[2001:db8::53]"]);
  await rm(folder, { recursive: true });
  expect(systemServers(path)).toEqual(["127.0.0.1"]);
});

test("reverse names and back", () => {
  expect(reverseName("192.0.2.7")).toBe("7.2.0.192.in-addr.arpa");
  expect(reverseName("::ffff:192.0.2.7")).toBe("7.2.0.192.in-addr.arpa");
  const name = reverseName("2001:db8::1") ?? "";
  expect(name.endsWith("8.b.d.0.1.0.0.2.ip6.arpa")).toBe(true);
  expect(addressOfReverseName(name)).toBe("2001:db8::1");
  expect(addressOfReverseName("7.2.0.192.in-addr.arpa.")).toBe("192.0.2.7");
  expect(addressOfReverseName("999.2.0.192.in-addr.arpa")).toBeNull();
});
