// Logins over a real listener: domain senders, passwords asked of a mail server, CRAM-MD5, domains that require TLS, and bans.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { MailServerAnswer, MailServerQuestion } from "../../src/hooks/mail-server-login.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { CRAM_PURPOSE } from "../../src/policy/sealed-password.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { TRIAL_KEY } from "../listener/trial-logins.ts";
import { connectClient, type LoginClient, plainOf } from "./login-client.ts";

const PASSWORD = "tulip magnet forty";
const OK = "235 2.7.0 Logged in";
const WRONG = "535 5.7.8 Login or password is wrong";

/** What was to be waited for, in milliseconds. */
const waits: number[] = [];
/** Waits take a fiftieth of their time: how long they are has its own test. */
const quick: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    waits.push(ms);
    const timer = setTimeout(wake, ms / 50);
    return () => clearTimeout(timer);
  },
};

let gateway: TrialGateway;
let answer: MailServerAnswer = { result: "right" };
const asked: MailServerQuestion[] = [];
const open: LoginClient[] = [];
let addresses = 0;

beforeAll(async () => {
  const password_hash = await Bun.password.hash(PASSWORD, {
    algorithm: "argon2id",
    memoryCost: 64,
    timeCost: 1,
  });
  const server = { protocol: "imap", host: "mail.example.test" };
  const common = { listen: "127.0.0.1:0", proxy_from: ["127.0.0.0/8"], greeting_delay: 0 };
  const auth = { auth: "optional", auth_without_tls: true, relay: ["authenticated"] };
  gateway = await openTrialGateway({
    clock: quick,
    policy: trialPolicy({
      listener: [
        { name: "mx", ...common },
        { name: "plain", ...common, ...auth },
        { name: "cram", ...common, ...auth, cram_md5: true },
      ],
      domain: [
        { name: "example.test", recipients: { verify: "list", list: ["bob@example.test"] } },
        { name: "server.test", outgoing: { password_server: server } },
        { name: "unset.test" },
        { name: "strict.test", outgoing: { enterprise: true } },
        { name: "lax.test", outgoing: { enterprise: true, require_tls: false } },
      ],
      sender: [
        { login: "alice@example.test", domain: "example.test", password_hash },
        { kind: "domain", domain: "example.test", password_hash },
        { login: "carol@server.test", domain: "server.test", verify: "mail-server" },
        { login: "dave@unset.test", domain: "unset.test", verify: "mail-server" },
        { login: "erin@strict.test", domain: "strict.test", password_hash },
        { login: "erin@lax.test", domain: "lax.test", password_hash },
        {
          login: "cram@example.test",
          domain: "example.test",
          cram_password: TRIAL_KEY.seal(PASSWORD, CRAM_PURPOSE),
        },
        {
          login: "off@example.test",
          domain: "example.test",
          enabled: false,
          cram_password: TRIAL_KEY.seal(PASSWORD, CRAM_PURPOSE),
        },
      ],
    }),
    mailServerLogin: {
      check: (question) => {
        asked.push(question);
        return Promise.resolve(answer);
      },
      usualRefusalMs: () => 5,
    },
  });
});

afterAll(async () => {
  for (const client of open) client.close();
  await gateway[Symbol.asyncDispose]();
});

/** Each client has an address of its own unless it names one. */
async function client(listener = "plain", ip = `203.0.113.${++addresses}`): Promise<LoginClient> {
  const made = await connectClient(gateway.port(listener), ip);
  open.push(made);
  return made;
}

describe("domain senders", () => {
  test.each(["example.test", "EXAMPLE.test"])("log in under the bare domain: %s", async (name) => {
    expect(await (await client()).say(plainOf(name, PASSWORD))).toBe(OK);
  });
  test("with their own password only", async () => {
    expect(await (await client()).say(plainOf("example.test", "wrong"))).toBe(WRONG);
    expect(await (await client()).say(plainOf("server.test", PASSWORD))).toBe(WRONG);
  });
});

describe("a password the mail server judges", () => {
  const carol = plainOf("Carol@server.test", "any");
  test("is right when that says so; the server is asked with the sender's own login", async () => {
    answer = { result: "right" };
    expect(await (await client()).say(carol)).toBe(OK);
    expect(asked.at(-1)).toMatchObject({ login: "carol@server.test", password: "any", cacheMs: 300_000 });
    expect(asked.at(-1)?.server).toMatchObject({
      protocol: "imap",
      host: "mail.example.test",
      verifyCertificate: true,
    });
  });
  test("is wrong when that says so, and a login that does not exist is answered alike without asking", async () => {
    answer = { result: "wrong" };
    expect(await (await client()).say(carol)).toBe(WRONG);
    const count = asked.length;
    expect(await (await client()).say(plainOf("nobody@server.test", "any"))).toBe(WRONG);
    expect(asked.length).toBe(count);
  });
  test("gets 454 while the server is down or busy, which is nobody's failure", async () => {
    const ip = "203.0.113.200";
    const before = gateway.bans.loginDelayMs({ ip, login: "carol@server.test" });
    for (const late of [{ result: "unavailable", words: "down" }, { result: "busy" }] as const) {
      answer = late;
      const one = await client("plain", ip);
      for (let i = 0; i < 8; i++) expect(await one.say(carol)).toStartWith("454 4.7.0 ");
    }
    answer = { result: "right" };
    expect(gateway.bans.loginDelayMs({ ip, login: "carol@server.test" })).toBe(before);
    expect(await (await client("plain", ip)).say(carol)).toBe(OK);
  });
  test("gets 454 when no server is set for its domain", async () => {
    expect(await (await client()).say(plainOf("dave@unset.test", "any"))).toStartWith("454 4.7.0 ");
  });
});

describe("a domain that requires TLS", () => {
  test.each(["erin@strict.test", "nobody@strict.test"])(
    "refuses %s without, before the password is asked",
    async (login) => {
      const one = await client();
      expect(await one.say(plainOf(login, PASSWORD))).toStartWith("538 5.7.11 ");
      expect(await one.say(`AUTH LOGIN ${Buffer.from(login).toString("base64")}`)).toStartWith("538 5.7.11 ");
    },
  );
  test("takes it with TLS", async () => {
    const one = await client();
    await one.startTls();
    expect(await one.say(plainOf("erin@strict.test", PASSWORD))).toBe(OK);
  });
  test("but not when that part is switched off", async () => {
    expect(await (await client()).say(plainOf("erin@lax.test", PASSWORD))).toBe(OK);
  });
});

describe("CRAM-MD5", () => {
  const respond = (challenge: string, login: string, password: string): string => {
    const text = Buffer.from(challenge.slice(4), "base64").toString();
    const digest = createHmac("md5", password).update(text).digest("hex");
    return Buffer.from(`${login} ${digest}`).toString("base64");
  };
  const offered = ({ lines }: LoginClient): readonly string[] =>
    lines.map((line) => line.slice(4)).filter((line) => line.startsWith("AUTH"));
  const logIn = async (login: string, password: string): Promise<string> => {
    const one = await client("cram");
    return one.say(respond(await one.say("AUTH CRAM-MD5"), login, password));
  };
  test("is offered where the listener says so, and nowhere else", async () => {
    const [without, having] = [await client(), await client("cram")];
    expect(offered(without)).toEqual(["AUTH PLAIN LOGIN"]);
    expect(offered(having)).toEqual(["AUTH PLAIN LOGIN CRAM-MD5"]);
    expect(await without.say("AUTH CRAM-MD5")).toStartWith("504 ");
  });
  test("the example of RFC 2195 is computed as it is there", () => {
    const challenge = `334 ${Buffer.from("<1896.697170952@postoffice.reston.mci.net>").toString("base64")}`;
    const response = Buffer.from(respond(challenge, "tim", "tanstaaftanstaaf"), "base64").toString();
    expect(response).toBe("tim b913a602c7eda7a495b4e6e7334d3890");
  });
  test("the right password logs in, in any case of the login", async () => {
    expect(await logIn("cram@example.test", PASSWORD)).toBe(OK);
    expect(await logIn("CRAM@example.test", PASSWORD)).toBe(OK);
  });
  test.each([
    ["a wrong password", "cram@example.test", "wrong"],
    ["a sender without a recoverable password", "alice@example.test", PASSWORD],
    ["no such login", "nobody@example.test", PASSWORD],
    ["a login switched off", "off@example.test", PASSWORD],
    ["an empty password for nobody", "nobody@example.test", ""],
  ])("one answer for %s", async (_name, login, password) => {
    expect(await logIn(login, password)).toBe(WRONG);
  });
  test("challenges never repeat, and an answer to another one is worth nothing", async () => {
    const one = await client("cram");
    const first = await one.say("AUTH CRAM-MD5");
    await one.say("*");
    const second = await one.say("AUTH CRAM-MD5");
    expect(second).not.toBe(first);
    expect(Buffer.from(second.slice(4), "base64").toString()).toMatch(
      /^<[0-9a-f]{24}\.\d+@gate\.example\.test>$/,
    );
    expect(await one.say(respond(first, "cram@example.test", PASSWORD))).toBe(WRONG);
  });
  test.each([
    "",
    "=",
    "bm8gZGlnZXN0",
    Buffer.from(`a@b.test ${"g".repeat(32)}`).toString("base64"),
    "\u0001",
  ])("garbage is garbage: %j", async (line) => {
    const one = await client("cram");
    await one.say("AUTH CRAM-MD5");
    expect(await one.say(line)).toStartWith("501 ");
  });
  test("has no initial response", async () => {
    expect(await (await client("cram")).say("AUTH CRAM-MD5 YQ==")).toStartWith("501 ");
  });
});

describe("bans", () => {
  const GUESSER = "198.51.100.7";
  test("a guesser is cut off, shut out of every listener, and let in again when the ban is lifted", async () => {
    for (let i = 0; i < 9; i++)
      gateway.bans.noteFailedLogin({ ip: GUESSER, login: `user${i}@example.test` }, `guess ${i}`);
    const one = await client("plain", GUESSER);
    expect(await one.say(plainOf("alice@example.test", "last"))).toStartWith("421 4.7.0 ");
    expect((await client("plain", GUESSER)).greeting).toStartWith("421 4.7.0 ");
    expect((await client("mx", GUESSER)).greeting).toStartWith("421 4.7.0 ");
    expect((await client("mx", "198.51.100.8")).greeting).toStartWith("220 ");
    expect(gateway.bans.lift(`${GUESSER}/32`)).toBe(true);
    expect(await (await client("plain", GUESSER)).say(plainOf("alice@example.test", PASSWORD))).toBe(OK);
  }, 30_000);

  test("behind a banned address, who has logged in before may log in, others may not; and no mail comes in", async () => {
    const ip = "198.51.100.20";
    expect(await (await client("plain", ip)).say(plainOf("alice@example.test", PASSWORD))).toBe(OK);
    for (let i = 0; i < 10; i++) gateway.bans.noteFailedLogin({ ip, login: "x@example.test" }, `guess ${i}`);
    expect(await (await client("plain", ip)).say(plainOf("alice@example.test", PASSWORD))).toBe(OK);
    expect(await (await client("plain", ip)).say(plainOf("example.test", PASSWORD))).toStartWith(
      "421 4.7.0 ",
    );
    expect((await client("mx", ip)).greeting).toStartWith("421 4.7.0 ");
  });

  test("a harvester is cut off in the middle of its dictionary, over connections", async () => {
    const ip = "198.51.100.30";
    let refused = 0;
    for (let connection = 0; connection < 10; connection++) {
      const one = await client("mx", ip);
      if (!one.greeting.startsWith("220")) break;
      await one.say("MAIL FROM:<a@example.org>");
      for (let i = 0; i < 19; i++) {
        const reply = await one.say(`RCPT TO:<guess${connection}x${i}@example.test>`);
        if (reply.startsWith("550 5.1.1")) refused++;
      }
    }
    expect(refused).toBe(99);
    expect(gateway.bans.list().find(({ network }) => network === `${ip}/32`)?.unknownRecipients).toBe(100);
  }, 60_000);

  test("from the tenth unknown recipient on, a stranger waits for the answer", async () => {
    const ip = "198.51.100.31";
    const one = await client("mx", ip);
    await one.say("MAIL FROM:<a@example.org>");
    for (let i = 0; i < 11; i++) {
      waits.length = 0;
      expect(await one.say(`RCPT TO:<guess${i}@example.test>`)).toStartWith("550 5.1.1 ");
      // Other waits of the gateway may be among them.
      if (i >= 9) expect(waits).toContain((i - 8) * 500);
      else expect(waits).not.toContain(500);
    }
  });
});
