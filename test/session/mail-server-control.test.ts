// The usual site: a mail server in a trusted network. Who spams through it is stopped at the person; nobody else, no bounce and no
// forward is (O2, O3, O12). Over SMTP, with the real outgoing control.
import { expect, test } from "bun:test";
import { playDialog } from "../dialogs/play-dialog.ts";
import { openTrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { benchOf } from "../outgoing/outgoing-kit.ts";

const document = {
  networks: { trusted: ["127.0.0.9/32"] },
  domain: [
    { name: "example.test", rules: [] },
    {
      name: "strict.test",
      rules: [],
      outgoing: {
        limit_identities: true,
        known_identities_only: true,
        default_limits: { recipients_per_day: 2 },
      },
    },
  ],
  sender: [],
  rule: [
    {
      name: "spam-out",
      when: 'recipient.address starts with "spam"',
      action: "quarantine",
      counts_as_spam: true,
    },
  ],
} as const;

const HELLO = "FROM 127.0.0.9\nS: 220 *\nC: EHLO c\nS+ 250\n";

function mail(path: string, author: string, to: string, answer: string): string {
  return `C: MAIL FROM:<${path}>
S: 250 *
C: RCPT TO:<${to}>
S: 250 *
C: DATA
S: 354 *
C~ From: ${author}\\r\\n\\r\\nx\\r\\n.\\r\\n
S: ${answer}
`;
}

async function opened() {
  const bench = await benchOf(document);
  const gateway = await openTrialGateway({
    policy: trialPolicy({
      ...document,
      listener: [
        { name: "mx", listen: "127.0.0.1:0", tls: "none", relay: ["trusted-networks"], greeting_delay: 0 },
      ],
    }),
    outgoing: bench.outgoing,
  });
  return {
    bench,
    accepted: gateway.queue.accepted,
    play: (text: string) => playDialog(text, gateway),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

test("a hacked mailbox behind the mail server is locked; colleagues, bounces and forwards go on", async () => {
  await using gateway = await opened();
  const spam = mail("ann@example.test", "ann@example.test", "spam@elsewhere.example", "550 5.7.1 *");
  await gateway.play(`${HELLO}${spam.repeat(5)}C: MAIL FROM:<ann@example.test>
S: 4*locked*
C: MAIL FROM:<ANN@example.test>
S: 4*locked*
${mail("bounces@mailer.example", "Ann <ann@example.test>", "x@elsewhere.example", "4*locked*")}${mail("", "ann@example.test", "x@elsewhere.example", "4*locked*")}${mail("bob@example.test", "bob@example.test", "x@elsewhere.example", "250 *")}${mail("", "MAILER-DAEMON@mx.lan", "x@elsewhere.example", "250 *")}${mail("friend@far.example", "friend@far.example", "x@elsewhere.example", "250 *")}STOPPED ${Array.from({ length: 5 }, () => "spam kept example.test via 127.0.0.9/32 ann@example.test").join(", ")}
`);
  expect(gateway.bench.news).toMatchObject([
    {
      domain: "example.test",
      sender: "example.test via 127.0.0.9/32",
      identity: "ann@example.test",
      user: "ann@example.test",
    },
  ]);
  const key = { sender: "example.test via 127.0.0.9/32", identity: "ann@example.test" };
  expect(await gateway.bench.outgoing.unlock(key, "a test")).toBe(true);
  await gateway.play(
    `${HELLO}${mail("ann@example.test", "ann@example.test", "x@elsewhere.example", "250 *")}`,
  );
});

test("spam that is only sent on locks nobody", async () => {
  await using gateway = await opened();
  const forward = mail("junk@far.example", "junk@far.example", "spam@elsewhere.example", "250 *");
  const bounce = mail("", "MAILER-DAEMON@mx.lan", "spam@elsewhere.example", "250 *");
  await gateway.play(
    `${HELLO}${forward.repeat(7)}${bounce.repeat(7)}${mail("friend@far.example", "friend@far.example", "x@elsewhere.example", "250 *")}`,
  );
  expect(gateway.bench.news).toEqual([]);
});

test("the limits of the domain hold for each person behind the mail server", async () => {
  await using gateway = await opened();
  const one = (who: string, answer: string) =>
    mail(`${who}@strict.test`, `${who}@strict.test`, "x@elsewhere.example", answer);
  await gateway.play(`${HELLO}${one("ann", "250 *")}${one("ann", "250 *")}C: MAIL FROM:<ann@strict.test>
S: 250 *
C: RCPT TO:<x@elsewhere.example>
S: 450 4.7.1 Limit of 2 recipients*
C: RSET
S: 250 *
${one("bob", "250 *")}${mail("", "MAILER-DAEMON@mx.lan", "x@elsewhere.example", "250 *")}`);
});

test("mail of others for people here, handed in by a second MX, is no outgoing mail", async () => {
  await using gateway = await opened();
  const incoming = mail("friend@far.example", "friend@far.example", "spam@example.test", "250 *");
  const bounce = mail("", "MAILER-DAEMON@far.example", "spam@example.test", "250 *");
  const both = `C: MAIL FROM:<friend@far.example>
S: 250 *
C: RCPT TO:<spam@example.test>
S: 250 *
C: RCPT TO:<spam@elsewhere.example>
S: 250 *
C: DATA
S: 354 *
C~ From: friend@far.example\\r\\n\\r\\nx\\r\\n.\\r\\n
S: 250 *
`;
  await gateway.play(
    `${HELLO}${incoming.repeat(7)}FACT bulk.level absent\n${bounce}FACT identity.name absent\n${both}STOPPED spam kept 127.0.0.9/32 (forwards of 127.0.0.9)\n`,
  );
  expect(gateway.bench.news).toEqual([]);
});

test("mail of others that a second MX hands in is no letter of ours: kept when it cannot be delivered, bounced only to the proven", async () => {
  await using gateway = await opened();
  const cases = [
    ["a stranger to us", "junk@far.example", "x@example.test", { mayBounce: false, fromOutside: true }],
    ["a notice to us", "", "x@example.test", { mayBounce: false, fromOutside: true }],
    ["one of us to us", "ann@example.test", "bob@example.test", { mayBounce: true }],
    ["one of us to others", "ann@example.test", "x@elsewhere.example", { mayBounce: true }],
    ["a forward", "friend@far.example", "x@elsewhere.example", { mayBounce: true }],
  ] as const;
  for (const [name, from, to, expected] of cases) {
    await gateway.play(
      `${HELLO}${mail(from, from === "" ? "MAILER-DAEMON@far.example" : from, to, "250 *")}`,
    );
    const recipient = gateway.accepted.at(-1)?.recipients[0];
    const { mayBounce, fromOutside } = recipient ?? { mayBounce: null };
    expect({ name, mayBounce, ...(fromOutside === undefined ? {} : { fromOutside }) }).toEqual({
      name,
      ...expected,
    });
  }
});
