// Routes, smart hosts and password servers that are the gateway's own listeners are told when they are set.
import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { crossCheck } from "../../src/policy/cross-check.ts";
import { trialPolicy } from "../listener/trial-gateway.ts";

const LISTENERS = [
  { name: "mx", listen: "0.0.0.0:25" },
  { name: "inside", listen: "10.9.0.1:587" },
  { name: "six", listen: "[2001:db8::1]:26" },
  { name: "off", listen: "0.0.0.0:2525", enabled: false },
];
const HERE = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

function warnings(parts: { readonly domain?: object; readonly delivery?: object }): readonly string[] {
  const policy = trialPolicy({
    listener: LISTENERS,
    domain: [{ name: "acme.test", ...parts.domain }],
    delivery: parts.delivery ?? {},
  });
  return crossCheck(policy, new Map()).warnings.filter((words) => words.includes("own listener"));
}

const CASES: readonly (readonly [host: string, port: number, listener: string | null])[] = [
  ["127.0.0.1", 25, "mx"],
  ["127.8.0.1", 25, "mx"],
  ["localhost", 25, "mx"],
  ["LocalHost", 25, "mx"],
  ["[127.0.0.1]", 25, "mx"],
  ["::ffff:127.0.0.1", 25, "mx"],
  ["10.9.0.1", 587, "inside"],
  ["[10.9.0.1]", 587, "inside"],
  ["[IPv6:2001:db8::1]", 26, "six"],
  ["2001:DB8:0:0::1", 26, "six"],
  ...(HERE === undefined ? [] : [[HERE, 25, "mx"] as const]),
  ["127.0.0.1", 26, null],
  ["127.0.0.1", 587, null],
  ["127.0.0.1", 2525, null],
  ["10.9.0.2", 587, null],
  ["10.9.0.1", 25, null],
  ["2001:db8::2", 26, null],
  ["mail.acme.test", 25, null],
];
test.each(CASES)("%s port %d: %p", (host, port, listener) => {
  const answers = [
    warnings({ domain: { routes: [{ host, port }] } }),
    warnings({ delivery: { smarthost: { host, port } } }),
    warnings({ domain: { outgoing: { password_server: { protocol: "smtp", host, port } } } }),
  ];
  for (const words of answers)
    expect(words).toEqual(listener === null ? [] : [expect.stringContaining(`own listener ${listener}: `)]);
});
