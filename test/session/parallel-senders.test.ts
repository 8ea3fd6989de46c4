// Limits against a sender that tries everything at once: many connections side by side, transactions that come to nothing, recipients
// shared between messages that are still being checked, a store that takes nothing.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { type Bench, benchOf } from "../outgoing/outgoing-kit.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";
import { connectClient, type LoginClient, plainOf } from "./login-client.ts";

const PASSWORD = "tulip magnet forty";
const user = (name: string, limits: object) => ({
  login: `${name}@example.test`,
  domain: "example.test",
  password_hash: CHEAP_HASH,
  limits,
});
const document = {
  domain: [{ name: "example.test", rules: [] }],
  sender: [
    user("connections", { per_minute: 5 }),
    user("again", { per_minute: 5 }),
    user("recipients", { recipients_per_day: 10 }),
    user("undone", { recipients_per_day: 4 }),
  ],
  // So that every message is checked.
  rule: [{ name: "wants-checks", when: "eicar.found", action: "reject" }],
} as const;

let bench: Bench;
let gateway: TrialGateway;
const open: LoginClient[] = [];
let release = () => {};
let checking = 0;

beforeAll(async () => {
  bench = await benchOf(document);
  gateway = await openTrialGateway({
    policy: trialPolicy({
      ...document,
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:0",
          proxy_from: ["127.0.0.0/8"],
          max_connections_per_client: 100,
          auth: "optional",
          auth_without_tls: true,
          relay: ["authenticated"],
          greeting_delay: 0,
        },
      ],
    }),
    outgoing: bench.outgoing,
    checker: {
      async run() {
        checking++;
        await new Promise<void>((resolve) => {
          const before = release;
          release = () => {
            before();
            resolve();
          };
        });
        return [];
      },
    },
  });
});

afterAll(async () => {
  for (const client of open) client.close();
  await gateway[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

async function loggedIn(name: string): Promise<LoginClient> {
  const client = await connectClient(gateway.port(), "203.0.113.9");
  open.push(client);
  expect(await client.say(plainOf(`${name}@example.test`, PASSWORD))).toStartWith("235 ");
  return client;
}

const many = (name: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => loggedIn(name)));

test("twenty connections at once: as many as the limit send, the others hear of it", async () => {
  const clients = await many("connections", 20);
  const answers = await Promise.all(clients.map((one) => one.say("MAIL FROM:<connections@example.test>")));
  expect(answers.filter((one) => one.startsWith("250 "))).toHaveLength(5);
  expect(answers.filter((one) => one.startsWith("450 4.7.1 Limit of 5 connections per minute"))).toHaveLength(
    15,
  );
});

test("transactions begun and given up cost nothing further, and open no further connection", async () => {
  const [first, ...others] = await many("again", 6);
  for (let i = 0; i < 50; i++) {
    expect(await first?.say("MAIL FROM:<again@example.test>")).toStartWith("250 ");
    expect(await first?.say("RSET")).toStartWith("250 ");
  }
  const answers: (string | undefined)[] = [];
  for (const one of others) answers.push(await one.say("MAIL FROM:<again@example.test>"));
  expect(answers.map((one) => one?.slice(0, 3))).toEqual(["250", "250", "250", "250", "450"]);
});

const message = (name: string) => `From: ${name}@example.test\r\n\r\nx\r\n.`;

async function ready(name: string, count: number): Promise<LoginClient> {
  const client = await loggedIn(name);
  expect(await client.say(`MAIL FROM:<${name}@example.test>`)).toStartWith("250 ");
  for (let n = 0; n < count; n++)
    expect(await client.say(`RCPT TO:<r${n}@elsewhere.example>`)).toStartWith("250 ");
  expect(await client.say("DATA")).toStartWith("354 ");
  return client;
}

test("messages that are checked side by side do not share the same room", async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => ready("recipients", 3)));
  const answers = Promise.all(clients.map((one) => one.say(message("recipients"))));
  while (checking < 3) await Bun.sleep(2);
  release();
  const told = await answers;
  expect(told.filter((one) => one.startsWith("250 "))).toHaveLength(3);
  expect(told.filter((one) => one.startsWith("450 4.7.1 Limit of 10 recipients"))).toHaveLength(5);
  expect(gateway.queue.accepted.reduce((sum, { recipients }) => sum + recipients.length, 0)).toBe(9);
});

test("what could not be stored counts for nobody: it comes again", async () => {
  for (let i = 0; i < 5; i++) {
    gateway.queue.failing = "disk-full";
    const client = await ready("undone", 3);
    const count = checking;
    const answer = client.say(message("undone"));
    while (checking === count) await Bun.sleep(2);
    release();
    expect(await answer).toStartWith("452 ");
    client.close();
  }
  gateway.queue.failing = null;
  const client = await ready("undone", 3);
  const count = checking;
  const answer = client.say(message("undone"));
  while (checking === count) await Bun.sleep(2);
  release();
  expect(await answer).toStartWith("250 ");
});
