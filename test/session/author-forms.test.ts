// Every form of the table over SMTP: what becomes of it as mail of a log-in, and of an outsider who names one of our people.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";
import { AUTHOR_FORMS, type AuthorForm, writeForm } from "./author-forms.ts";
import { connectClient, type LoginClient, plainOf } from "./login-client.ts";

const ALICE = "alice@example.test";
const BOSS = "boss@example.test";
const STRANGER = "ann@corp.example";

let gateway: TrialGateway;
let alice: LoginClient;
let outsider: LoginClient;

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
          refuse_outsiders_claiming_local: true,
        },
      ],
      domain: [{ name: "example.test", rules: [], recipients: { verify: "catch-all" } }],
      sender: [{ login: ALICE, domain: "example.test", password_hash: CHEAP_HASH }],
    }),
  });
  alice = await connectClient(gateway.port(), "203.0.113.5");
  expect(await alice.say(plainOf(ALICE, "tulip magnet forty"))).toStartWith("235 ");
  outsider = await connectClient(gateway.port(), "203.0.113.6");
});

afterAll(async () => {
  alice.close();
  outsider.close();
  await gateway[Symbol.asyncDispose]();
});

async function send(
  client: LoginClient,
  what: { from: string; to: string; header: Buffer },
): Promise<string> {
  for (const [line, code] of [
    [`MAIL FROM:<${what.from}>`, "250"],
    [`RCPT TO:<${what.to}>`, "250"],
    ["DATA", "354"],
  ] as const)
    expect(await client.say(line)).toStartWith(code);
  return client.say(Buffer.concat([what.header, Buffer.from("\r\nSubject: x\r\n\r\nbody\r\n.\r\n")]));
}

const rows = AUTHOR_FORMS.map((one) => [one.name, one] as const);

describe("of a log-in", () => {
  test.each(rows)("%s", async (_, { form, sound }) => {
    const header = writeForm(form, { own: ALICE, other: "ceo@victim.example" });
    const answer = await send(alice, { from: ALICE, to: "x@elsewhere.example", header });
    expect(answer).toMatch(sound ? /^250 / : /^550 5\.7\.1 (?:From |The message must have exactly one From)/);
  });
});

/** The NUL and its like in a stranger's header are refused whoever it names. */
function hasControls({ form }: AuthorForm): boolean {
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(form);
}

describe("of an outsider who names one of ours (L3)", () => {
  test.each(rows)("%s", async (_, row) => {
    const header = writeForm(row.form, { own: STRANGER, other: BOSS });
    const answer = await send(outsider, { from: STRANGER, to: "ann@example.test", header });
    if (hasControls(row)) expect(answer).toStartWith("554 5.6.0 ");
    else expect(answer).toStartWith(row.reads.includes("other") ? "550 5.7.1 Mail from this domain" : "250 ");
  });
});

test("the log says why an author that was taken is read with care", async () => {
  const header = Buffer.from('From: "ceo@victim.example" <ann@corp.example>');
  expect(await send(outsider, { from: STRANGER, to: "ann@example.test", header })).toStartWith("250 ");
  expect(gateway.queue.accepted.at(-1)?.record).toMatchObject({
    author: STRANGER,
    fromFlaw: "shows an address of another domain in a name or comment",
  });
});
