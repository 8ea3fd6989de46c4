// What a password opens, and what it must not: other people's passwords by way of the sender address, connections opened with one that
// was changed since, another domain's mail server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { MailServerQuestion } from "../../src/hooks/mail-server-login.ts";
import type { Clock } from "../../src/observe/clock.ts";
import {
  openTrialGateway,
  type TrialGateway,
  type TrialPolicy,
  trialPolicy,
} from "../listener/trial-gateway.ts";
import { connectClient, type LoginClient, plainOf } from "./login-client.ts";

const MINE = "tulip magnet forty";
const THEIRS = "lantern copper sixty";

/** Waits are asked for, not waited for. */
let waited = 0;
const quick: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    waited += ms;
    const timer = setTimeout(wake, 0);
    return () => clearTimeout(timer);
  },
};

let gateway: TrialGateway;
let parts: TrialPolicy & { readonly sender: readonly object[] };
const asked: MailServerQuestion[] = [];
const open: LoginClient[] = [];
let addresses = 0;

beforeAll(async () => {
  const hash = (password: string) =>
    Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 64, timeCost: 1 });
  const [mine, theirs] = [await hash(MINE), await hash(THEIRS)];
  const links = { link_same_password: true };
  const server = { protocol: "imap", host: "mail.far.test" };
  parts = {
    listener: [
      {
        name: "plain",
        listen: "127.0.0.1:0",
        proxy_from: ["127.0.0.0/8"],
        greeting_delay: 0,
        auth: "optional",
        auth_without_tls: true,
        relay: ["authenticated"],
      },
    ],
    domain: [
      { name: "example.test", outgoing: links },
      { name: "near.test", outgoing: { ...links, password_server: server } },
      { name: "far.test", outgoing: { ...links, password_server: server } },
    ],
    sender: [
      { login: "alice@example.test", domain: "example.test", password_hash: mine },
      { login: "alias@example.test", domain: "example.test", password_hash: mine },
      ...Array.from({ length: 12 }, (_, i) => ({
        login: `bob${i}@example.test`,
        domain: "example.test",
        password_hash: theirs,
      })),
      { login: "carol@near.test", domain: "near.test", verify: "mail-server" },
      { login: "carol@far.test", domain: "far.test", verify: "mail-server" },
      { login: "sealed@example.test", domain: "example.test", password_hash: mine },
    ],
  };
  gateway = await openTrialGateway({
    clock: quick,
    policy: trialPolicy(parts),
    mailServerLogin: {
      check: (question) => {
        asked.push(question);
        return Promise.resolve({ result: "right" });
      },
      usualRefusalMs: () => 0,
    },
  });
});

afterAll(async () => {
  for (const client of open) client.close();
  await gateway[Symbol.asyncDispose]();
});

async function loggedIn(
  login: string,
  password: string,
  ip = `203.0.113.${++addresses}`,
): Promise<LoginClient> {
  const client = await connectClient(gateway.port("plain"), ip);
  open.push(client);
  expect(await client.say(plainOf(login, password))).toBe("235 2.7.0 Logged in");
  return client;
}

const from = (address: string) => `MAIL FROM:<${address}>`;

describe("an address under the same password", () => {
  test("is open to the login, and is no guess", async () => {
    const alice = await loggedIn("alice@example.test", MINE, "198.51.100.1");
    expect(await alice.say(from("alias@example.test"))).toStartWith("250 ");
    expect(gateway.bans.loginDelayMs({ ip: "198.51.100.1", login: "stranger@example.test" })).toBe(0);
  });

  test("that is refused counts as a failed login there: it waits longer, and bans", async () => {
    const ip = "198.51.100.2";
    const alice = await loggedIn("alice@example.test", MINE, ip);
    const before = waited;
    for (let i = 0; i < 10; i++)
      expect(await alice.say(from(`bob${i}@example.test`))).toStartWith("550 5.7.1 ");
    expect(waited - before).toBeGreaterThan(5000);
    expect(gateway.bans.list().map(({ network }) => network)).toContain(`${ip}/32`);
    // Alice herself still gets in from there; a further guess is not even looked at, though it would be right.
    const again = await loggedIn("alice@example.test", MINE, ip);
    expect(await again.say(from("alias@example.test"))).toStartWith("550 5.7.1 ");
    expect(await again.say(from("alice@example.test"))).toStartWith("250 ");
  });

  test("that nobody has is asked about like one in use", async () => {
    const ip = "198.51.100.3";
    const alice = await loggedIn("alice@example.test", MINE, ip);
    for (const address of ["nobody@example.test", "bob1@example.test"]) {
      const before = gateway.bans.loginDelayMs({ ip, login: "stranger@example.test" });
      expect(await alice.say(from(address))).toBe(
        `550 5.7.1 alice@example.test may not send as ${address}; ask your administrator to allow it (send as)`,
      );
      expect(gateway.bans.loginDelayMs({ ip, login: "stranger@example.test" })).toBeGreaterThan(before);
    }
  });

  test("never takes the password to another domain's mail server", async () => {
    asked.length = 0;
    const alice = await loggedIn("alice@example.test", MINE);
    for (const address of ["carol@far.test", "nobody@far.test", "carol@near.test"])
      expect(await alice.say(from(address))).toStartWith("550 5.7.1 ");
    expect(asked).toEqual([]);
    // Two domains of one mail server are another matter: it has judged the password already.
    const carol = await loggedIn("carol@near.test", "any");
    expect(await carol.say(from("carol@far.test"))).toStartWith("250 ");
    expect(asked.map(({ login }) => login)).toEqual(["carol@near.test", "carol@far.test"]);
  });
});

describe("a connection opened with a password that was changed", () => {
  const change = (sender: (one: object) => object | null) =>
    gateway.change(trialPolicy({ ...parts, sender: parts.sender.map(sender).filter((one) => one !== null) }));
  const isSealed = (one: object) => Reflect.get(one, "login") === "sealed@example.test";

  test("sends no more, one of somebody else goes on, and other settings close nothing", async () => {
    const thief = await loggedIn("sealed@example.test", MINE);
    const alice = await loggedIn("alice@example.test", MINE);
    await change((one) => (isSealed(one) ? { ...one, limits: { per_day: 1000 } } : one));
    expect(await thief.say(from("sealed@example.test"))).toStartWith("250 ");
    expect(await thief.say("RSET")).toStartWith("250 ");
    const password_hash = Reflect.get(parts.sender[2] ?? {}, "password_hash");
    await change((one) => (isSealed(one) ? { ...one, password_hash } : one));
    expect(await thief.say(from("sealed@example.test"))).toBe(
      "421 4.7.0 Your password was changed; connect and log in again",
    );
    expect(await thief.say("NOOP")).toStartWith("closed");
    expect(await alice.say(from("alice@example.test"))).toStartWith("250 ");
    await loggedIn("sealed@example.test", THEIRS);
  });

  test("nor when its sender was removed, switched off, or made again", async () => {
    await gateway.change(trialPolicy(parts));
    const one = await loggedIn("sealed@example.test", MINE);
    const two = await loggedIn("sealed@example.test", MINE);
    await change((sender) => (isSealed(sender) ? { ...sender, enabled: false } : sender));
    expect(await one.say(from("sealed@example.test"))).toStartWith("550 5.7.1 This login may not send mail");
    await change((sender) => (isSealed(sender) ? null : sender));
    expect(await one.say(from("sealed@example.test"))).toStartWith("550 5.7.1 This login may not send mail");
    const password_hash = Reflect.get(parts.sender[2] ?? {}, "password_hash");
    await change((sender) => (isSealed(sender) ? { ...sender, password_hash } : sender));
    expect(await two.say(from("sealed@example.test"))).toStartWith("421 4.7.0 ");
  });
});
