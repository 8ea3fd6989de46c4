// What is released from the outgoing quarantine leaves as it would have left at once: signed, without identity headers, over TLS.
import { expect, test } from "bun:test";
import { releaseTerms } from "../../src/policy/release-terms.ts";
import { CHEAP_HASH, snapshotOf } from "./policy-fixtures.ts";

const snapshot = await snapshotOf({
  domain: [
    { name: "example.test", outgoing: { dkim_selector: "gate1" } },
    { name: "strict.test", outgoing: { enterprise: true } },
  ],
  sender: [
    {
      kind: "ip",
      range: "192.0.2.0/28",
      domain: "example.test",
      identify_by: [{ header: "X-Client-ID", remove: true }, { header: "X-User" }],
    },
    {
      login: "alice@strict.test",
      domain: "strict.test",
      password_hash: CHEAP_HASH,
      send_as: ["info@example.test"],
      dkim_selector: "alice1",
      archive: true,
    },
  ],
});

const ask = (
  sender: string,
  from: string,
  direction: "inbound" | "outbound" | "internal" = "outbound",
  reversePath = "info@example.test",
) =>
  releaseTerms(snapshot, {
    sender,
    direction,
    reversePath,
    headerFrom: "Info <info@example.test>",
    subject: "Hello",
    message: Buffer.from(`${from}\r\n\r\nx\r\n`),
  });

test("an IP sender", () => {
  expect(ask("192.0.2.0/28", "From: a@example.test")).toEqual({
    edits: [{ kind: "remove", name: "x-client-id" }],
    sign: { domain: "example.test", selector: "gate1" },
    overTls: false,
    archive: null,
  });
  expect(ask("192.0.2.0/28", "From: a@strict.test").sign).toBeNull();
  expect(ask("192.0.2.0/28", "From: a@elsewhere.example.org").sign).toBeNull();
  expect(ask("192.0.2.0/28", "From: a@example.test\r\nFrom: b@example.test").sign).toBeNull();
});

test.each([
  ["From", "info@example.test", "From: a@strict.test", true],
  ["envelope", "a@strict.test", "From: a@example.test", true],
  ["a host below", "info@example.test", "From: cron@web.strict.test", true],
  ["Sender", "info@example.test", "From: a@example.test\r\nSender: a@strict.test", true],
  ["Resent-From", "info@example.test", "From: a@example.test\r\nResent-From: a@strict.test", true],
  ["none", "info@example.test", "From: a@example.test", false],
])("over TLS when another domain it was written for wants it: %s", (_, path, from, tls) => {
  for (const sender of ["192.0.2.0/28", "removed@example.test"])
    expect([sender, ask(sender, from, "outbound", path).overTls]).toEqual([sender, tls]);
  // Taken from a network that is excepted from outgoing control.
  expect(ask("", from, "outbound", path).overTls).toBe(false);
});

test("a user: its selector is for its own domain", () => {
  expect(ask("alice@strict.test", "From: alice@strict.test")).toEqual({
    edits: [],
    sign: { domain: "strict.test", selector: "alice1" },
    overTls: true,
    archive: {
      domain: "example.test",
      sender: "alice@strict.test",
      headerFrom: "Info <info@example.test>",
      subject: "Hello",
    },
  });
  expect(ask("alice@strict.test", "From: info@example.test").sign).toEqual({
    domain: "example.test",
    selector: "gate1",
  });
  expect(ask("alice@strict.test", "From: alice@strict.test", "internal").overTls).toBe(false);
});

test("a trusted network is nobody and speaks for all our domains; mail from outside stays as it is", () => {
  expect(ask("app@example.test", "From: app@example.test")).toEqual({
    edits: [],
    sign: { domain: "example.test", selector: "gate1" },
    overTls: false,
    archive: null,
  });
  expect(ask("", "From: app@example.test", "inbound")).toEqual({
    edits: [],
    sign: null,
    overTls: false,
    archive: null,
  });
});
