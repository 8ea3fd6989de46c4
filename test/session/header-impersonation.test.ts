// Whom a login may seem to be, over SMTP: whatever any mail program may show as the author must belong to it, however it is written.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";
import { connectClient, type LoginClient, plainOf } from "./login-client.ts";

let gateway: TrialGateway;
let alice: LoginClient;

beforeAll(async () => {
  gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:0",
          proxy_from: ["127.0.0.0/8"],
          greeting_delay: 0,
          auth: "optional",
          auth_without_tls: true,
          relay: ["authenticated"],
        },
      ],
      domain: [{ name: "example.test", rules: [], recipients: { verify: "catch-all" } }],
      sender: [
        {
          login: "alice@example.test",
          domain: "example.test",
          password_hash: CHEAP_HASH,
          send_as: ["@sub.example.test", "info@bücher.test", '"the office"@example.test'],
        },
      ],
    }),
  });
  alice = await connectClient(gateway.port(), "203.0.113.5");
  expect(await alice.say(plainOf("alice@example.test", "tulip magnet forty"))).toStartWith("235 ");
});

afterAll(async () => {
  alice.close();
  await gateway[Symbol.asyncDispose]();
});

async function envelope(path: string): Promise<string> {
  const answer = await alice.say(`MAIL FROM:<${path}>`);
  await alice.say("RSET");
  return answer.slice(0, 3);
}

async function header(fields: string): Promise<string> {
  for (const [line, code] of [
    ["MAIL FROM:<alice@example.test>", "250"],
    ["RCPT TO:<x@elsewhere.example>", "250"],
    ["DATA", "354"],
  ] as const)
    expect(await alice.say(line)).toStartWith(code);
  return (await alice.say(`${fields}\r\n\r\nx\r\n.`)).slice(0, 3);
}

const ME = "From: alice@example.test";

describe("the envelope", () => {
  test.each([
    // A receipt: From says whose it is.
    "",
    "alice@example.test",
    "ALICE@Example.TEST",
    "alice@example.test.",
    "anybody@sub.example.test",
    "anybody@SUB.example.test",
    "info@xn--bcher-kva.test",
    '"alice"@example.test',
    '"Al\\ice"@example.test',
    '"the office"@example.test',
    "@relay.example,@other.example:alice@example.test",
  ])("takes %s", async (path) => expect(await envelope(path)).toBe("250"));

  test.each([
    "boss@example.test",
    "alice+boss@example.test",
    '"alice@example.test,boss"@example.test',
    '"boss@example.test> SIZE=1"@example.test',
    "alice@example.test@elsewhere.example",
    "a@sub.sub.example.test",
    "a@xsub.example.test",
    "sub.example.test@example.test",
    "boss@xn--bcher-kva.test",
    "alice@[127.0.0.1]",
    "alice@elsewhere.example",
    "@example.test",
    "@sub.example.test:boss@example.test",
  ])("does not take %j", async (path) => expect(await envelope(path)).toMatch(/^5/));
});

describe("the header", () => {
  test.each([
    ME,
    "FROM:\r\n Alice (who (else?)) <alice@example.test>",
    "From: boss@example.test <alice@example.test>",
    'From: "boss@example.test" <alice@example.test>',
    "From: =?utf-8?q?boss=40example.test?= <alice@example.test>",
    `${ME}\r\nSender: anybody@sub.example.test\r\nResent-From: alice@example.test`,
    `${ME}\r\nReply-To: boss@example.test`,
  ])("takes %j", async (fields) => expect(await header(fields)).toBe("250"));

  test.each([
    "Subject: nobody",
    "From:",
    "From: undisclosed:;",
    "From: =?utf-8?q?alice=40example.test?=",
    "From: boss@example.test",
    `${ME}, boss@example.test`,
    `${ME}\r\n ,\r\n\tboss@example.test`,
    `${ME}\r\nFrom: alice@example.test`,
    `${ME}\r\nfrom\t: Boss`,
    `${ME}; boss@example.test`,
    "From: boss@example.test:alice@example.test;",
    "From : alice@example.test",
    "From: <@a.example,@b.example:alice@example.test>",
    "From: a group: alice@example.test;",
    "From: <boss@example.test> <alice@example.test>",
    "From: alice@example.test (boss) boss@example.test",
    'From: "alice@example.test, boss@example.test',
    "From: (alice@example.test boss@example.test",
    "From: alice@example.test\u0000boss@example.test",
    "From: <alice@example.test,boss@example.test>",
    "From: <alice@example.test:boss@example.test>",
    'From: alice@example.test, "the".boss@example.test',
    "From: b\u00f6ss@example.test, alice@example.test",
    `${ME}\r\nSender: boss@example.test`,
    `${ME}\r\nSender: alice@example.test\r\nSender: boss@example.test`,
    `${ME}\r\nResent-From: alice@example.test, boss@example.test`,
    `${ME}\r\nRESENT-SENDER : boss@example.test`,
    `${ME}\r\nResent-From: alice@example.test\r\nResent-Sender: alice@example.test\r\nResent-From: boss@example.test`,
    `${ME}\r\nSen\u0000der: boss@example.test`,
    `${ME}\r\nResent-From\r\n : boss@example.test`,
    `${ME}\r\nno field at all\r\nFrom: boss@example.test`,
    `${ME}\r\nFrom\r\n : boss@example.test`,
    ` From: boss@example.test\r\n${ME}`,
  ])("does not take %j", async (fields) => expect(await header(fields)).toMatch(/^5/));
});
