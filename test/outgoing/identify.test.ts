// Who is behind a message: by envelope, login and header; hostile headers give a bounded, printable name or none.
import { afterAll, expect, test } from "bun:test";
import type { OutgoingParty } from "../../src/policy/snapshot.ts";
import { address, CHEAP_HASH } from "../policy/policy-fixtures.ts";
import { benchOf, partyAt, partyOf } from "./outgoing-kit.ts";

const user = { kind: "user", domain: "example.test", password_hash: CHEAP_HASH };
const bench = await benchOf({
  sender: [
    { ...user, login: "Alice@example.test" },
    { ...user, login: "web@example.test", identify_by: "envelope-sender" },
    { kind: "domain", domain: "example.org", password_hash: CHEAP_HASH },
    { kind: "ip", range: "192.0.2.0/28", domain: "example.test" },
    {
      kind: "ip",
      range: "192.0.2.16/28",
      domain: "example.test",
      identify_by: { header: "X-Client-ID", extract: "^([^;]+)", remove: true },
    },
    {
      kind: "ip",
      range: "192.0.2.32/28",
      domain: "example.test",
      identify_by: [
        { header: "X-User", extract: "uid=(\\d+)" },
        { header: "X-Script", remove: true },
        { header: "X-Last", extract: "[a-z]+" },
      ],
    },
    { kind: "ip", range: "192.0.2.48/28", domain: "example.test", identify_by: { header: "From" } },
  ],
});
afterAll(() => bench[Symbol.asyncDispose]());

function identify(party: OutgoingParty, header = "", from: string | null = "bob@example.test") {
  return bench.outgoing.identify(party, from === null ? null : address(from), Buffer.from(header));
}

test("by login, by envelope sender, and by the reverse path where nobody logs in", () => {
  const none: readonly string[] = [];
  expect(identify(partyOf(bench, "alice@example.test"))).toEqual({
    identity: "alice@example.test",
    removeHeaders: none,
  });
  expect(identify(partyOf(bench, "web@example.test"), "", "Shop@Example.Test").identity).toBe(
    "shop@example.test",
  );
  expect(identify(partyOf(bench, "web@example.test"), "", null).identity).toBeNull();
  expect(identify(partyOf(bench, "example.org")).identity).toBe("example.org");
  expect(identify(partyAt(bench, "192.0.2.1")).identity).toBe("bob@example.test");
});

test("by a header: the first field of the name, unfolded, decoded, in lower case; the header is taken out", () => {
  const party = partyAt(bench, "192.0.2.17");
  const named = (header: string) => identify(party, header).identity;
  expect(identify(party, "X-Client-ID: Client-A; host=1\r\nSubject: x\r\n\r\nX-Client-ID: body\r\n")).toEqual(
    {
      identity: "client-a",
      removeHeaders: ["x-client-id"],
    },
  );
  expect(named("Subject: x\r\n\r\nX-Client-ID: body\r\n")).toBeNull();
  expect(named("x-client-id:first\r\nX-Client-ID: second\r\n\r\n")).toBe("first");
  expect(named("X-Client-ID:\r\n  folded\r\n\tname;x\r\n\r\n")).toBe("folded name");
  expect(named("X-Client-ID: =?utf-8?B?SsO8cmdlbg==?=\r\n\r\n")).toBe("jürgen");
  expect(named("X-Client-ID: J\u00fcrgen\r\n\r\n")).toBe("jürgen");
  expect(named("X-Client-ID: a\u0000b\u001b[31m\r\n\r\n")).toMatch(/^[^\u0000-\u001f]+$/);
  // Nothing that the expression finds: no identity, and the header is still taken out.
  expect(identify(party, "X-Client-ID: ;only=this\r\n\r\n")).toEqual({
    identity: null,
    removeHeaders: ["x-client-id"],
  });
  expect(named("X-Client-ID:   \r\n\r\n")).toBeNull();
  expect(named(`X-Client-ID: ${"x".repeat(100_000)}\r\n\r\n`)).toBe("x".repeat(200));
});

test("several headers: the first that gives one counts", () => {
  const party = partyAt(bench, "192.0.2.33");
  const named = (header: string) => identify(party, header).identity;
  expect(named("X-Script: /shop.php\r\nX-User: uid=1000 gid=5\r\n\r\n")).toBe("1000");
  expect(named("X-Script: /shop.php\r\nX-User: nobody\r\n\r\n")).toBe("/shop.php");
  expect(named("X-Last: 12 abc 3\r\n\r\n")).toBe("abc");
  expect(identify(party, "").removeHeaders).toEqual(["x-script"]);
});

test("a hostile value costs an expression no time", async () => {
  await using slow = await benchOf({
    sender: [
      {
        kind: "ip",
        range: "192.0.2.0/28",
        domain: "example.test",
        identify_by: { header: "X-Id", extract: "(a+)+$|(b*)*c" },
      },
    ],
  });
  const header = Buffer.from(`X-Id: ${"a".repeat(900)}!\r\n\r\n`);
  // A backtracking engine would not come back from one of these.
  for (let i = 0; i < 20; i++)
    expect(slow.outgoing.identify(partyAt(slow, "192.0.2.1"), null, header).identity).toBeNull();
});

test("by From: whoever wrote it, under whatever name", () => {
  const party = partyAt(bench, "192.0.2.50");
  for (const from of [
    "Ann <Ann@example.test>",
    '"Another Name" <ann@example.test>',
    "ann@example.test (Ann)",
  ])
    expect(identify(party, `From: ${from}\r\n\r\n`).identity).toBe("ann@example.test");
});
