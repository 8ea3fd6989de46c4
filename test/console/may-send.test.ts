// Whether somebody may send: what the door answers over SMTP, what the page, the lists and the API say, state by state and for every
// kind of sender. Real listeners, real outgoing control and the real console over one policy.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { identityUrl } from "../../src/console/pages/identity-address.ts";
import { sendingWords } from "../../src/console/words/sending-words.ts";
import type { LockKey } from "../../src/outgoing/outgoing.ts";
import type { SendingCode, SendingState } from "../../src/outgoing/sending-state.ts";
import { createSnapshot } from "../../src/policy/create-snapshot.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { type Bench, benchOf, HOUR } from "../outgoing/outgoing-kit.ts";
import { apiToken, browserOf, ORIGIN } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";
import { documentOf, KINDS, type Kind, NETWORK, type Settings } from "./sending-kinds.ts";
import { sendFrom } from "./smtp-client.ts";

let bench: Bench;
let gateway: TrialGateway;
let version = 1;
let desk: Awaited<ReturnType<typeof openConsole>>;

async function change(settings: Settings = {}): Promise<void> {
  const policy = trialPolicy(documentOf(settings));
  bench.snapshot = createSnapshot(policy, ++version);
  await gateway.change(policy);
}

/** What the door answers a message of it. */
function door({ ip, login, from }: Kind, to = "x@far.example"): Promise<string> {
  const plain = Buffer.from(`\0${login}\0tulip magnet forty`).toString("base64");
  return sendFrom({ port: gateway.port(), ip }, [
    "EHLO c",
    ...(login === undefined ? [] : [`AUTH PLAIN ${plain}`]),
    `MAIL FROM:<${from}>`,
    `RCPT TO:<${to}>`,
    "DATA",
    `From: ${from}\r\n\r\nx\r\n.`,
  ]);
}

beforeAll(async () => {
  bench = await benchOf({ sender: [] });
  const policy = trialPolicy(documentOf());
  bench.snapshot = createSnapshot(policy, version);
  gateway = await openTrialGateway({ policy, outgoing: bench.outgoing });
  desk = await openConsole();
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** The console over it: one, for its sample mail takes time to make. */
async function openConsole() {
  const fake = await fakeGateway();
  const { settings } = fake.services;
  const services = {
    ...fake.services,
    outgoing: bench.outgoing,
    settings: Object.assign(settings, { current: () => bench.snapshot }),
  };
  const app = createConsole(services);
  const browser = browserOf(app, fake, "administrator");
  const authorization = `Bearer ${apiToken(fake, "read")}`;
  return {
    text: async (path: string) => (await browser.get(path)).text(),
    async api<T>(path: string): Promise<T> {
      const answer = await app.request(
        `${ORIGIN}${path}`,
        { headers: { authorization } },
        { clientIp: "192.0.2.10" },
      );
      return JSON.parse(await answer.text());
    },
  };
}

const badgeIn = (markup: string, row: string): string | undefined =>
  new RegExp(`<tr id="${row.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}".*?class="badge[^>]*>([^<]*)<`, "s").exec(
    markup,
  )?.[1];

/** What the API says of one. */
interface Told {
  readonly sender: string;
  readonly name: string;
  readonly sending: SendingState & { readonly words: string };
}

/** Asks everybody; they must say the same. Returns the state. */
async function saidOf(key: LockKey): Promise<SendingState> {
  const { text, api } = desk;
  const one = await api<Told>(
    `/api/v1/identity?${new URLSearchParams({ sender: key.sender, ...(key.identity === null ? {} : { identity: key.identity }) })}`,
  );
  const list = await api<{ readonly items: readonly Told[] }>("/api/v1/identities?limit=100");
  const state = one.sending;
  const { badge, sentence } = sendingWords(state);
  const listed = list.items.find((item) => item.sender === key.sender && item.name === (key.identity ?? ""));
  expect(listed?.sending).toEqual(one.sending);
  expect(one.sending.words).toBe(sentence);
  const page = await text(identityUrl(key));
  const shown = /why-sentence">(.*?)<\/p>/s
    .exec(page)?.[1]
    ?.replace(/<[^>]*>/g, "")
    .replaceAll("&quot;", '"');
  expect(shown).toBe(sentence);
  const rowId = `${encodeURIComponent(key.sender)}-${encodeURIComponent(key.identity ?? "")}`;
  if (key.identity !== null) expect(badgeIn(await text("/identities"), `i-${rowId}`)).toBe(badge);
  else if (
    bench.snapshot.policy.sender.some(({ range, login }) => key.sender === range || key.sender === login)
  )
    expect(badgeIn(await text("/senders"), `s-${key.sender}`)).toBe(badge);
  return state;
}

const ANSWERS = { taken: /^250/, "put-off": /^4/, refused: /^5/ } as const;

interface Case {
  readonly state: string;
  readonly settings?: Settings;
  /** Before anybody is asked. */
  readonly act?: (kind: Kind) => Promise<unknown>;
  readonly codes: Partial<Readonly<Record<Kind["name"], SendingCode>>>;
  /** Of the senders as a whole, where that is not the same. */
  readonly whole?: Partial<Readonly<Record<Kind["name"], SendingCode>>>;
  /** For states in which it depends on the message: what ours is answered. */
  readonly some?: RegExp;
}

const every = (code: SendingCode): Case["codes"] => Object.fromEntries(KINDS.map(({ name }) => [name, code]));
const own = (code: SendingCode) => {
  const { forwards: _, ...rest } = every(code);
  return rest;
};
const lockWhole = ({ key }: Kind) => bench.outgoing.lock({ ...key, identity: null }, "admin", "stolen");
const LIMIT = { limits: { recipients_per_day: 1 } };
const LIMITED = { user: LIMIT, whole: LIMIT, range: LIMIT };
const HOURLY = { limits: { per_hour: 1 } };
const IDENTITY = { identity_limits: { recipients_per_day: 1 } };
const ENTERPRISE = { outgoing: { limit_identities: true, default_limits: { recipients_per_day: 1 } } };
const single = { "log-in": "identities-locked", "domain log-in": "identities-locked" } as const;
const some = { "address range": "identities-locked", "range forwards": "identities-locked" } as const;

const CASES: readonly Case[] = [
  { state: "nothing stops it", codes: every("may-send") },
  {
    state: "the sender is off",
    settings: { user: { enabled: false }, whole: { enabled: false }, range: { enabled: false } },
    codes: {
      "log-in": "sender-off",
      "domain log-in": "sender-off",
      "address range": "sender-off",
      "range forwards": "sender-off",
    },
  },
  {
    state: "the sender is gone",
    settings: { user: null, whole: null, range: null, networks: { trusted: [] } },
    codes: every("removed"),
  },
  { state: "the domain is off", settings: { domain: { enabled: false } }, codes: own("domain-off") },
  {
    state: "the domain is barred",
    settings: { domain: { outgoing: { barred: true } } },
    codes: own("domain-barred"),
  },
  {
    state: "the domain is gone",
    settings: { domain: null, user: null, whole: null, range: null },
    codes: {
      "log-in": "removed",
      "domain log-in": "removed",
      "address range": "removed",
      network: "may-send",
      forwards: "may-send",
    },
  },
  {
    state: "the domain is gone, and forwards are refused",
    settings: { domain: null, user: null, whole: null, range: null, networks: { forwards: "refuse" } },
    codes: { network: "notices-only", forwards: "forwards-refused" },
    whole: { network: "notices-only", forwards: "notices-only" },
    some: /^550/,
  },
  {
    state: "a person has locked the identity",
    act: ({ key }) => bench.outgoing.lock(key, "admin", "stolen"),
    codes: every("locked"),
    whole: { ...single, ...some, network: "identities-locked", forwards: "identities-locked" },
  },
  {
    state: "a rule has locked the identity",
    act: (kind) => door(kind, "stop@far.example"),
    codes: { "log-in": "locked", "domain log-in": "locked", "address range": "locked", network: "locked" },
    whole: { ...single, ...some, network: "identities-locked" },
  },
  {
    state: "the whole sender is locked",
    act: lockWhole,
    codes: every("sender-locked"),
    whole: every("locked"),
  },
  {
    state: "the sender has its recipients",
    settings: LIMITED,
    codes: {
      "log-in": "sender-at-limit",
      "domain log-in": "sender-at-limit",
      "address range": "sender-at-limit",
      "range forwards": "sender-at-limit",
    },
    whole: {
      "log-in": "at-limit",
      "domain log-in": "at-limit",
      "address range": "at-limit",
      "range forwards": "at-limit",
    },
  },
  {
    state: "the sender has its connections",
    settings: { user: HOURLY, whole: HOURLY, range: HOURLY },
    act: door,
    codes: {
      "log-in": "sender-at-limit",
      "domain log-in": "sender-at-limit",
      "address range": "sender-at-limit",
    },
    whole: { "log-in": "at-limit", "domain log-in": "at-limit", "address range": "at-limit" },
  },
  {
    state: "the identity has its recipients",
    settings: { user: IDENTITY, whole: IDENTITY, range: IDENTITY },
    codes: { "log-in": "at-limit", "domain log-in": "at-limit", "address range": "at-limit" },
    whole: { "address range": "may-send" },
  },
  {
    state: "the domain's limit of identities is reached",
    settings: { domain: ENTERPRISE },
    codes: own("at-limit"),
    whole: { "address range": "may-send", network: "may-send", "range forwards": "may-send" },
  },
  {
    state: "forwards are refused",
    settings: { networks: { forwards: "refuse" }, range: { forwards: "refuse" } },
    codes: { ...every("may-send"), forwards: "forwards-refused", "range forwards": "forwards-refused" },
    whole: { forwards: "notices-only", "range forwards": "may-send" },
  },
  {
    state: "forwards must be signed",
    settings: { networks: { forwards: "signed" }, range: { forwards: "signed" } },
    codes: { forwards: "forwards-signed", "range forwards": "forwards-signed" },
    whole: { "range forwards": "may-send" },
    some: /^550/,
  },
  {
    state: "no listener takes it",
    settings: { listener: { relay: [] } },
    codes: every("no-listener"),
  },
  {
    state: "the network is excepted, with its lock",
    settings: { networks: { trusted: [NETWORK], excepted: ["127.0.0.30"] } },
    act: lockWhole,
    codes: { network: "not-controlled", forwards: "not-controlled" },
  },
  {
    state: "the range sends as somebody who is locked",
    settings: { user: { reauthentication_permitted: true }, range: { reauthenticate_as: "anna@a.test" } },
    act: () => bench.outgoing.lock({ sender: "anna@a.test", identity: null }, "admin", "stolen"),
    codes: { "address range": "sender-locked" },
    whole: { "address range": "locked" },
  },
  {
    state: "the network is an address range now, which is off",
    settings: { more: [{ kind: "ip", range: "127.0.0.30/31", domain: "a.test", enabled: false }] },
    codes: { network: "sender-off", forwards: "sender-off" },
  },
  {
    state: "the network is an address range of another domain now",
    settings: { more: [{ kind: "ip", range: "127.0.0.30/31", domain: "other.test", forwards: "allow" }] },
    codes: { network: "range-of-others", forwards: "may-send" },
    whole: { network: "range-of-others" },
  },
];

let asked = 0;

/** How many refusals of the day its page shows. Forwards are their server's until a header says whose they are. */
async function refusedOf({ name, key }: Kind): Promise<number> {
  // A transaction that the client gives up is counted when the connection has ended.
  await Bun.sleep(20);
  const whole = { ...key, identity: null };
  return (await bench.outgoing.identity(name.endsWith("forwards") ? whole : key))?.refusedDay ?? 0;
}

/** Is the refusal its own? Not what counts for another sender, what is nobody's any more, and a log-in that was refused. */
function counts({ login }: Kind, { as, code }: SendingState, answer: string): boolean {
  if (answer.startsWith("2") || as !== null || code === "removed" || code === "no-listener") return false;
  return login === undefined || !answer.startsWith("535");
}

for (const { state, settings, act, codes, whole, some: ours } of CASES)
  test(state, async () => {
    for (const kind of KINDS) {
      const code = codes[kind.name];
      if (code === undefined) continue;
      expect([kind.name, await door(kind)]).toEqual([kind.name, expect.stringMatching(/^250/)]);
      await change(settings);
      await act?.(kind);
      const said = await saidOf(kind.key);
      const saidOfAll = await saidOf({ ...kind.key, identity: null });
      expect([kind.name, said.code]).toEqual([kind.name, code]);
      expect([kind.name, saidOfAll.code]).toEqual([kind.name, whole?.[kind.name] ?? code]);
      const before = await refusedOf(kind);
      const answer = await door(kind);
      const wanted = said.mail === "some" ? (ours ?? /^$/) : ANSWERS[said.mail];
      expect([kind.name, answer]).toEqual([kind.name, expect.stringMatching(wanted)]);
      if (counts(kind, said, answer))
        expect([kind.name, await refusedOf(kind)]).toEqual([kind.name, before + 1]);
      asked++;
      for (const { sender, identity } of bench.outgoing.locks())
        await bench.outgoing.unlock({ sender, identity }, "admin");
      await change();
      bench.clock.pass(25 * HOUR);
    }
  }, 60_000);

test("a domain's page says what stops all of its senders, and nothing when nothing does", async () => {
  for (const [domain, words] of [
    [{}, ""],
    [{ enabled: false }, "This domain is switched off: nothing may be sent from it."],
    [{ outgoing: { barred: true } }, "This domain is barred: nothing may be sent from it."],
  ] as const) {
    await change({ domain });
    const page = await desk.text("/domains/a.test/outgoing");
    expect([words, page.includes("nothing may be sent from it")]).toEqual([words, words !== ""]);
    expect(page).toContain(words);
  }
  await change();
});

test("every kind was asked in every state it can be in", () => {
  expect(asked).toBe(CASES.reduce((sum, { codes }) => sum + Object.keys(codes).length, 0));
  expect(asked).toBeGreaterThan(70);
});
