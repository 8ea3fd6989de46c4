// The strict set of a domain (O14) holds for mail of that domain whichever sender hands it in: an address range of another domain, a login
// by send_as, a trusted network with another envelope. A table of ways and settings over SMTP, with the real outgoing control.
import { expect, setDefaultTimeout, test } from "bun:test";
import { identityLimits } from "../../src/outgoing/sending-plan.ts";
import { playDialog } from "../dialogs/play-dialog.ts";
import { openTrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { benchOf } from "../outgoing/outgoing-kit.ts";
import { address, CHEAP_HASH, snapshotOf } from "../policy/policy-fixtures.ts";

setDefaultTimeout(60_000);

/** Each way has people of its own: ann3, bob3 and the login cross3 of the way with number 3. */
const WAYS_MOST = 20;
const numbers = Array.from({ length: WAYS_MOST }, (_, i) => i);
const own = (more: object) => ({ domain: "other.test", lock: { identity: false, spam: 1 }, ...more });

const listen = "127.0.0.1:0";
const policy = (outgoing: object) => ({
  listener: [
    {
      name: "mx",
      listen,
      tls: "none",
      relay: ["trusted-networks"],
      greeting_delay: 0,
      proxy_from: ["127.0.0.9/32"],
    },
    { name: "login", listen, tls: "implicit", auth: "required", relay: ["authenticated"] },
    {
      name: "clear",
      listen,
      tls: "none",
      auth: "required",
      auth_without_tls: true,
      relay: ["authenticated"],
    },
  ],
  networks: { trusted: ["192.0.2.10/32"] },
  domain: [
    {
      name: "strict.test",
      rules: [],
      recipients: { verify: "list", list: numbers.map((i) => `ann${i}@strict.test`) },
      outgoing,
    },
    { name: "other.test", rules: [], recipients: { verify: "catch-all" } },
  ],
  sender: [
    own({
      kind: "ip",
      range: "192.0.2.33/32",
      domains: ["strict.test"],
      forwards: "allow",
    }),
    own({
      kind: "ip",
      range: "192.0.2.34/32",
      domains: ["strict.test"],
      identify_by: { header: "X-Client-ID" },
    }),
    ...numbers.flatMap((i) => [
      own({
        kind: "ip",
        range: `198.51.100.${i}/32`,
        domains: ["strict.test"],
        reauthenticate_as: `cross${i}@other.test`,
      }),
      own({
        login: `cross${i}@other.test`,
        password_hash: CHEAP_HASH,
        send_as: ["@strict.test"],
        reauthentication_permitted: true,
      }),
    ]),
  ],
  rule: [
    {
      name: "spam-out",
      when: 'recipient.address starts with "spam"',
      action: "quarantine",
      counts_as_spam: true,
    },
  ],
});

const range = (ip: string) =>
  `ON mx\nFROM 127.0.0.9\nC~ PROXY TCP4 ${ip} 127.0.0.1 40000 25\\r\\nEHLO c\\r\\n\nS: 220 *\nS+ 250\n`;
const auth = `C: AUTH PLAIN LOGIN\nS: 235 *\n`;
const login = `ON login\nC! TLS\nS: 220 *\nC: EHLO c\nS+ 250\n${auth}`;

interface Way {
  readonly name: string;
  readonly door: string;
  readonly path: string;
  readonly from: string;
  readonly more?: string;
  /** Who counts as the identity of all the door's mail; left out: the author. */
  readonly shared?: true;
  /** strict.test neither sends nor writes it: it is named elsewhere in the header. */
  readonly named?: true;
  /** Its own sender has no lock. */
  readonly unlocked?: true;
}

const ANN = "ann@strict.test";
const BOB = "bob@other.test";
const RANGE = { door: range("192.0.2.33"), unlocked: true } as const;
const AS = { door: range("198.51.100.N"), unlocked: true, shared: true } as const;
const USER = { door: login, unlocked: true, shared: true } as const;
const NET = { door: range("192.0.2.10") } as const;
const CROSS = "cross@other.test";

/** The way with the people and the door of that number. */
function numbered(way: Way, i: number): Way {
  const text = (of: string) => of.replace(/\b(ann|bob|cross)@/g, `$1${i}@`);
  const secret = Buffer.from(`\0cross${i}@other.test\0tulip magnet forty`).toString("base64");
  const door = way.door.replace("100.N", `100.${i}`).replace("LOGIN", secret);
  return { ...way, door, path: text(way.path), from: text(way.from), more: text(way.more ?? "") };
}

const WAYS: readonly Way[] = (
  [
    { name: "range, envelope and From", ...RANGE, path: ANN, from: ANN },
    { name: "range, envelope", ...RANGE, path: ANN, from: BOB },
    { name: "range, From", ...RANGE, path: BOB, from: ANN },
    { name: "range, From, no envelope sender", ...RANGE, path: "", from: ANN },
    { name: "range, second From", ...RANGE, path: BOB, from: `${BOB}, ${ANN}` },
    { name: "range, Sender", ...RANGE, path: BOB, from: BOB, more: `Sender: ${ANN}\\r\\n`, named: true },
    {
      name: "range, Resent-From",
      ...RANGE,
      path: BOB,
      from: BOB,
      more: `Resent-From: ${ANN}\\r\\n`,
      named: true,
    },
    { name: "re-authenticated, envelope", ...AS, path: ANN, from: CROSS },
    { name: "re-authenticated, From", ...AS, path: CROSS, from: ANN },
    { name: "login, envelope and From", ...USER, path: ANN, from: ANN },
    { name: "login, envelope", ...USER, path: ANN, from: CROSS },
    { name: "login, From", ...USER, path: CROSS, from: ANN },
    { name: "login, From, no envelope sender", ...USER, path: "", from: ANN },
    { name: "network, From", ...NET, path: BOB, from: ANN },
    { name: "network, From of the second", ...NET, path: BOB, from: `${BOB}, ${ANN}` },
    { name: "network, Sender", ...NET, path: BOB, from: BOB, more: `Sender: ${ANN}\\r\\n`, named: true },
  ] satisfies readonly Way[]
).map(numbered);

/** Mail of no strict domain by the same doors. */
const FREE: readonly Way[] = (
  [
    { name: "range", ...RANGE, path: BOB, from: BOB },
    { name: "re-authenticated", ...AS, path: CROSS, from: CROSS },
    { name: "login", ...USER, path: CROSS, from: CROSS },
    { name: "network", ...NET, path: BOB, from: BOB },
  ] satisfies readonly Way[]
).map((way, i) => numbered(way, i + 16));

/** One message. The answer may come at any step; `more`: what is checked after it. */
function mail({ path, from, more = "" }: Way, answer: string, to = "x@elsewhere.example"): string {
  return `C: MAIL FROM:<${path}>\nS: 250 *\nC: RCPT TO:<${to}>\nS: 250 *\nC: DATA\nS: 354 *\nC~ From: ${from}\\r\\n${more}\\r\\nx\\r\\n.\\r\\n\nS: ${answer}\n`;
}

async function opened(outgoing: object) {
  const document = policy(outgoing);
  // Nobody listens there: pages ask whether somebody would.
  const listener = document.listener.map((one, i) => ({ ...one, listen: `127.0.0.1:${2525 + i}` }));
  const known = { ...document, listener };
  const bench = await benchOf(known);
  const gateway = await openTrialGateway({
    policy: trialPolicy(document),
    outgoing: bench.outgoing,
  });
  return {
    bench,
    async play(name: string, text: string) {
      try {
        await playDialog(text, gateway);
      } catch (error) {
        throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

/** With the part on by enterprise mode and by its own setting, and with all off: what the same mail is answered then. */
const SETTINGS = (part: string) => [
  ["enterprise", { enterprise: true }, true],
  ["on its own", { [part]: true }, true],
  ["off", { enterprise: true, [part]: false }, false],
];
const each = (part: string) =>
  SETTINGS(part).map(([name, outgoing, on]) => [name, outgoing, on] as [string, object, boolean]);

test.each(each("require_tls"))("TLS only: %s", async (_, outgoing, on) => {
  await using gateway = await opened(outgoing);
  const way = "WAY mx:elsewhere.example";
  for (const one of WAYS)
    await gateway.play(one.name, `${one.door}${mail(one, "250 *")}${way}${on ? " over TLS" : ""}\n`);
  for (const one of FREE) await gateway.play(one.name, `${one.door}${mail(one, "250 *")}${way}\n`);
  const refused = "strict.test takes mail of its senders over TLS only*";
  for (const one of WAYS.filter(({ door }) => door.startsWith("ON login"))) {
    const clear = one.door.replace("ON login\nC! TLS", "ON clear");
    if (!on) await gateway.play(one.name, `${clear}${mail(one, "250 *")}`);
    else if (one.path.startsWith("ann"))
      await gateway.play(one.name, `${clear}C: MAIL FROM:<${one.path}>\nS: 530 5.7.10 ${refused}\n`);
    else await gateway.play(one.name, `${clear}${mail(one, `550 5.7.10 ${refused}`)}`);
  }
});

test.each(each("from_must_exist"))("the From address must exist: %s", async (_, outgoing, on) => {
  await using gateway = await opened(outgoing);
  for (const one of WAYS) {
    const ghost = (text: string) => text.replace(/\bann\d+@/, "ghost@");
    const way = { ...one, path: ghost(one.path), from: ghost(one.from), more: ghost(one.more ?? "") };
    const refused = "550 5.1.8 The sender address ghost@strict.test does not exist*";
    if (on && one.path.startsWith("ann"))
      await gateway.play(one.name, `${one.door}C: MAIL FROM:<${way.path}>\nS: ${refused}\n`);
    else
      await gateway.play(one.name, `${one.door}${mail(way, on && one.named !== true ? refused : "250 *")}`);
    await gateway.play(one.name, `${one.door}${mail(one, "250 *")}`);
  }
});

test.each(each("known_identities_only"))("known identities only: %s", async (_, outgoing, on) => {
  await using gateway = await opened(outgoing);
  const door = range("192.0.2.34");
  const told = { more: "X-Client-ID: 7\\r\\n" };
  for (const one of WAYS.filter((way) => way.door === RANGE.door)) {
    const refused = "550 5.7.1 Message refused: it needs the header X-Client-ID to say who sent it";
    await gateway.play(one.name, `${door}${mail(one, on ? refused : "250 *")}`);
    await gateway.play(
      one.name,
      `${door}${mail({ ...one, more: `${one.more ?? ""}${told.more}` }, "250 *")}`,
    );
  }
  await gateway.play("of the other domain", `${door}${mail({ ...WAYS[0], ...FREE[0] } as Way, "250 *")}`);
});

test.each(each("limit_identities"))("limits for every identity: %s", async (_, outgoing, on) => {
  await using gateway = await opened({ ...outgoing, default_limits: { recipients_per_day: 1 } });
  for (const one of WAYS) {
    const limited = "450 4.7.1 Limit of 1 recipient per 24 hours reached for this identity*";
    await gateway.play(one.name, `${one.door}${mail(one, "250 *")}`);
    // By the envelope it is known at RCPT, by the header with the data.
    const second =
      on && one.path.startsWith("ann")
        ? `C: MAIL FROM:<${one.path}>\nS: 250 *\nC: RCPT TO:<x@elsewhere.example>\nS: ${limited}\n`
        : mail(one, on ? limited : "250 *");
    await gateway.play(one.name, `${one.door}${second}`);
  }
  for (const free of FREE) await gateway.play(free.name, `${free.door}${mail(free, "250 *").repeat(2)}`);
});

test.each(each("lock_identities"))("automatic lock of every identity: %s", async (_, outgoing, on) => {
  await using gateway = await opened(outgoing);
  const spam = (way: Way) => `${way.door}${mail(way, "550 *", "spam@elsewhere.example")}`;
  const locked: string[] = [];
  for (const one of WAYS.filter(({ unlocked }) => unlocked)) {
    await gateway.play(one.name, spam(one));
    if (on) locked.push(one.shared ? CROSS : one.path === "" ? one.from : one.path);
  }
  for (const free of FREE.filter(({ unlocked }) => unlocked)) await gateway.play(free.name, spam(free));
  expect(gateway.bench.news.map(({ identity }) => identity?.replace(/^cross\d+/, "cross") ?? "")).toEqual(
    locked,
  );
});

test("what nobody is behind is neither limited nor locked for another domain: the rest of its kind goes on", async () => {
  const enterprise = { enterprise: true, default_limits: { recipients_per_day: 1, per_minute: 1 } };
  await using gateway = await opened(enterprise);
  const forward: Way = {
    name: "a forward that names us",
    ...RANGE,
    path: "srs0=x=y=far.example=joe@strict.test",
    from: "joe@far.example",
    more: "Sender: ann0@strict.test\\r\\n",
  };
  const nobody: Way = {
    name: "no header",
    door: range("192.0.2.34"),
    path: "ann0@strict.test",
    from: "ann0@strict.test",
  };
  const parts = { from_must_exist: false, known_identities_only: false };
  await gateway.play(
    forward.name,
    `${forward.door}C: MAIL FROM:<${forward.path}>\nS: 550 5.1.8 *\n${mail({ ...forward, path: "joe@far.example" }, "250 *").repeat(3)}`,
  );
  await using lenient = await opened({ ...enterprise, ...parts });
  for (const one of [forward, nobody]) {
    for (let i = 0; i < 3; i++) await lenient.play(one.name, `${one.door}${mail(one, "250 *")}`);
    await lenient.play(one.name, `${one.door}${mail(one, "550 *", "spam@elsewhere.example")}`);
    await lenient.play(one.name, `${one.door}${mail(one, "250 *")}WAY mx:elsewhere.example over TLS\n`);
  }
  expect(lenient.bench.news).toEqual([]);
});

test("of two domains with limits the stricter hold; a sender's own numbers count where they are lower", async () => {
  const strict = { limit_identities: true, default_limits: { per_minute: 2, recipients_per_day: 50 } };
  const base = policy(strict);
  const other = {
    name: "other.test",
    outgoing: {
      limit_identities: true,
      default_limits: { per_minute: 9, per_hour: 10, recipients_per_day: 9 },
    },
  };
  const range = own({
    kind: "ip",
    range: "192.0.2.33/32",
    domains: ["strict.test"],
    identity_limits: { per_day: 7, recipients_per_day: 60 },
  });
  const now = await snapshotOf({
    ...base,
    listener: [],
    domain: [{ name: "strict.test", outgoing: strict }, other],
    sender: [range],
  });
  const party = now.partyOfKey("192.0.2.33/32");
  if (party === null) throw new Error("no party");
  const limits = (from: string) =>
    identityLimits(now.speaking(party, { reversePath: null, from: [address(from)] }));
  const lone = { per_minute: 9, per_hour: 10, per_day: 7, recipients_per_day: 60 };
  expect(limits("bob@other.test")).toMatchObject(lone);
  expect(limits("bob@elsewhere.example")).toMatchObject(lone);
  expect(limits("ann@strict.test")).toMatchObject({
    per_minute: 2,
    per_hour: 10,
    per_day: 7,
    recipients_per_day: 50,
  });
});

test("where no domain has a part of the strict set, nothing is asked: the party is the same one", async () => {
  const off = await snapshotOf({ ...policy({}), listener: [] });
  const on = await snapshotOf({ ...policy({ require_tls: true }), listener: [] });
  const ann = { reversePath: address("ann@strict.test"), from: [] };
  for (const [now, same] of [
    [off, true],
    [on, false],
  ] as const) {
    const party = now.partyOfKey("192.0.2.33/32");
    if (party === null) throw new Error("no party");
    expect(now.speaking(party, ann) === party).toBe(same);
    // Made once, and for each set of domains.
    expect(now.speaking(party, ann)).toBe(now.speaking(party, ann));
  }
});

test("the page of an identity has the limits of the domain it writes for; another's has none", async () => {
  await using gateway = await opened({ limit_identities: true, default_limits: { recipients_per_day: 1 } });
  const [strict, free] = [WAYS[0], FREE[0]];
  if (strict === undefined || free === undefined) throw new Error("no ways");
  await gateway.play(strict.name, `${RANGE.door}${mail(strict, "250 *")}${mail(free, "250 *")}`);
  const page = (identity: string) => gateway.bench.outgoing.identity({ sender: "192.0.2.33/32", identity });
  expect(await page("ann0@strict.test")).toMatchObject({ sending: { code: "at-limit" } });
  expect(
    (await page("ann0@strict.test"))?.limits.map(({ limit, used, most }) => [limit, used, most]),
  ).toEqual([
    ["per_minute", 1, 30],
    ["per_hour", 1, 300],
    ["recipients_per_day", 1, 1],
  ]);
  expect(await page("bob16@other.test")).toMatchObject({ sending: { code: "may-send" }, limits: [] });
});
