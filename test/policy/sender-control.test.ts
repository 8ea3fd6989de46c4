// Which sender addresses a login may use, in the envelope and in From; and outsiders who claim to be one of us (L3, O10).
import { describe, expect, test } from "bun:test";
import { address, CHEAP_HASH, client, snapshotOf } from "./policy-fixtures.ts";

const snapshot = await snapshotOf({
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", relay: ["trusted-networks"] },
    {
      name: "mx-guarded",
      listen: "127.0.0.1:2526",
      relay: ["trusted-networks"],
      refuse_outsiders_claiming_local: true,
    },
    {
      name: "submission",
      listen: "127.0.0.1:2527",
      auth: "required",
      relay: ["authenticated"],
      refuse_outsiders_claiming_local: true,
    },
  ],
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [
    { name: "example.test" },
    { name: "other.test" },
    { name: "own.other.test" },
    { name: "off.other.test", enabled: false },
  ],
  sender: [
    {
      login: "alice@example.test",
      domain: "example.test",
      password_hash: CHEAP_HASH,
      send_as: ["Sales@example.test", "@Other.test"],
    },
    { login: "gone@example.test", domain: "example.test", password_hash: CHEAP_HASH, enabled: false },
    { kind: "domain", domain: "other.test", password_hash: CHEAP_HASH, send_as: ["info@example.test"] },
  ],
});

function listener(name: string): NonNullable<ReturnType<typeof snapshot.listener>> {
  const found = snapshot.listener(name);
  if (found === null) throw new Error(name);
  return found;
}

function refused(by: string, who: ReturnType<typeof client>, reversePath: string | null): string | null {
  return (
    snapshot.refuseSender(listener(by), who, reversePath === null ? null : address(reversePath))?.text ?? null
  );
}

function refusedFrom(by: string, who: ReturnType<typeof client>, ...from: readonly string[]): string | null {
  return (
    snapshot.refuseHeaderFrom(listener(by), who, { reversePath: null, from: from.map(address) })?.text ?? null
  );
}

const alice = client({ login: "alice@example.test" });

describe("a login", () => {
  test.each(["alice@example.test", "ALICE@example.test", "sales@example.test", "anyone@other.test"])(
    "may use %s",
    (from) => {
      expect(refused("submission", alice, from)).toBeNull();
      expect(refusedFrom("submission", alice, from)).toBeNull();
    },
  );
  test.each([
    "bob@example.test",
    "alice@sub.other.test",
    "alice+tag@example.test",
    "ceo@elsewhere.example.org",
    "sales@example.test.evil.example",
  ])("may not use %s", (from) => {
    const text = `alice@example.test may not send as ${from}; ask your administrator to allow it (send as)`;
    expect(refused("submission", alice, from)).toBe(text);
    expect(refusedFrom("submission", alice, from)).toBe(text);
  });
  test("sends receipts, which have no sender, in its own name (RFC 8098)", () => {
    expect(refused("submission", alice, null)).toBeNull();
    expect(refusedFrom("submission", alice, "sales@example.test")).toBeNull();
    for (const from of ["bob@example.test", "MAILER-DAEMON@mail.example.test", "postmaster@example.test"])
      expect(refusedFrom("submission", alice, from)).toContain(`may not send as ${from}`);
  });
  test("must write one From", () => {
    expect(refusedFrom("submission", alice)).toBe("The message must have exactly one From address");
    expect(refusedFrom("submission", alice, "alice@example.test", "sales@example.test")).toBe(
      "The message must have exactly one From address",
    );
  });
  test("that is unknown or switched off may use nothing", () => {
    for (const login of ["gone@example.test", "nobody@example.test"]) {
      const who = client({ login });
      const text = "This login may not send mail; ask your administrator";
      expect(refused("submission", who, login)).toBe(text);
      expect(refusedFrom("submission", who, login)).toBe(text);
    }
  });
});

describe("a domain login", () => {
  const domain = client({ login: "other.test" });
  test.each([
    "anyone@other.test",
    "INFO@example.test",
    "MAILER-DAEMON@mail.other.test",
    "Postmaster@a.b.other.test",
  ])("may use %s", (from) => {
    expect(refused("submission", domain, from)).toBeNull();
    expect(refusedFrom("submission", domain, from)).toBeNull();
  });
  test.each([
    "alice@example.test",
    "anyone@sub.other.test",
    "anyone@other.test.example.org",
    "MAILER-DAEMON@mail.example.test",
    "MAILER-DAEMON@other.test.example.org",
    "postmaster@example.test",
    // A domain of its own, not a host.
    "postmaster@own.other.test",
    "postmaster@mail.off.other.test",
    "MAILER-DAEMON@test",
  ])("may not use %s", (from) => {
    const text = `other.test may not send as ${from}; ask your administrator to allow it (send as)`;
    expect(refused("submission", domain, from)).toBe(text);
    expect(refusedFrom("submission", domain, from)).toBe(text);
  });
  test("is a server's, whose notices have no sender", () => {
    expect(refused("submission", domain, null)).toBeNull();
  });
});

test("a reply stays within a line however long the addresses are", () => {
  const long = `${"x".repeat(60)}@${"long-name.".repeat(18)}example.org`;
  expect(refused("submission", alice, long)?.length).toBeLessThan(400);
});

describe("without a login", () => {
  test("anything goes on a listener that does not mind", () => {
    expect(refused("mx", client(), "boss@example.test")).toBeNull();
    expect(refusedFrom("mx", client(), "boss@example.test")).toBeNull();
  });
  test("an outsider may not claim to be us on a guarded one", () => {
    expect(refused("mx-guarded", client(), "boss@example.test")).toContain(
      "must be sent through its own servers",
    );
    expect(refusedFrom("mx-guarded", client(), "x@elsewhere.example.org", "boss@example.test")).toContain(
      "its own servers",
    );
  });
  test("others, bounces and our own network are not concerned", () => {
    expect(refused("mx-guarded", client(), "x@elsewhere.example.org")).toBeNull();
    expect(refused("mx-guarded", client(), null)).toBeNull();
    expect(refusedFrom("mx-guarded", client())).toBeNull();
    expect(refused("mx-guarded", client({ ip: "10.0.0.5" }), "boss@example.test")).toBeNull();
    expect(refusedFrom("mx-guarded", client({ ip: "10.0.0.5" }), "boss@example.test")).toBeNull();
  });
});
