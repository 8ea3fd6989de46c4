// Documents nobody should send: every one is answered with problems, quickly, and nothing of them sticks anywhere.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PlanResult } from "../../src/policy/settings.ts";
import { processorMs } from "../message/processor-time.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const settings = await settingsOn(new MemoryStore());

async function refused(document: unknown): Promise<readonly string[]> {
  const before = settings.current();
  const result: PlanResult = await settings.apply(document, { prune: true, actor: TESTER });
  expect(settings.current()).toBe(before);
  if (result.ok) throw new Error("accepted");
  return result.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("wrong kinds", () => {
  test.each([null, undefined, 7, "text", true, [], [[]], new Date(0)])("%p", async (document) => {
    expect(await refused(document)).toEqual([": the policy must be a table of sections such as [[domain]]"]);
  });
  test.each([
    [{ domain: {} }, "domain: must be a list: write [[domain]] before each of its items"],
    [{ domain: ["example.test"] }, 'domain[0]: is "example.test"; it must be a table of settings'],
    [{ domain: [null] }, "domain[0]: is null; it must be a table of settings"],
    [{ domain: [{}] }, "domain[0].name: is missing; give text in quotes"],
    [{ domain: [{ name: 5 }] }, "domain[0].name: is 5; it must be text in quotes"],
    [
      { domain: [{ name: "-bad-.test" }] },
      'domain[0].name: "-bad-.test" is not a domain name; write it like example.org',
    ],
    [
      { domain: [{ name: "a.test", routes: [{ host: "x", port: 0 }] }] },
      "domain[0].routes[0].port: is 0; it must be at least 1",
    ],
    [{ networks: [] }, "networks: must be a table: write [networks]"],
    [{ networks: { trusted: "10.0.0.0/8" } }, 'networks.trusted: is "10.0.0.0/8"; it must be a list in [ ]'],
    [
      { networks: { trusted: ["10.0.0.0/99"] } },
      'networks.trusted[0]: "10.0.0.0/99" is not an IP address or range',
    ],
    [
      { sender: [{ login: "a@a.test", domain: "a.test", password: 5 }] },
      "sender[0].password: must be text in quotes",
    ],
    [
      { sender: [{ kind: "ip", domain: "a.test" }] },
      'sender[0].range: a sender of kind "ip" needs range, like 192.0.2.0/28',
    ],
    [
      { sender: [{ kind: "user", domain: "a.test" }] },
      'sender[0].login: a sender of kind "user" needs login, a mail address',
    ],
    [
      { sender: [{ kind: "domain", range: "192.0.2.1", domain: "a.test" }] },
      'sender[0].range: does not belong to a sender of kind "domain"; leave it out',
    ],
    [
      { listener: [{ name: "a", listen: "25" }] },
      'listener[0].listen: "25" is not an address with a port; write it like "0.0.0.0:25" or "[::]:25"',
    ],
    [
      { listener: [{ name: "a", listen: "x:25", tls: "starttsl" }] },
      'it must be one of none, starttls, starttls-required, implicit; did you mean "starttls"?',
    ],
    [{ delivery: { retry: [] } }, "delivery.retry: must have at least 1 entries"],
    [
      { delivery: { retry: ["soon"] } },
      'delivery.retry[0]: "soon" is not a duration; write it like 30s, 10m, 4h or 5d',
    ],
    [{ settings: { note_header: "X: y" } }, 'settings.note_header: "X: y" is not the name of a header'],
    [{ setting: {} }, 'setting: is not a section of the policy; did you mean "settings"?'],
  ])("%j", async (document, words) => {
    expect((await refused(document)).join("\n")).toContain(words);
  });
});

describe("keys that reach for prototypes", () => {
  test.each([
    '{"__proto__": {"polluted": true}}',
    '{"constructor": {"prototype": {"polluted": true}}}',
    '{"domain": [{"name": "a.test", "__proto__": {"polluted": true}}]}',
    '{"domain": [{"name": "a.test", "recipients": {"__proto__": {"polluted": true}}}]}',
    '{"settings": {"__proto__": {"polluted": true}}}',
    '{"sender": [{"login": "a@a.test", "domain": "a.test", "password": "x", "__proto__": {"polluted": true}}]}',
    '{"delivery": {"smarthost": {"host": "a.test", "__proto__": {"polluted": true}}}}',
  ])("%s", async (json) => {
    expect((await refused(JSON.parse(json))).join()).toMatch(/__proto__|constructor/);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
});

describe("size", () => {
  function nested(depth: number): unknown {
    return depth === 0 ? 1 : { a: nested(depth - 1) };
  }
  test.each([
    ["deep", nested(5000), "is nested deeper than 8 levels"],
    ["many values", { networks: { trusted: new Array(1_000_001).fill(1) } }, "has more than 1000000 values"],
    [
      "many values in many lists",
      {
        networks: { trusted: new Array(600_000).fill(1) },
        domain: Array.from({ length: 50_000 }, () => ({ rules: ["a", "b", "c", "d", "e", "f"] })),
      },
      "has more than 1000000 values",
    ],
    ["many items", { domain: new Array(50_001).fill({}) }, "has 50001 items; at most 50000 are allowed"],
    [
      "long text",
      { settings: { note_header: "x".repeat(100_001) } },
      "holds a text of more than 100000 characters",
    ],
  ])("%s", async (_, document, words) => {
    const started = processorMs();
    expect((await refused(document)).join()).toContain(words);
    expect(processorMs() - started).toBeLessThan(2000);
  });

  test("many problems are cut", async () => {
    const problems = await refused({ domain: Array.from({ length: 500 }, () => ({ name: "" })) });
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe(": and 400 more problems");
  });

  test("long names are shortened where they are quoted", async () => {
    const problems = await refused({
      ["x".repeat(90_000)]: 1,
      domain: [{ name: "y".repeat(90_000), ["z".repeat(90_000)]: 1 }],
    });
    for (const problem of problems) expect(problem.length).toBeLessThan(400);
  });
});

test("anything at all is answered", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.object({
        key: fc.constantFrom(
          "domain",
          "sender",
          "listener",
          "rule",
          "networks",
          "name",
          "password",
          "scope",
          "when",
        ),
        maxDepth: 4,
      }),
      async (document) => {
        expect(typeof (await settings.plan(document, { prune: false })).ok).toBe("boolean");
        expect(typeof (await settings.put("sender", document, TESTER)).ok).toBe("boolean");
      },
    ),
    { numRuns: 300 },
  );
});

test.each([
  { sender: [{ login: "a@a.test", domain: "a.test", password_hash: "hunter2 in clear" }] },
  { sender: [{ login: "a@a.test", domain: "a.test", password: "hunter2" }] },
  { sender: [{ login: "a@a.test", domain: "a.test", password: ["hunter2"] }] },
  { delivery: { smarthost: { host: "smart.test", user: "a", password: { is: "hunter2" } } } },
])("no problem repeats a password: %j", async (document) => {
  expect((await refused(document)).join()).not.toContain("hunter2");
});

test.each(["010.0.0.1", "10.1", "0x0a.0.0.1", "10", "10.1/16", "0/8"])(
  "a network may not be written as %s, which readers take for different ones",
  async (network) => {
    expect((await refused({ networks: { trusted: [network] } }))[0]).toContain(
      "is not an IP address or range",
    );
  },
);
