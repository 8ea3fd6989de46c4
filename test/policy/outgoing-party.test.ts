// Which outgoing sender a client sends as, by which listener, and which grant goes with it (O1, O9).
import { describe, expect, test } from "bun:test";
import type { Client } from "../../src/message/envelope.ts";
import { address, CHEAP_HASH, client, snapshotOf } from "./policy-fixtures.ts";

const user = (login: string, more: object = {}) => ({
  login,
  domain: login.slice(login.indexOf("@") + 1),
  password_hash: CHEAP_HASH,
  ...more,
});
const range = (ip: string, as: string) => ({
  kind: "ip",
  range: ip,
  domain: "example.test",
  reauthenticate_as: as,
});

const snapshot = await snapshotOf({
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", auth: "optional", relay: ["trusted-networks"] },
    {
      name: "both",
      listen: "127.0.0.1:2526",
      auth: "optional",
      relay: ["trusted-networks", "authenticated"],
    },
    {
      name: "submission",
      listen: "127.0.0.1:2527",
      auth: "required",
      relay: ["authenticated", "trusted-networks"],
    },
    { name: "none", listen: "127.0.0.1:2528", auth: "optional", relay: [] },
  ],
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [{ name: "example.test" }, { name: "other.test" }, { name: "asleep.test", enabled: false }],
  sender: [
    user("Alice@example.test"),
    user("rita@example.test", { reauthentication_permitted: true }),
    user("gone@other.test", { reauthentication_permitted: true, enabled: false }),
    user("lost@asleep.test"),
    { kind: "domain", domain: "other.test", password_hash: CHEAP_HASH, reauthentication_permitted: true },
    { kind: "domain", domain: "example.test", password_hash: CHEAP_HASH },
    { kind: "ip", range: "192.0.2.0/28", domain: "example.test" },
    range("192.0.2.32", "RITA@example.test"),
    range("192.0.2.33", "alice@example.test"),
    range("192.0.2.34", "gone@other.test"),
    range("192.0.2.35", "anybody@other.test"),
    { ...range("192.0.2.37", "rita@example.test"), enabled: false },
  ],
});

function asked(listenerName: string, who: Partial<Client>): string | null {
  const listener = snapshot.listener(listenerName);
  if (listener === null) throw new Error(listenerName);
  const party = snapshot.outgoingParty(listener, client(who));
  const relay = snapshot.mayRelay(listener, client(who), address("x@elsewhere.example.org"));
  // Whoever sends as somebody has a grant; the other way round there are the trusted networks.
  if (party !== null) expect(relay.granted).toBe(true);
  return party === null ? null : `${party.key}${party.via === null ? "" : ` via ${party.via}`}`;
}

describe("who sends", () => {
  const cases: readonly (readonly [string, Partial<Client>, string | null])[] = [
    ["both", {}, null],
    ["both", { ip: "10.1.2.3" }, "10.0.0.0/8"],
    ["both", { login: "ALICE@example.test" }, "alice@example.test"],
    ["submission", { login: "alice@example.test" }, "alice@example.test"],
    ["mx", { login: "alice@example.test" }, null],
    ["none", { login: "alice@example.test" }, null],
    ["both", { login: "nobody@example.test" }, null],
    ["both", { login: "gone@other.test" }, null],
    // The domain is switched off: so are its senders.
    ["both", { login: "lost@asleep.test" }, null],
    ["both", { login: "other.test" }, "@other.test"],
    ["both", { login: "OTHER.test" }, "@other.test"],
    ["both", { login: "@other.test" }, null],
    ["both", { login: "anybody@other.test" }, null],
    ["both", { login: "asleep.test" }, null],
    ["both", { ip: "192.0.2.3" }, "192.0.2.0/28"],
    ["both", { ip: "::ffff:192.0.2.3" }, "192.0.2.0/28"],
    ["submission", { ip: "192.0.2.3" }, null],
    ["none", { ip: "192.0.2.3" }, null],
    ["both", { ip: "192.0.2.3", login: "alice@example.test" }, "alice@example.test"],
    ["mx", { ip: "192.0.2.3", login: "alice@example.test" }, "192.0.2.0/28"],
    ["mx", { ip: "192.0.2.32" }, "rita@example.test via 192.0.2.32/32"],
    // Who does not permit it, is switched off or does not exist is not sent as.
    ["mx", { ip: "192.0.2.33" }, "192.0.2.33/32"],
    ["mx", { ip: "192.0.2.34" }, "192.0.2.34/32"],
    // An address without a sender of its own belongs to its domain's.
    ["mx", { ip: "192.0.2.35" }, "@other.test via 192.0.2.35/32"],
    ["mx", { ip: "192.0.2.37" }, null],
    ["submission", { ip: "192.0.2.32" }, null],
    ["none", { ip: "192.0.2.32" }, null],
  ];
  test.each(cases.map(([by, who, party]) => ({ by, who, party })))(
    "$who by $by is $party",
    ({ by, who, party }) => {
      expect(asked(by, who)).toBe(party);
    },
  );

  test("the same party each time: outgoing control may key on it", () => {
    const both = snapshot.listener("both");
    if (both === null) throw new Error("no listener");
    const ask = () => snapshot.outgoingParty(both, client({ login: "alice@example.test" }));
    expect(ask()).toBe(ask());
  });

  test("the domain's settings go with it", () => {
    const both = snapshot.listener("both");
    if (both === null) throw new Error("no listener");
    const of = (login: string) => snapshot.outgoingParty(both, client({ login }))?.domain?.name ?? null;
    expect(String(of("alice@example.test"))).toBe("example.test");
  });
});

describe("grants", () => {
  const grant = (who: Partial<Client>) => {
    const listener = snapshot.listener("both");
    if (listener === null) throw new Error("no listener");
    const answer = snapshot.mayRelay(listener, client(who), address("x@elsewhere.example.org"));
    return answer.granted ? answer.grant : null;
  };
  test("a domain's login", () => {
    expect(grant({ login: "other.test" })).toEqual({ by: "authenticated-sender", sender: "other.test" });
  });
  test("re-authentication shows both", () => {
    expect(grant({ ip: "192.0.2.32" })).toEqual({
      by: "ip-sender",
      sender: "192.0.2.32/32",
      as: "rita@example.test",
    });
    expect(grant({ ip: "192.0.2.35" })).toEqual({
      by: "ip-sender",
      sender: "192.0.2.35/32",
      as: "other.test",
    });
    expect(grant({ ip: "192.0.2.33" })).toEqual({ by: "ip-sender", sender: "192.0.2.33/32" });
  });
});

describe("rules follow the party", () => {
  const facts = { "attachments.macros": ["a.docm"] };
  const judge = async (clientIp: string, login: string | null = null) => {
    const blocking = await snapshotOf({
      domain: [{ name: "example.test", rules: [] }],
      sender: [
        user("rita@example.test", { reauthentication_permitted: true, block: ["macros"] }),
        user("alice@example.test"),
        range("192.0.2.32", "rita@example.test"),
        range("192.0.2.33", "alice@example.test"),
      ],
    });
    const subject = {
      recipient: address("x@elsewhere.example.org"),
      direction: "outbound",
      reversePath: null,
      login,
      clientIp,
    } as const;
    expect(blocking.wantedFacts([subject]).has("attachments.macros")).toBe(
      blocking.decide(facts, subject).rule === "macros",
    );
    return blocking.decide(facts, subject).rule;
  };
  test("block switches the rules of that sender on, and nobody else's", async () => {
    expect(await judge("198.51.100.1", "rita@example.test")).toBe("macros");
    expect(await judge("198.51.100.1", "alice@example.test")).toBeNull();
    expect(await judge("192.0.2.32")).toBe("macros");
    expect(await judge("192.0.2.33")).toBeNull();
    expect(await judge("198.51.100.1")).toBeNull();
  });

  test("of a domain sender hold for everybody of the domain", async () => {
    const strict = await snapshotOf({
      domain: [{ name: "example.test", rules: [] }],
      sender: [
        user("alice@example.test"),
        { kind: "domain", domain: "example.test", password_hash: CHEAP_HASH, block: ["new-domains"] },
      ],
    });
    for (const login of ["alice@example.test", "example.test"]) {
      const verdict = strict.decide(
        { "domain_age.known": true, "domain_age.days": 0 },
        { recipient: address("x@elsewhere.example.org"), direction: "outbound", reversePath: null, login },
      );
      expect(verdict.rule).toBe("new-domains");
    }
  });
});
