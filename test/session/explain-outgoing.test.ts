// `gatepost check` for outgoing mail: it says who would be behind the message and answers as the sender is set. It counts nothing.
import { expect, test } from "bun:test";
import { explain } from "../../src/session/explain.ts";
import { benchOf } from "../outgoing/outgoing-kit.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";

const document = {
  domain: [{ name: "example.test", rules: ["macros-own"] }],
  sender: [
    {
      login: "alice@example.test",
      domain: "example.test",
      password_hash: CHEAP_HASH,
      reauthentication_permitted: true,
      identify_by: { header: "X-Client-ID" },
      quarantine_response: "accepted",
    },
    { kind: "ip", range: "192.0.2.7", domain: "example.test", reauthenticate_as: "alice@example.test" },
  ],
  rule: [{ name: "macros-own", when: "attachments.macros", action: "quarantine", counts_as_spam: true }],
};

test("facts of outgoing control, the verdict and its answer", async () => {
  await using bench = await benchOf(document);
  const ask = (ip: string, login: string | null) =>
    explain(
      {
        raw: Buffer.from("From: alice@example.test\nX-Client-ID: shop\n\nx\n"),
        from: null,
        to: ["x@elsewhere.example.org"],
        ip,
        helo: "c",
        login,
      },
      {
        snapshot: bench.snapshot,
        now: bench.clock.now(),
        checker: {
          run: async () => [{ check: "attachments", fact: "attachments.macros", value: ["a.docm"] }],
        },
        outgoing: bench.outgoing,
      },
    );
  for (const [ip, login] of [
    ["198.51.100.1", "alice@example.test"],
    ["192.0.2.7", null],
  ] as const) {
    const { findings, recipients } = await ask(ip, login);
    const facts = Object.fromEntries(findings.map(({ fact, value }) => [fact, value]));
    expect(facts).toMatchObject({
      "identity.found": true,
      "identity.name": "shop",
      "identity.sender": "alice@example.test",
      "bulk.level": 0,
    });
    expect(recipients).toMatchObject([
      {
        direction: "outbound",
        verdict: { action: "quarantine", rule: "macros-own", replyCode: 250, spam: true },
      },
    ]);
  }
  const stranger = await ask("198.51.100.1", null);
  expect(stranger.findings.some(({ check }) => check === "identity")).toBe(false);
  expect(
    (await bench.outgoing.identities({ limit: 10, offset: 0 })).items.map((one) => one.messagesDay),
  ).toEqual([]);
});
