// Which rules hold for whom, which facts they ask for, and where mail goes.
import { describe, expect, test } from "bun:test";
import { unroutedPlace, waitingPlace } from "../../src/delivery/route.ts";
import type { Direction } from "../../src/message/envelope.ts";
import type { DecisionSubject, PolicySnapshot } from "../../src/policy/snapshot.ts";
import { address, CHEAP_HASH, snapshotOf } from "./policy-fixtures.ts";

function subject(
  recipient: string,
  direction: Direction,
  more: Partial<DecisionSubject> = {},
): DecisionSubject {
  return { recipient: address(recipient), direction, reversePath: null, login: null, ...more };
}

const snapshot = await snapshotOf({
  domain: [{ name: "plain.test" }, { name: "bare.test", rules: [] }, { name: "named.test", rules: ["mine"] }],
  sender: [
    { login: "alice@bare.test", domain: "bare.test", password_hash: CHEAP_HASH, rules: ["strict"] },
    { login: "bob@bare.test", domain: "bare.test", password_hash: CHEAP_HASH },
    { kind: "ip", range: "192.0.2.0/28", domain: "bare.test", rules: ["strict"] },
    { kind: "domain", domain: "plain.test", rules: ["strict"] },
  ],
  rule: [
    { name: "mine", when: "client.tls", action: "reject" },
    { name: "strict", when: 'client.helo == "x"', action: "reject" },
    { name: "everywhere", when: "message.size > 20 MB", action: "reject" },
    {
      name: "one-person",
      when: "attachments.encrypted",
      action: "quarantine",
      scope: { addresses: ["Carol@bare.test"] },
    },
    { name: "watching", when: "structure.parts > 50", action: "reject", mode: "observe" },
    { name: "asleep", when: 'arc.result == "fail"', action: "reject", mode: "off" },
  ],
});

function decides(
  on: PolicySnapshot,
  of: DecisionSubject,
  facts: Parameters<PolicySnapshot["decide"]>[0],
): string | null {
  return on.decide(facts, of).rule;
}

describe("which rules hold", () => {
  const tls = { "client.tls": true };
  const helo = { "client.helo": "x" };
  const cases: readonly (readonly [
    string,
    DecisionSubject,
    Parameters<PolicySnapshot["decide"]>[0],
    string | null,
  ])[] = [
    ["default set", subject("u@plain.test", "inbound"), { "eicar.found": true }, "virus"],
    ["empty set", subject("u@bare.test", "inbound"), { "eicar.found": true }, null],
    ["own rule where it is named", subject("u@named.test", "inbound"), tls, "mine"],
    ["own rule that others name does not hold here", subject("u@plain.test", "inbound"), tls, null],
    [
      "own rule nobody names holds everywhere",
      subject("u@bare.test", "inbound"),
      { "message.size": 30_000_000 },
      "everywhere",
    ],
    [
      "outbound follows the sender's domain",
      subject("x@elsewhere.example.org", "outbound", { login: "bob@bare.test" }),
      { "eicar.found": true },
      null,
    ],
    [
      "outbound without a domain of ours has the default set",
      subject("x@elsewhere.example.org", "outbound"),
      { "eicar.found": true },
      "virus",
    ],
    [
      "sender rules add to it",
      subject("x@elsewhere.example.org", "outbound", { login: "ALICE@bare.test" }),
      helo,
      "strict",
    ],
    [
      "another sender does not have them",
      subject("x@elsewhere.example.org", "outbound", { login: "bob@bare.test" }),
      helo,
      null,
    ],
    [
      "an IP sender has them",
      subject("x@elsewhere.example.org", "outbound", { clientIp: "192.0.2.3" }),
      helo,
      "strict",
    ],
    [
      "a domain sender gives them to its domain",
      subject("x@elsewhere.example.org", "outbound", { reversePath: address("app@plain.test") }),
      helo,
      "strict",
    ],
    [
      "inbound mail never has sender rules",
      subject("u@bare.test", "inbound", { login: "alice@bare.test" }),
      helo,
      null,
    ],
    [
      "internal mail has both",
      subject("u@named.test", "internal", { login: "alice@bare.test" }),
      helo,
      "strict",
    ],
    [
      "internal mail follows the recipient's domain",
      subject("u@named.test", "internal", { login: "alice@bare.test" }),
      tls,
      "mine",
    ],
  ];
  test.each(cases.map(([name, of, facts, rule]) => ({ name, of, facts, rule })))(
    "$name",
    ({ of, facts, rule }) => {
      expect(decides(snapshot, of, facts)).toBe(rule);
    },
  );
});

describe("facts wanted", () => {
  const wanted = (...subjects: readonly DecisionSubject[]): readonly string[] =>
    [...snapshot.wantedFacts(subjects)].sort();
  test("an empty set asks for its own rules only, and never for what is given", () => {
    expect(wanted(subject("u@bare.test", "inbound"))).toEqual(["message.size", "structure.parts"]);
  });
  test("a rule for one address asks for that address only", () => {
    expect(wanted(subject("carol@bare.test", "inbound"))).toContain("attachments.encrypted");
    expect(wanted(subject("dave@bare.test", "inbound"))).not.toContain("attachments.encrypted");
    expect(wanted(subject("dave@bare.test", "inbound"), subject("CAROL@bare.test", "inbound"))).toContain(
      "attachments.encrypted",
    );
  });
  test("observed rules ask, rules that are off do not", () => {
    expect(wanted(subject("u@bare.test", "inbound"))).toContain("structure.parts");
    expect(wanted(subject("u@plain.test", "inbound"))).not.toContain("arc.result");
  });
  test("several recipients ask for all of theirs", () => {
    expect(wanted(subject("u@bare.test", "inbound"), subject("u@plain.test", "inbound"))).toEqual(
      wanted(subject("u@plain.test", "inbound")),
    );
    expect(wanted(subject("u@bare.test", "inbound"), subject("u@named.test", "inbound"))).toContain(
      "client.tls",
    );
  });
  test("internal mail is looked at as inbound mail is", () => {
    expect(wanted(subject("u@plain.test", "internal"))).toContain("dmarc.result");
    expect(wanted(subject("x@elsewhere.example.org", "outbound"))).not.toContain("dmarc.result");
  });
  test("nobody asks for nothing", () => {
    expect(wanted()).toEqual([]);
  });
});

describe("destinations", () => {
  const routes = [{ host: "127.0.0.1", port: 2600 }];
  test("routes, then smart host, then MX", async () => {
    const direct = await snapshotOf({
      domain: [
        { name: "example.test", routes },
        { name: "bare.test" },
        { name: "off.test", routes, enabled: false },
      ],
    });
    expect(direct.destination(address("u@example.test"))).toEqual({
      kind: "routes",
      key: "routes:example.test",
      routes: [{ host: "127.0.0.1", port: 2600, priority: 10, tls: "opportunistic" }],
    });
    expect(direct.destination(address("u@bare.test"))).toEqual({
      kind: "mx",
      key: "mx:bare.test",
      domain: "bare.test",
    });
    // What is off takes nothing, least of all by the way mail to the world takes.
    expect(direct.destination(address("u@off.test"))).toEqual(waitingPlace("off.test"));
    expect(direct.destination(address("u@bare.test"), "from outside")).toEqual({
      kind: "mx",
      key: "mx:bare.test",
      domain: "bare.test",
      ours: true,
    });
    const upstream = await snapshotOf({
      domain: [{ name: "example.test", routes }, { name: "bare.test" }, { name: "off.test", enabled: false }],
      delivery: { smarthost: { host: "smart.example.org", user: "u", password: "p" } },
    });
    expect(upstream.destination(address("u@example.test")).kind).toBe("routes");
    for (const taken of ["from outside", "for us"] as const) {
      expect(upstream.destination(address("u@bare.test"), taken)).toEqual(unroutedPlace("bare.test"));
      expect(upstream.destination(address("u@elsewhere.example.org"), taken).kind).toBe("smarthost");
    }
    for (const taken of ["from outside", "for us", "to pass on"] as const)
      expect(upstream.destination(address("u@off.test"), taken)).toEqual(waitingPlace("off.test"));
    // Our own people may send anywhere: its mailboxes may be elsewhere.
    expect(upstream.destination(address("u@bare.test"), "to pass on").kind).toBe("smarthost");
    expect(upstream.destination(address("u@elsewhere.example.org"))).toEqual({
      kind: "smarthost",
      key: "smarthost:smart.example.org:587",
      route: { host: "smart.example.org", port: 587, priority: 0, tls: "opportunistic" },
      login: { user: "u", password: "p" },
    });
  });
});
