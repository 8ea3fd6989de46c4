// Names and ranges in settings that stand for more than they look like: refused with words that say what to write.
import { describe, expect, test } from "bun:test";
import { draftChange } from "../../src/policy/draft-change.ts";
import { DEFAULT_ITEMS, itemId } from "../../src/policy/policy-document.ts";
import { settingsSchema } from "../../src/policy/schema.ts";
import { address as addressOf, client, snapshotOf } from "./policy-fixtures.ts";

async function refusals(document: object): Promise<readonly string[]> {
  const draft = await draftChange(DEFAULT_ITEMS, document, { prune: false, hash: false, wholeFile: false });
  return draft.ok ? [] : draft.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("networks that let in everybody", () => {
  const everybody = [
    "0.0.0.0/0",
    "::/0",
    "::/1",
    "2000::/3",
    "::ffff:0:0/96",
    "::ffff:0.0.0.0/97",
    "64:ff9b::/96",
    "64:ff9b::/64",
    "64:ff9b::/32",
    "64::/16",
    "64:ff9b::8.0.0.0/100",
    "64:ff9b:1::/48",
    "2002::/16",
    "2002:800::/21",
    "2001::/32",
    "2001:0:1::/48",
    "2001::/23",
  ];
  test.each(everybody)("%s is nobody's own", async (network) => {
    const found = await refusals({ networks: { trusted: ["10.0.0.0/8", network] } });
    expect(found.map((line) => line.split(":")[0])).toEqual(["networks.trusted[1]"]);
    expect(found[0]).toMatch(/name (the IPv4 networks you mean|your own networks only)/);
    const range = { kind: "ip", range: network, domain: "example.test" };
    expect(await refusals({ domain: [{ name: "example.test" }], sender: [range] })).toHaveLength(1);
    const listener = { name: "mx", listen: "127.0.0.1:2525", proxy_from: [network] };
    expect((await refusals({ listener: [listener] }))[0]).toStartWith("listener[0].proxy_from[0]: ");
  });

  test.each([
    "10.0.0.0/8",
    "fd00::/8",
    "fe80::/10",
    "2001:db8:1::/48",
    "::ffff:10.0.0.0/104",
    "64:ff9b::192.0.2.0/120",
    "64:ff9b::10.1.2.3",
    "2002:c000:201::/48",
    "::1",
  ])("%s may be", async (network) => {
    expect(await refusals({ networks: { trusted: [network] } })).toEqual([]);
  });

  test("an IPv4 range in its IPv6 spelling is that IPv4 range", async () => {
    const snapshot = await snapshotOf({ networks: { trusted: ["::ffff:10.0.0.0/104", "::ffff:192.0.2.7"] } });
    for (const ip of ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "::ffff:c000:207"])
      expect(snapshot.trustedNetwork(ip)).not.toBeNull();
    for (const ip of ["11.0.0.1", "::ffff:11.0.0.1", "192.0.2.8", "64:ff9b::10.1.2.3"])
      expect(snapshot.trustedNetwork(ip)).toBeNull();
  });
});

describe("a host", () => {
  const route = (host: string) => ({ domain: [{ name: "example.test", routes: [{ host }] }] });
  test.each([
    "mail.example.test",
    "mail",
    "192.0.2.1",
    "2001:db8::1",
    "[2001:db8::1]",
    "_mail.example.test",
    "mail.example.test.",
  ])("%s is one", async (host) => expect(await refusals(route(host))).toEqual([]));
  test.each([
    ["mx:example.test", "goes to the MX of the domain"],
    ["MX:example.test", "goes to the MX of the domain"],
    ["mail.example.test:2525", 'write host = "mail.example.test" and port = 2525'],
    ["192.0.2.1:25", "and port = 25"],
    ["smtp:mail.example.test", "is not a host"],
    ["smtp://mail.example.test", "is not a host"],
    ["[2001:db8::1]:25", "is not a host"],
    ["[mail.example.test]", "is not a host"],
    ["[192.0.2.1", "is not a host"],
    ["mail example", "is not a host"],
    ["user@mail.example.test", "is not a host"],
    ["::::", "is not a host"],
    // What resolvers read as an address without its looking like one.
    ["0x7f000001", "is not a host"],
    ["0X7F000001", "is not a host"],
    ["0x7f.1", "is not a host"],
    ["0x7f.0.0.0x1", "is not a host"],
    ["127.0.0.0x1", "is not a host"],
    ["127.1", "is not a host"],
    ["2130706433", "is not a host"],
    ["017700000001", "is not a host"],
    ["0177.0.0.1", "is not a host"],
    ["127.0.0.1.", "is not a host"],
    ["a.0x", "is not a host"],
    ["a..example.test", "is not a host"],
    ["-a.example.test", "is not a host"],
  ])("%s is none", async (host, words) => {
    const [found = ""] = await refusals(route(host));
    expect(found).toContain(words);
    expect(found).toStartWith("domain[0].routes[0].host: ");
    expect((await refusals({ delivery: { smarthost: { host } } }))[0]).toStartWith(
      "delivery.smarthost.host: ",
    );
    const judge = { outgoing: { password_server: { protocol: "imap", host } } };
    expect(await refusals({ domain: [{ name: "example.test", ...judge }] })).toHaveLength(1);
    if (/^[^:\s[\]]+$/.test(host))
      expect(
        (await refusals({ hook: [{ name: "av", kind: "clamd", address: `${host}:3310` }] }))[0],
      ).toStartWith("hook[0].address: ");
  });
  test.each(["0x7f000001.example.test", "0xserver", "x0x1", "1.2.3.example.test"])(
    "%s is one, whatever it begins with",
    async (host) => expect(await refusals(route(host))).toEqual([]),
  );
});

describe("a log-in", () => {
  const domain = [{ name: "one.test" }, { name: "two.test", enabled: false }];
  const of = (login: string, under: string) =>
    refusals({ domain, sender: [{ login, domain: under, verify: "mail-server" }] });
  test.each([
    ["ann@one.test", "two.test", "sender[0].domain"],
    ["ann@TWO.test", "one.test", "sender[0].domain"],
    ["two.test", "one.test", "sender[0].login"],
    ["One.Test", "one.test", "sender[0].login"],
  ])("%s is not put under %s", async (login, under, path) =>
    expect((await of(login, under))[0]).toStartWith(`${path}: `),
  );
  test.each([
    ["ann@one.test", "one.test"],
    ["ann@partner.test", "one.test"],
    ["ann@sub.one.test", "one.test"],
    ["scanner1", "one.test"],
  ])("%s may be under %s", async (login, under) => expect(await of(login, under)).toEqual([]));
});

describe("header fields", () => {
  const OWN = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "Received",
    "DKIM-Signature",
    "Sender",
    "Reply-To",
  ];
  const MORE = [
    "References",
    "Return-Path",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Resent-From",
    "ARC-Seal",
  ];
  const TRACES = ["Authentication-Results", "List-Id", "Received-SPF", "fRoM", "In-Reply-To", "Delivered-To"];
  test.each([...OWN, ...MORE, ...TRACES])("%s is neither our note nor taken out", async (name) => {
    expect((await refusals({ settings: { note_header: name } }))[0]).toStartWith("settings.note_header: ");
    const sender = (identify_by: object) => ({
      kind: "ip",
      range: "192.0.2.0/28",
      domain: "example.test",
      identify_by,
    });
    const with_ = (by: object) => refusals({ domain: [{ name: "example.test" }], sender: [sender(by)] });
    expect((await with_({ header: name, remove: true }))[0]).toStartWith("sender[0].identify_by.header: ");
    expect((await with_([{ header: "X-A" }, { header: name, remove: true }]))[0]).toStartWith(
      "sender[0].identify_by[1]",
    );
    // It may be looked at.
    expect(await with_({ header: name })).toEqual([]);
  });
  test.each(["X-Gatepost", "X-Client-ID", "X-From", "Spam-Note", "User-Agent"])("%s may be", async (name) => {
    expect(await refusals({ settings: { note_header: name } })).toEqual([]);
  });
});

describe("the address of the console", () => {
  test.each([
    "https://gate.example.test\r\nBcc: x@example.test",
    "https://gate.example.test\n",
    "https://gate.example.test\t/x",
    "https://gate.example.test/a b",
    "https://gate.example.test/\u0000",
    "https://gate.example.test/\u2028x",
    "https://gate.example.test/\u200b",
  ])("%j is none", async (console_url) =>
    expect((await refusals({ settings: { console_url } }))[0]).toStartWith("settings.console_url"),
  );
  test("that was stored before is still read, with all other settings", async () => {
    const value = settingsSchema.parse({ note_header: "From", log_keep: "7d" });
    const items = new Map([
      ...DEFAULT_ITEMS,
      [itemId("settings", ""), { section: "settings", key: "", value } as const],
    ]);
    const draft = await draftChange(
      items,
      { domain: [{ name: "example.test" }] },
      { prune: false, hash: false, wholeFile: false },
    );
    expect(draft.ok && draft.warnings.some((words) => words.includes("note_header"))).toBe(true);
  });
});

describe("a host is a host by its form", () => {
  const long = "a".repeat(64);
  test.each([
    "a..b",
    "-x",
    "x-",
    "x.-y.test",
    "x-.y.test",
    ".",
    ".a",
    "a...",
    `${long}.test`,
    `a.${long}`,
    "1.2.3",
    "999.1.1.1",
    "10.1",
    "a.1",
    "[a.test]",
  ])("%s is none, as route, smart host, judge of passwords and scanner", async (host) => {
    const domain = {
      name: "a.test",
      routes: [{ host }],
      outgoing: { password_server: { protocol: "imap", host } },
    };
    const found = await refusals({
      domain: [domain],
      delivery: { smarthost: { host } },
      hook: [{ name: "clamd", kind: "clamd", address: `${host.startsWith("[") ? "a..b" : host}:3310` }],
    });
    expect(found.map((line) => line.split(":")[0]).toSorted()).toEqual([
      "delivery.smarthost.host",
      "domain[0].outgoing.password_server.host",
      "domain[0].routes[0].host",
      "hook[0].address",
    ]);
  });
  test.each([
    "a",
    "mail",
    "a.test",
    "a.test.",
    "mail_server",
    "a-b.c-d.test",
    "10.0.0.7",
    "::1",
    "[::1]",
    "4u.test",
    "1a",
    "x1.2y",
    `${"a".repeat(63)}.test`,
  ])("%s is one", async (host) => {
    expect(
      await refusals({ domain: [{ name: "a.test", routes: [{ host }] }], delivery: { smarthost: { host } } }),
    ).toEqual([]);
  });
  test.each(["https://a.test/path?x", "https://a.test/#f", "https://a.test?", "https://a.test/#"])(
    "%s is no address to append to",
    async (url) => {
      const found = await refusals({ settings: { console_url: url, domain_age: { rdap: url } } });
      expect(found.map((line) => line.split(":")[0]).toSorted()).toEqual([
        "settings.console_url",
        "settings.domain_age.rdap",
      ]);
    },
  );
});

describe("who is behind mail that servers hand in, where the domain has a delimiter (O2, O3)", () => {
  const policy = (recipient_delimiter: string) =>
    snapshotOf({
      networks: { trusted: ["10.9.1.0/24"] },
      domain: [{ name: "example.test", recipient_delimiter }, { name: "other.test" }],
      sender: [
        { kind: "ip", range: "10.9.2.0/24", domain: "example.test", domains: ["other.test"] },
        { kind: "user", login: "ann@example.test", domain: "example.test", identify_by: "envelope-sender" },
      ],
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:2525",
          auth: "optional",
          relay: ["trusted-networks", "authenticated"],
        },
      ],
    });
  const path = (text: string) => (text === "" ? null : addressOf(text));
  const who = async (delimiter: string, ip: string, writers: readonly [string, string?]) => {
    const snapshot = await policy(delimiter);
    const listener = snapshot.listener("mx");
    if (listener === null) throw new Error("no listener");
    const [reversePath, from] = writers;
    const named = { reversePath: path(reversePath), from: from === undefined ? [] : [addressOf(from)] };
    const login = ip === "login" ? "ann@example.test" : null;
    const party = snapshot.outgoingParty(
      listener,
      client({ ip: login === null ? ip : "192.0.2.9", login }),
      named,
    );
    return party === null ? "nobody" : snapshot.writerOf(party, named, ip);
  };
  test.each<readonly [string, string, readonly [string, string?], string]>([
    ["+", "10.9.1.1", ["hack+1@example.test"], "hack@example.test"],
    ["+", "10.9.1.1", ["Hack+1+2@Example.test"], "hack@example.test"],
    ["+", "10.9.1.1", ["", "hack+9@example.test"], "hack@example.test"],
    ["+", "10.9.1.1", ["x@elsewhere.test", "hack+9@example.test"], "hack@example.test"],
    ["+", "10.9.2.1", ["hack+1@example.test"], "hack@example.test"],
    ["+", "10.9.2.1", ["hack+1@other.test"], "hack+1@other.test"],
    ["+", "login", ["ann+1@example.test"], "ann@example.test"],
    ["-", "10.9.1.1", ["hack-1@example.test"], "hack@example.test"],
    ["-", "10.9.1.1", ["hack+1@example.test"], "hack+1@example.test"],
    ["", "10.9.1.1", ["hack+1@example.test"], "hack+1@example.test"],
    ["+", "10.9.1.1", ["+1@example.test"], "+1@example.test"],
    ["+", "10.9.1.1", ["", "x@elsewhere.test"], "(bounces of 10.9.1.1)"],
  ])("delimiter %p, from %s, %p: %s", async (delimiter, ip, writers, expected) => {
    expect(await who(delimiter, ip, writers)).toBe(expected);
  });
});

describe("an address that paths are appended to", () => {
  test.each([
    ["https://a..b", "names no host"],
    ["https://.a.test", "names no host"],
    ["https://-a.test", "names no host"],
    ["https://a-.test:8443/x", "names no host"],
    [`https://${"a".repeat(64)}.test`, "names no host"],
    ["https://a.test/%0d", "encoded control character"],
    ["https://a.test/%0D%0ax", "encoded control character"],
    ["https://a.test/%00", "encoded control character"],
    ["https://a.test/%7F", "encoded control character"],
  ])("%s is none", async (url, words) => {
    expect((await refusals({ settings: { console_url: url } }))[0]).toMatch(
      new RegExp(`^settings.console_url: .*${words}`),
    );
    expect(await refusals({ settings: { domain_age: { rdap: url } } })).toHaveLength(1);
  });
  test.each([
    "https://gate.example.test:8443",
    "https://gate",
    "http://127.0.0.1:8080/console",
    "https://[2001:db8::1]:8443/",
    "https://münchen.example/mail%20gate",
  ])("%s is one", async (url) => {
    expect(await refusals({ settings: { console_url: url } })).toEqual([]);
  });
});
