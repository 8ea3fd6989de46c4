// The dialogue with the real outgoing control behind it: identities of a smart host, locks, limits and alerts' facts, over SMTP.
import { expect, test } from "bun:test";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { playDialog } from "../dialogs/play-dialog.ts";
import { openTrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { type Bench, benchOf } from "../outgoing/outgoing-kit.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";

const PLAIN = Buffer.from("\0alice@example.test\0tulip magnet forty").toString("base64");
const WHOLE = Buffer.from("\0example.test\0tulip magnet forty").toString("base64");

const document = {
  domain: [
    { name: "example.test", rules: [] },
    { name: "known.test", rules: [], outgoing: { known_identities_only: true } },
  ],
  sender: [
    {
      kind: "ip",
      range: "127.0.0.20/32",
      domain: "example.test",
      identify_by: { header: "X-Client-ID", extract: "^([^;]+)", remove: true },
      lock: { identity: true, spam: 5, window: "10m", timeout: "1h", max_unlocks: 1 },
    },
    { kind: "ip", range: "127.0.0.1/32", domain: "example.test", identify_by: { header: "X-Client-ID" } },
    {
      kind: "ip",
      range: "127.0.0.21/32",
      domain: "known.test",
      identify_by: { header: "X-Client-ID" },
    },
    {
      login: "alice@example.test",
      domain: "example.test",
      password_hash: CHEAP_HASH,
      limits: { per_minute: 2, recipients_per_day: 4 },
    },
    { kind: "domain", domain: "example.test", password_hash: CHEAP_HASH, lock: { sender: true, spam: 1 } },
  ],
  rule: [
    {
      name: "spam-out",
      when: 'recipient.address starts with "spam"',
      action: "quarantine",
      counts_as_spam: true,
    },
    { name: "stop-now", when: 'recipient.address starts with "stop"', action: "reject", lock_identity: true },
  ],
} as const;

async function opened(): Promise<{
  readonly bench: Bench;
  readonly port: number;
  play(text: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const bench = await benchOf(document);
  const relay = ["trusted-networks", "authenticated"];
  const gateway = await openTrialGateway({
    policy: trialPolicy({
      ...document,
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:0",
          tls: "none",
          auth: "optional",
          auth_without_tls: true,
          relay,
          greeting_delay: 0,
        },
      ],
    }),
    outgoing: bench.outgoing,
  });
  return {
    bench,
    port: gateway.port(),
    play: (text) => playDialog(text, gateway),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

const HELLO = "S: 220 *\nC: EHLO c\nS+ 250\n";

/** One message of a client of the smart host. */
function from(id: string, to: string, answer: string): string {
  return `C: MAIL FROM:<app@example.test>
S: 250 *
C: RCPT TO:<${to}>
S: 250 *
C: DATA
S: 354 *
C~ From: app@example.test\\r\\nX-Client-ID: ${id}\\r\\n\\r\\nx\\r\\n.\\r\\n
S: ${answer}
`;
}

test("one client of a smart host is locked on the open connection, the others go on", async () => {
  await using gateway = await opened();
  const spam = from("A; web form", "spam@elsewhere.example", "550 5.7.1 *");
  await gateway.play(`FROM 127.0.0.20
${HELLO}${spam.repeat(5)}QUEUE 5
FATES quarantine
${from("A; web form", "x@elsewhere.example", "4*locked*")}FACT identity.name a
QUEUE 5
${from("B; shop", "x@elsewhere.example", "250 *")}QUEUE 6
REMOVED x-client-id
FACT identity.name a
STOPPED ${Array.from({ length: 5 }, () => "spam kept 127.0.0.20/32 a").join(", ")}
`);
  expect(gateway.bench.news.map(({ sender, identity }) => `${sender} ${identity}`)).toEqual([
    "127.0.0.20/32 a",
  ]);
  // After the time-out it goes again; after the most time-outs only a person lifts it, and the answer is for good.
  gateway.bench.clock.pass(3_600_000);
  await gateway.play(`FROM 127.0.0.20\n${HELLO}${from("A", "x@elsewhere.example", "250 *")}`);
  await gateway.play(
    `FROM 127.0.0.20\n${HELLO}${spam.repeat(5)}${from("A", "x@elsewhere.example", "5*locked*")}`,
  );
  expect(await gateway.bench.outgoing.unlock({ sender: "127.0.0.20/32", identity: "a" }, "a test")).toBe(
    true,
  );
  await gateway.play(`FROM 127.0.0.20\n${HELLO}${from("A", "x@elsewhere.example", "250 *")}`);
}, 20_000);

test("nobody hears of a lock that a crash could still forget: not who brought it, nor another client that meets it", async () => {
  await using gateway = await opened();
  const { bench, port } = gateway;
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const answers: string[] = [];
  const sendOne = async (to: string): Promise<void> => {
    const smtp = await openDialogue(port);
    for (const line of ["EHLO c", "MAIL FROM:<app@example.test>", `RCPT TO:<${to}>`, "DATA"])
      expect(await smtp.say(`${line}\r\n`)).toMatch(/^[23]/);
    answers.push(await smtp.say("From: app@example.test\r\nX-Client-ID: C\r\n\r\nx\r\n.\r\n"));
    smtp.close();
  };
  bench.brittle.heldBy = held;
  const bringing = sendOne("stop@elsewhere.example");
  while (bench.outgoing.locks().length === 0) await Bun.sleep(1);
  const meeting = sendOne("x@elsewhere.example");
  await Bun.sleep(300);
  expect(answers).toEqual([]);
  bench.brittle.heldBy = null;
  release();
  await Promise.all([bringing, meeting]);
  expect(answers.toSorted()).toEqual([
    expect.stringMatching(/^450 .*locked/),
    expect.stringMatching(/^550 /),
  ]);
}, 20_000);

test("a rule may lock at once", async () => {
  await using gateway = await opened();
  await gateway.play(
    `FROM 127.0.0.20
${HELLO}${from("C", "stop@elsewhere.example", "5*")}QUEUE 0
${from("C", "x@elsewhere.example", "4*locked*")}QUEUE 0
STOPPED null gone 127.0.0.20/32 c
`,
  );
});

test("limits of a login hold over connections and refuse at their edge", async () => {
  await using gateway = await opened();
  const login = `${HELLO}C: AUTH PLAIN ${PLAIN}\nS: 235 *\n`;
  const mail = `C: MAIL FROM:<alice@example.test>
S: 250 *
`;
  const body = `C: DATA
S: 354 *
C~ From: alice@example.test\\r\\n\\r\\nx\\r\\n.\\r\\n
`;
  await gateway.play(`${login}${mail}C> 3 RCPT TO:<a%d@elsewhere.example>
S> 3 250 *
${body}S: 250 *
${mail}C: RCPT TO:<b1@elsewhere.example>
S: 250 *
C: RCPT TO:<b2@elsewhere.example>
S: 4*
${body}S: 250 *
RCPTS 1
`);
  await gateway.play(`${login}${mail}C: RSET\nS: 250 *\n`);
  // The third connection within a minute.
  await gateway.play(`${login}C: MAIL FROM:<alice@example.test>
S: 4*
FACT identity.sender alice@example.test
FACT identity.name alice@example.test
`);
  gateway.bench.clock.pass(60_000);
  await gateway.play(`${login}${mail}`);
});

test("a domain's login is locked whole", async () => {
  await using gateway = await opened();
  const mail = (to: string) => `C: MAIL FROM:<someone@example.test>
S: 250 *
C: RCPT TO:<${to}>
S: 250 *
C: DATA
S: 354 *
C~ From: someone@example.test\\r\\n\\r\\nx\\r\\n.\\r\\n
`;
  await gateway.play(`${HELLO}C: AUTH PLAIN ${WHOLE}
S: 235 *
${mail("spam@elsewhere.example")}S: 550 *
C: MAIL FROM:<other@example.test>
S: 4*locked*
`);
  expect(
    gateway.bench.outgoing
      .locks()
      .map(({ sender, identity }) => `${sender} ${identity}`)
      .toSorted(),
  ).toEqual(["@example.test example.test", "@example.test null"]);
});

test("mail of nobody is refused where only known identities may send", async () => {
  await using gateway = await opened();
  await gateway.play(`FROM 127.0.0.21
${HELLO}C: MAIL FROM:<app@known.test>
S: 250 *
C: RCPT TO:<x@elsewhere.example>
S: 250 *
C: DATA
S: 354 *
C~ From: app@known.test\\r\\n\\r\\nx\\r\\n.\\r\\n
S: 550 5.7.1 Message refused: it needs the header X-Client-ID*
FACT identity.name absent
FACT identity.sender 127.0.0.21/32
QUEUE 0
`);
});

test("what is refused at any place of the dialogue counts for its sender and identity, once", async () => {
  await using gateway = await opened();
  const key = { sender: "alice@example.test", identity: "alice@example.test" };
  const login = `${HELLO}C: AUTH PLAIN ${PLAIN}\nS: 235 *\n`;
  const mail = "C: MAIL FROM:<alice@example.test>\nS: 250 *\n";
  const data = (from: string, answer: string) =>
    `C: DATA\nS: 354 *\nC~ From: ${from}\\r\\n\\r\\nx\\r\\n.\\r\\nS: ${answer}\n`;
  const to = (name: string, answer = "250 *") => `C: RCPT TO:<${name}@elsewhere.example>\nS: ${answer}\n`;
  const refusedNow = async () => [
    (await gateway.bench.outgoing.identity({ ...key, identity: null }))?.refusedDay ?? 0,
    (await gateway.bench.outgoing.identity(key))?.refusedDay ?? 0,
  ];
  let expected = 0;
  const places: readonly (readonly [place: string, text: string, refused: number])[] = [
    ["the sender address of another", `${login}C: MAIL FROM:<boss@example.test>\nS: 550 *\n`, 1],
    ["too large by its SIZE", `${login}C: MAIL FROM:<alice@example.test> SIZE=99999999999\nS: 552 *\n`, 1],
    ["taken", `${login}${mail}${to("a")}${data("alice@example.test", "250 *")}`, 0],
    ["From of another", `${login}${mail}${to("a")}${data("boss@example.test", "550 *")}`, 1],
    ["by a rule", `${login}${mail}${to("stop")}${data("alice@example.test", "550 *")}`, 1],
    ["locked", `${login}C: MAIL FROM:<alice@example.test>\nS: 4*locked*\n`, 1],
  ];
  for (const [place, text, refused] of places) {
    await gateway.play(text);
    gateway.bench.clock.pass(61_000);
    expected += refused;
    expect([place, ...(await refusedNow())]).toEqual([place, expected, expected]);
  }
  await gateway.bench.outgoing.unlock(key, "a test");
  // More recipients than the day has: all refused at RCPT, some, and over a limit of connections.
  await gateway.play(
    `${login}${mail}${to("b1")}${to("b2")}${to("b3")}${data("alice@example.test", "250 *")}`,
  );
  gateway.bench.clock.pass(61_000);
  await gateway.play(`${login}${mail}${to("c1", "4*")}${to("c2", "4*")}C: QUIT\nS: 221 *\n`);
  await gateway.play(`${login}${mail}`);
  await gateway.play(`${login}C: MAIL FROM:<alice@example.test>\nS: 4*\n`);
  expected += 2;
  expect(await refusedNow()).toEqual([expected, expected]);
  // Nobody becomes an identity by a name that was refused.
  await gateway.play(`${login}C: MAIL FROM:<boss@example.test>\nS: 550 *\n`);
  expect(await gateway.bench.outgoing.identity({ ...key, identity: "boss@example.test" })).toBeNull();
}, 20_000);
