// Requirement L2: every kind of client × every listener × every form of recipient. What is granted is written out in full;
// everything else must be refused.
import { describe, expect, test } from "bun:test";
import { parseAddress } from "../../src/message/address.ts";
import type { Client } from "../../src/message/envelope.ts";
import { address, CHEAP_HASH, client, policyFrom, snapshotOf } from "./policy-fixtures.ts";

const document = {
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", auth: "off", relay: ["trusted-networks"] },
    { name: "mx-strict", listen: "127.0.0.1:2526", auth: "off", relay: [] },
    {
      name: "both",
      listen: "127.0.0.1:2527",
      auth: "optional",
      relay: ["trusted-networks", "authenticated"],
    },
    { name: "login-useless", listen: "127.0.0.1:2528", auth: "optional", relay: ["trusted-networks"] },
    { name: "submission", listen: "127.0.0.1:2529", auth: "required", relay: ["authenticated"] },
    {
      name: "submission-lan",
      listen: "127.0.0.1:2530",
      auth: "required",
      relay: ["authenticated", "trusted-networks"],
    },
    { name: "future", listen: "127.0.0.1:2531", auth: "optional", relay: ["pop-before-smtp", "allow-lists"] },
  ],
  networks: { trusted: ["10.0.0.0/8", "2001:db8:1::/48"] },
  domain: [
    { name: "example.test", routes: [{ host: "127.0.0.1", port: 2600 }] },
    { name: "asleep.test", enabled: false },
  ],
  sender: [
    { login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH },
    { login: "gone@example.test", domain: "example.test", password_hash: CHEAP_HASH, enabled: false },
    { kind: "ip", range: "192.0.2.32/28", domain: "example.test" },
    { kind: "ip", range: "192.0.2.64/28", domain: "example.test", enabled: false },
    { kind: "domain", domain: "example.test" },
    { kind: "domain", domain: "asleep.test", password_hash: CHEAP_HASH, enabled: false },
    { kind: "ip", range: "192.0.2.96/32", domain: "example.test", reauthenticate_as: "gone@example.test" },
    {
      kind: "ip",
      range: "192.0.2.97/32",
      domain: "example.test",
      reauthenticate_as: "alice@example.test",
      enabled: false,
    },
  ],
};
const snapshot = await snapshotOf(document);

const clients: Readonly<Record<string, Client>> = {
  outsider: client(),
  lan: client({ ip: "10.1.2.3" }),
  "lan, mapped": client({ ip: "::ffff:10.1.2.3" }),
  "lan, v6": client({ ip: "2001:db8:1::9" }),
  "ip sender": client({ ip: "192.0.2.40" }),
  "ip sender switched off": client({ ip: "192.0.2.70" }),
  alice: client({ login: "Alice@example.test" }),
  "alice on the lan": client({ ip: "10.1.2.3", login: "alice@example.test" }),
  "switched-off login": client({ login: "gone@example.test" }),
  "unknown login": client({ login: "nobody@example.test" }),
  "switched-off login on the lan": client({ ip: "10.1.2.3", login: "gone@example.test" }),
  "domain login": client({ login: "Example.test" }),
  "address of a domain sender": client({ login: "user@example.test" }),
  "key of a domain sender": client({ login: "@example.test" }),
  "switched-off domain login": client({ login: "asleep.test" }),
  "re-authenticated as somebody gone": client({ ip: "192.0.2.96" }),
  "switched-off re-authentication": client({ ip: "192.0.2.97" }),
  "claims localhost": client({ helo: "localhost", hostname: "localhost" }),
  "no address": client({ ip: "not an address" }),
};

const OURS = "user@example.test";
const ATTACKS = [
  "victim@elsewhere.example.org",
  "victim@sub.example.test",
  "victim@example.test.elsewhere.example.org",
  "victim@asleep.test",
  "victim%elsewhere.example.org@example.test",
  "elsewhere.example.org!victim@example.test",
  '"victim@elsewhere.example.org"@example.test',
  '"victim%elsewhere.example.org"@example.test',
  '"@relay.example.org:victim@elsewhere.example.org"@example.test',
  "user@[127.0.0.1]",
  "user@[192.0.2.1]",
  "user@[IPv6:2001:db8::1]",
  "victim%elsewhere.example.org@[127.0.0.1]",
];
/** What granted clients may not do either: have our own server send mail on, name a host by address, write to what is switched off. */
const NEVER = ATTACKS.filter(
  (a) => a.endsWith("]") || a.endsWith("@asleep.test") || (a.endsWith("@example.test") && /[%!@].*@/.test(a)),
);

const AUTH = "authenticated-sender alice@example.test";
const LAN4 = "trusted-network 10.0.0.0/8";
const LAN6 = "trusted-network 2001:db8:1::/48";
const IP = "ip-sender 192.0.2.32/28";
const DOMAIN = "authenticated-sender example.test";
/** Its own grant and no more: whom it names neither gives nor takes anything. */
const GONE = "ip-sender 192.0.2.96/32";
const RELAY = "relay-domain example.test";

/** Who may send anywhere by which listener, and by which grant. */
const ANYWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mx: {
    "switched-off login on the lan": LAN4,
    lan: LAN4,
    "lan, mapped": LAN4,
    "lan, v6": LAN6,
    "ip sender": IP,
    "re-authenticated as somebody gone": GONE,
    "alice on the lan": LAN4,
  },
  "mx-strict": {},
  both: {
    "switched-off login on the lan": LAN4,
    lan: LAN4,
    "lan, mapped": LAN4,
    "lan, v6": LAN6,
    "ip sender": IP,
    "re-authenticated as somebody gone": GONE,
    alice: AUTH,
    "domain login": DOMAIN,
    "alice on the lan": AUTH,
  },
  "login-useless": {
    "switched-off login on the lan": LAN4,
    lan: LAN4,
    "lan, mapped": LAN4,
    "lan, v6": LAN6,
    "ip sender": IP,
    "re-authenticated as somebody gone": GONE,
    "alice on the lan": LAN4,
  },
  submission: { alice: AUTH, "alice on the lan": AUTH, "domain login": DOMAIN },
  "submission-lan": { alice: AUTH, "alice on the lan": AUTH, "domain login": DOMAIN },
  future: {},
};

function ask(listenerName: string, who: string, recipient: string): string {
  const listener = snapshot.listener(listenerName);
  const asking = clients[who];
  if (listener === null || asking === undefined) throw new Error("no such case");
  const answer = snapshot.mayRelay(listener, asking, address(recipient));
  if (!answer.granted) return `${answer.reply.code}`;
  const { grant } = answer;
  const detail =
    "domain" in grant
      ? grant.domain
      : "sender" in grant
        ? grant.sender
        : "network" in grant
          ? grant.network
          : grant.entry;
  return `${answer.direction} ${grant.by} ${detail}`;
}

for (const [listener, granted] of Object.entries(ANYWHERE)) {
  for (const who of Object.keys(clients)) {
    const grant = granted[who];
    const needsLogin = listener.startsWith("submission");
    describe(`${who} by ${listener}`, () => {
      test("to a domain of ours", () => {
        const outsider = needsLogin ? (clients[who]?.login === null ? "530" : "550") : `inbound ${RELAY}`;
        expect(ask(listener, who, OURS)).toBe(grant === undefined ? outsider : `internal ${grant}`);
        expect(ask(listener, who, "USER@EXAMPLE.TEST")).toBe(ask(listener, who, OURS));
      });
      test("elsewhere", () => {
        for (const attack of ATTACKS) {
          const answer = ask(listener, who, attack);
          if (grant === undefined || NEVER.includes(attack))
            expect(`${attack} ${answer}`).toMatch(/ (550|530)$/);
          else expect(`${attack} ${answer}`).toBe(`${attack} outbound ${grant}`);
        }
      });
    });
  }
}

test("source routes are not addresses", () => {
  for (const text of ["@relay.example.org:victim@elsewhere.example.org", "@a.test,@b.test:c@d.test"]) {
    expect(parseAddress(text).ok).toBe(false);
  }
});

test("a refusal tells the client nothing and the log everything", () => {
  const listener = snapshot.listener("mx");
  if (listener === null) throw new Error("no listener");
  const answer = snapshot.mayRelay(listener, client(), address("victim@elsewhere.example.org"));
  expect(answer).toEqual({
    granted: false,
    reply: {
      code: 550,
      enhanced: "7.1",
      text: "Relaying denied",
      cause:
        "client 198.51.100.9: not logged in, in no trusted network that counts on listener mx, and elsewhere.example.org is not one of our domains",
    },
  });
});

describe("the policy cannot be made an open relay", () => {
  const wide = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "8.0.0.0/7", "::/0", "2000::/3", "8000::/1"];
  test.each(wide)("trusted network %s", async (network) => {
    await expect(policyFrom({ networks: { trusted: [network] } })).rejects.toThrow(
      "would let much of the Internet",
    );
    await expect(
      policyFrom({ sender: [{ kind: "ip", range: network, domain: "example.test" }] }),
    ).rejects.toThrow("much of the Internet");
  });
  test.each([
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "127.0.0.0/8",
    "2001:db8::/32",
  ])("local network %s is fine", async (network) => {
    expect((await policyFrom({ networks: { trusted: [network] } })).networks.trusted).toHaveLength(1);
  });
});

test("the narrowest IP sender counts", async () => {
  const nested = await snapshotOf({
    domain: [{ name: "example.test" }, { name: "other.test" }],
    sender: [
      { kind: "ip", range: "192.0.2.0/24", domain: "example.test" },
      { kind: "ip", range: "192.0.2.7", domain: "other.test" },
    ],
  });
  expect(String(nested.ipSender("192.0.2.7")?.domain)).toBe("other.test");
  expect(String(nested.ipSender("192.0.2.8")?.domain)).toBe("example.test");
  expect(nested.ipSender("192.0.3.8")).toBeNull();
  expect(nested.trustedNetwork("192.0.2.7")).toBe("192.0.2.7/32");
});
