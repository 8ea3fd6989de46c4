// The password of a smart host: what plan says about a server that has to prove nothing, or cannot.
import { describe, expect, test } from "bun:test";
import { crossCheck } from "../../src/policy/cross-check.ts";
import { DEFAULT_ITEMS, policyOf } from "../../src/policy/policy-document.ts";
import { deliverySchema } from "../../src/policy/schema.ts";

function warningsOf(smarthost: object): readonly string[] {
  const policy = { ...policyOf(DEFAULT_ITEMS), delivery: deliverySchema.parse({ smarthost }) };
  return crossCheck(policy, new Map()).warnings.filter((words) => words.startsWith("delivery:"));
}

const LOGIN = { user: "u", password: "p" };

describe("plan", () => {
  test.each([
    ["a name and TLS", { host: "smart.example.org", ...LOGIN }, []],
    ["no login", { host: "192.0.2.1", tls: "none" }, []],
    ["this machine", { host: "127.0.0.1", tls: "none", ...LOGIN }, []],
    ["this machine by IPv6", { host: "[::1]", tls: "none", ...LOGIN }, []],
    ["clear text", { host: "smart.example.org", tls: "none", ...LOGIN }, ["tls is none"]],
    ["an address", { host: "192.0.2.1", ...LOGIN }, ["must name that address"]],
    [
      "allowed",
      { host: "smart.example.org", allow_unverified_tls: true, ...LOGIN },
      ["whoever answers in place of"],
    ],
  ] as const)("%s", (_, smarthost, wanted) => {
    const warnings = warningsOf(smarthost);
    expect(warnings).toHaveLength(wanted.length);
    for (const [n, words] of wanted.entries()) expect(warnings[n]).toContain(words);
  });
});
