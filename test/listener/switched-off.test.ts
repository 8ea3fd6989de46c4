// What is switched off or taken away stops at once, on connections and transactions that are open as well (O1, O12).
import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";
import { openTrialGateway, type TrialPolicy, trialPolicy } from "./trial-gateway.ts";

const PLAIN = Buffer.from("\0alice@example.test\0tulip magnet forty").toString("base64");
const LISTENER = {
  name: "mx",
  listen: "127.0.0.1:0",
  tls: "none",
  auth: "optional",
  auth_without_tls: true,
  relay: ["trusted-networks", "authenticated"],
  greeting_delay: 0,
};
const ALICE = { login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH };
const RANGE = { kind: "ip", range: "127.0.0.31/32", domain: "example.test" };
const BASE: TrialPolicy = {
  listener: [LISTENER],
  networks: { trusted: ["127.0.0.32/32"] },
  domain: [
    { name: "example.test", rules: [] },
    { name: "other.test", rules: [] },
  ],
  sender: [ALICE, RANGE],
};

class Client {
  #text = "";
  readonly #socket: Socket;
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#text += chunk.toString("latin1");
    });
  }
  async say(line: string | null): Promise<string> {
    if (line !== null) this.#socket.write(`${line}\r\n`);
    for (let waited = 0; waited < 8000; waited += 5) {
      const last = /^(\d{3}) [^\r\n]*\r\n$/m.exec(this.#text);
      if (last !== null) {
        this.#text = "";
        return last[0].trim();
      }
      await Bun.sleep(5);
    }
    throw new Error(`no answer to ${line}: ${this.#text}`);
  }
  end(): void {
    this.#socket.destroy();
  }
}

async function client(port: number, from: string, login: boolean): Promise<Client> {
  const one = new Client(connect({ port, host: "127.0.0.1", localAddress: from }));
  await one.say(null);
  await one.say("EHLO c");
  if (login) expect(await one.say(`AUTH PLAIN ${PLAIN}`)).toStartWith("235");
  return one;
}

const OFF: readonly (readonly [string, TrialPolicy])[] = [
  [
    "the domain is off",
    { ...BASE, domain: [{ name: "example.test", rules: [], enabled: false }, { name: "other.test" }] },
  ],
  ["the domain is gone", { ...BASE, domain: [{ name: "other.test" }], sender: [] }],
  [
    "the sender is off",
    {
      ...BASE,
      sender: [
        { ...ALICE, enabled: false },
        { ...RANGE, enabled: false },
      ],
    },
  ],
  ["the sender is gone", { ...BASE, sender: [] }],
];

for (const [what, after] of OFF)
  for (const [who, from, login] of [
    ["a login", "127.0.0.2", true],
    ["a range", "127.0.0.31", false],
  ] as const)
    test(`${what}: ${who}`, async () => {
      await using gateway = await openTrialGateway({ policy: trialPolicy(BASE) });
      const open = await client(gateway.port(), from, login);
      const begun = await client(gateway.port(), from, login);
      expect(await begun.say("MAIL FROM:<alice@example.test>")).toStartWith("250");
      expect(await begun.say("RCPT TO:<x@elsewhere.example>")).toStartWith("250");
      await gateway.change(trialPolicy(after));
      expect(await begun.say("DATA")).toStartWith("354");
      expect(await begun.say("From: alice@example.test\r\n\r\nx\r\n.")).toStartWith("550 5.7.1");
      const mail = await open.say("MAIL FROM:<alice@example.test>");
      if (login) expect(mail).toBe("550 5.7.1 This login may not send mail; ask your administrator");
      else expect(await open.say("RCPT TO:<x@elsewhere.example>")).toBe("550 5.7.1 Relaying denied");
      if (login) {
        const again = new Client(connect({ port: gateway.port(), host: "127.0.0.1", localAddress: from }));
        await again.say(null);
        await again.say("EHLO c");
        expect(await again.say(`AUTH PLAIN ${PLAIN}`)).toStartWith("535");
        again.end();
      }
      expect(gateway.queue.accepted).toHaveLength(0);
      open.end();
      begun.end();
    });

test("the domain is off: a trusted network does not send in its name", async () => {
  await using gateway = await openTrialGateway({ policy: trialPolicy(BASE) });
  const begun = await client(gateway.port(), "127.0.0.32", false);
  expect(await begun.say("MAIL FROM:<alice@example.test>")).toStartWith("250");
  expect(await begun.say("RCPT TO:<x@elsewhere.example>")).toStartWith("250");
  await gateway.change(trialPolicy(OFF[0]?.[1] ?? BASE));
  expect(await begun.say("DATA")).toStartWith("354");
  expect(await begun.say("From: alice@example.test\r\n\r\nx\r\n.")).toStartWith(
    "550 5.7.1 Mail of example.test is not sent",
  );
  expect(gateway.queue.accepted).toHaveLength(0);
  begun.end();
});

/** Facts as the DKIM check finds them; what it finds is tested with it. */
const signed = (facts: Readonly<Record<string, string | boolean>>) => ({
  run: async () => Object.entries(facts).map(([fact, value]) => ({ check: "dkim", fact, value })),
});

test.each([
  [{ "dkim.result": "pass", "dkim.aligned": true }, "250"],
  [{ "dkim.result": "pass", "dkim.aligned": false }, "550"],
  [{ "dkim.result": "none", "dkim.aligned": false }, "550"],
  [{ "dkim.result": "fail", "dkim.aligned": false }, "550"],
  [{ "dkim.result": "temperror", "dkim.aligned": false }, "451"],
  [{ "dkim.failed": true, "scan.failed": true }, "451"],
])("a forward of a range whose signature says %j is answered %s", async (facts, code) => {
  await using gateway = await openTrialGateway({ policy: trialPolicy(BASE), checker: signed(facts) });
  const server = await client(gateway.port(), "127.0.0.31", false);
  expect(await server.say("MAIL FROM:<friend@elsewhere.example>")).toStartWith("250");
  expect(await server.say("RCPT TO:<x@elsewhere.example>")).toStartWith("250");
  await server.say("DATA");
  expect(await server.say("From: friend@elsewhere.example\r\n\r\nx\r\n.")).toStartWith(code);
  server.end();
});
