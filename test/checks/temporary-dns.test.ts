// What cannot be looked up now must not decide: every mix of SPF, DKIM and DMARC answers through the product's own door, and every way
// a DNS server can fail to give one. 451 unless what is known proves the author or convicts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import packet, { type DecodedPacket } from "dns-packet";
import { type FrontDoor, openFrontDoor, type Received, signedWith, testKey } from "./front-door.ts";

const CLIENT = "192.0.2.1";
const key = testKey();
const other = testKey();
let door: FrontDoor;
/** Names that fail in ways of their own. */
const bent = new Map<string, (query: DecodedPacket, via: "udp" | "tcp") => readonly Buffer[]>();

beforeAll(async () => {
  door = await openFrontDoor({ rules: ["dmarc"], dnsTimeoutMs: 1000 });
  door.dns.answerWith(
    (query, via) => bent.get((query.questions?.[0]?.name ?? "").toLowerCase())?.(query, via) ?? null,
  );
});
afterAll(() => door[Symbol.asyncDispose]());

function letter(from: string): Buffer {
  return Buffer.from(
    `From: Ann <${from}>\r\nTo: bob@example.test\r\nSubject: hello\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n`,
  );
}

const SPF = ["pass", "fail", "none", "temporary", "stranger's pass", "stranger's temporary"] as const;
const DKIM = [
  "none",
  "pass",
  "broken",
  "no key",
  "temporary",
  "stranger's temporary",
  "stranger's pass, own temporary",
  "own pass, own temporary",
] as const;
const DMARC = ["reject", "quarantine", "none", "absent", "temporary"] as const;
type Ending = "delivered" | "refused" | "quarantined" | "put off";

interface Mix {
  readonly spf: (typeof SPF)[number];
  readonly dkim: (typeof DKIM)[number];
  readonly dmarc: (typeof DMARC)[number];
}

function rightEnding({ spf, dkim, dmarc }: Mix): Ending {
  const proven = spf === "pass" || dkim === "pass" || dkim === "own pass, own temporary";
  const couldBe = spf === "temporary" || dkim === "temporary" || dkim === "stranger's pass, own temporary";
  if (proven || dmarc === "absent" || dmarc === "none") return "delivered";
  if (dmarc === "temporary" || couldBe) return "put off";
  return dmarc === "reject" ? "refused" : "quarantined";
}

function endingOf({ reply, state }: Received): Ending | string {
  if (reply.startsWith("451 ")) return "put off";
  if (reply.startsWith("550 ")) return "refused";
  if (!reply.startsWith("250 ")) return reply;
  return state === "quarantined" ? "quarantined" : "delivered";
}

/** Publishes what the mix wants under names of its own and hands the letter in. */
async function play(mix: Mix, domain: string): Promise<Received> {
  const { dns } = door;
  const stranger = `stranger-${domain}`;
  const good = { TXT: [`v=spf1 ip4:${CLIENT} -all`] };
  const spf = {
    pass: good,
    fail: { TXT: ["v=spf1 ip4:198.51.100.9 -all"] },
    none: null,
    temporary: { fail: "servfail" },
    "stranger's pass": null,
    "stranger's temporary": null,
  } as const;
  dns.set(domain, spf[mix.spf]);
  if (mix.spf === "stranger's pass") dns.set(stranger, good);
  if (mix.spf === "stranger's temporary") dns.set(stranger, { fail: "servfail" });
  if (mix.dmarc === "temporary") dns.set(`_dmarc.${domain}`, { fail: "servfail" });
  else if (mix.dmarc !== "absent") dns.set(`_dmarc.${domain}`, { TXT: [`v=DMARC1; p=${mix.dmarc}`] });
  dns.set(`good._domainkey.${domain}`, { TXT: [key.record] });
  dns.set(`wrong._domainkey.${domain}`, { TXT: [other.record] });
  dns.set(`down._domainkey.${domain}`, { fail: "servfail" });
  dns.set(`good._domainkey.${stranger}`, { TXT: [key.record] });
  dns.set(`down._domainkey.${stranger}`, { fail: "servfail" });
  const signers: Readonly<Record<Mix["dkim"], readonly (readonly [string, string])[]>> = {
    none: [],
    pass: [[domain, "good"]],
    broken: [[domain, "wrong"]],
    "no key": [[domain, "missing"]],
    temporary: [[domain, "down"]],
    "stranger's temporary": [[stranger, "down"]],
    "stranger's pass, own temporary": [
      [stranger, "good"],
      [domain, "down"],
    ],
    "own pass, own temporary": [
      [domain, "down"],
      [domain, "good"],
    ],
  };
  let raw = letter(`ann@${domain}`);
  for (const [by, selector] of signers[mix.dkim]) raw = await signedWith(key, raw, { domain: by, selector });
  const sender = mix.spf.startsWith("stranger") ? `bounce@${stranger}` : `ann@${domain}`;
  return door.send({ ip: CLIENT, sender, raw });
}

describe("every mix of answers", () => {
  for (const [n, dmarc] of DMARC.entries()) {
    test(`DMARC record ${dmarc}: ${SPF.length * DKIM.length} mixes of SPF and DKIM`, async () => {
      const wrong: string[] = [];
      for (const [i, spf] of SPF.entries()) {
        for (const [j, dkim] of DKIM.entries()) {
          const mix = { spf, dkim, dmarc };
          const received = await play(mix, `mix${n}-${i}-${j}.test`);
          const ending = endingOf(received);
          if (ending !== rightEnding(mix)) {
            wrong.push(`SPF ${spf}, DKIM ${dkim}: ${ending}, not ${rightEnding(mix)} (${received.reply})`);
          }
        }
      }
      expect(wrong).toEqual([]);
    }, 60_000);
  }
});

function reply(query: DecodedPacket, change: Partial<DecodedPacket> = {}): Buffer {
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags: packet.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    ...change,
  });
}

const FAILURES: Readonly<Record<string, (query: DecodedPacket, via: "udp" | "tcp") => readonly Buffer[]>> = {
  SERVFAIL: (query) => [reply(query, { flags: 2 })],
  REFUSED: (query) => [reply(query, { flags: 5 })],
  FORMERR: (query) => [reply(query, { flags: 1 })],
  silence: () => [],
  "a wrong id": (query) => [reply(query, { id: ((query.id ?? 0) + 1) & 0xffff })],
  "another question": (query) => [reply(query, { questions: [{ name: "else.test", type: "TXT" }] })],
  garbage: () => [Buffer.from("no dns at all")],
  "a long answer without TCP": (query, via) =>
    via === "tcp" ? [Buffer.alloc(0)] : [reply(query, { flags: packet.TRUNCATED_RESPONSE })],
  "a circle of aliases": (query) => {
    const name = query.questions?.[0]?.name ?? "";
    return [reply(query, { answers: [{ name, type: "CNAME", ttl: 60, data: name }] })];
  },
};
const PLACES = [
  "the SPF record",
  "an included SPF record",
  "the DKIM key",
  "the DMARC record",
  "the organisation's DMARC record",
] as const;

describe("every way to fail", () => {
  for (const [f, failure] of Object.keys(FAILURES).entries()) {
    test(`${failure} for ${PLACES.join(", ")}: put off`, async () => {
      const endings = await Promise.all(
        PLACES.map(async (place, p) => [place, await failingAt(place, failure, `fail${f}-${p}.test`)]),
      );
      expect(endings).toEqual(PLACES.map((place) => [place, "put off"]));
    }, 20_000);
  }

  /** A letter that everything says no to, but for one answer that does not come. */
  async function failingAt(place: (typeof PLACES)[number], failure: string, domain: string): Promise<string> {
    const include = place === "an included SPF record";
    door.dns.set(domain, { TXT: [include ? `v=spf1 include:inc.${domain} -all` : "v=spf1 -all"] });
    door.dns.set(`inc.${domain}`, { TXT: ["v=spf1 -all"] });
    door.dns.set(`key._domainkey.${domain}`, { TXT: [other.record] });
    door.dns.set(`_dmarc.${domain}`, { TXT: ["v=DMARC1; p=reject"] });
    const failing = {
      "the SPF record": domain,
      "an included SPF record": `inc.${domain}`,
      "the DKIM key": `key._domainkey.${domain}`,
      "the DMARC record": `_dmarc.${domain}`,
      "the organisation's DMARC record": `_dmarc.${domain}`,
    }[place];
    bent.set(failing, FAILURES[failure] ?? (() => []));
    const author = place === "the organisation's DMARC record" ? `ann@sub.${domain}` : `ann@${domain}`;
    const raw = await signedWith(key, letter(author), { domain, selector: "key" });
    return endingOf(await door.send({ ip: CLIENT, sender: `ann@${domain}`, raw }));
  }

  test("when the answers are back, the same mail is refused", async () => {
    const mix: Mix = { spf: "temporary", dkim: "temporary", dmarc: "reject" };
    expect(endingOf(await play(mix, "back.test"))).toBe("put off");
    door.dns.set("back.test", { TXT: ["v=spf1 -all"] });
    door.dns.set("down._domainkey.back.test", { TXT: [other.record] });
    const raw = await signedWith(key, letter("ann@back.test"), { domain: "back.test", selector: "down" });
    expect(endingOf(await door.send({ ip: CLIENT, sender: "ann@back.test", raw }))).toBe("refused");
  }, 20_000);

  test("names that do not exist and names without records are answers: refused", async () => {
    door.dns.set("_dmarc.answers.test", { TXT: ["v=DMARC1; p=reject"] });
    for (const selector of ["missing", "empty"]) {
      door.dns.set(`empty._domainkey.answers.test`, { A: ["192.0.2.9"] });
      const raw = await signedWith(key, letter("ann@answers.test"), { domain: "answers.test", selector });
      expect(endingOf(await door.send({ ip: CLIENT, sender: "ann@answers.test", raw }))).toBe("refused");
    }
  });
});

test("whether a name below the organisation exists decides between sp and np: unknown, it is put off", async () => {
  door.dns.set("_dmarc.parent.test", { TXT: ["v=DMARC1; p=reject; sp=none; np=reject"] });
  door.dns.set("there.parent.test", { A: ["192.0.2.9"] });
  door.dns.set("maybe.parent.test", { fail: "servfail" });
  const send = async (from: string): Promise<string> =>
    endingOf(await door.send({ ip: CLIENT, sender: "x@stranger.test", raw: letter(from) }));
  expect(await send("ann@there.parent.test")).toBe("delivered");
  expect(await send("ann@gone.parent.test")).toBe("refused");
  expect(await send("ann@maybe.parent.test")).toBe("put off");
});

test("a step of the tree walk that fails counts only where it could matter", async () => {
  door.dns.set("_dmarc.fails", { fail: "servfail" });
  door.dns.set("_dmarc.own.fails", { TXT: ["v=DMARC1; p=reject"] });
  door.dns.set("k._domainkey.own.fails", { TXT: [key.record] });
  door.dns.set("_dmarc.sub.own.fails", { TXT: ["v=DMARC1; p=reject"] });
  const send = async (from: string, by: string | null): Promise<string> => {
    const plain = letter(from);
    const raw = by === null ? plain : await signedWith(key, plain, { domain: by, selector: "k" });
    return endingOf(await door.send({ ip: CLIENT, sender: "x@stranger.test", raw }));
  };
  // Its own record is known, and nothing proves it.
  expect(await send("ann@own.fails", null)).toBe("refused");
  // Proven by the very name: whatever stands above.
  expect(await send("ann@own.fails", "own.fails")).toBe("delivered");
  // A record was found below the suffix that cannot be asked: where the organisation ends is known without it.
  expect(await send("ann@sub.own.fails", "own.fails")).toBe("delivered");
  expect(await send("ann@sub.own.fails", null)).toBe("refused");
  // Whether there is a record above it cannot be known now.
  expect(await send("ann@none.fails", null)).toBe("put off");
  // Not so a name that is no public suffix.
  door.dns.set("_dmarc.a.middle.example", { TXT: ["v=DMARC1; p=reject"] });
  door.dns.set("_dmarc.middle.example", { fail: "servfail" });
  door.dns.set("k._domainkey.middle.example", { TXT: [key.record] });
  expect(await send("ann@a.middle.example", "middle.example")).toBe("put off");
});

test("MAIL FROM of dead name servers changes nothing for the spoof that comes next", async () => {
  bent.set("dead.test", () => []);
  bent.set("_dmarc.dead.test", () => []);
  door.dns.set("victim.test", { TXT: ["v=spf1 -all"] });
  // Slower than the one short try that a resolver taken for dead would get.
  let asked = 0;
  bent.set("_dmarc.victim.test", (query) =>
    ++asked < 2
      ? []
      : [
          reply(query, {
            answers: [
              { name: query.questions?.[0]?.name ?? "", type: "TXT", ttl: 60, data: "v=DMARC1; p=reject" },
            ],
          }),
        ],
  );
  const dead = await door.send({ ip: CLIENT, sender: "x@dead.test", raw: letter("ann@dead.test") });
  expect(endingOf(dead)).toBe("put off");
  const spoof = await door.send({ ip: CLIENT, sender: "x@victim.test", raw: letter("ceo@victim.test") });
  expect(endingOf(spoof)).toBe("refused");
}, 20_000);

test.each([150, 600])("an SPF record behind %d others is found", async (count) => {
  const domain = `many${count}.test`;
  const others = Array.from({ length: count }, (_, n) => `verification=${n}-${"x".repeat(48)}`);
  door.dns.set(domain, { TXT: [...others, "v=spf1 -all"] });
  door.dns.set(`_dmarc.${domain}`, { TXT: [...others, "v=DMARC1; p=reject"] });
  const received = await door.send({ ip: CLIENT, sender: `x@${domain}`, raw: letter(`ceo@${domain}`) });
  expect(received.facts).toMatchObject({ "spf.result": "fail", "dmarc.result": "fail" });
  expect(endingOf(received)).toBe("refused");
});

describe("the other rules", () => {
  const rows = [
    ["SPF of the author temporary", { spf: "temporary", dkim: "none", dmarc: "absent" }, "put off"],
    ["DKIM of the author temporary", { spf: "none", dkim: "temporary", dmarc: "absent" }, "put off"],
    [
      "behind a stranger's pass",
      { spf: "none", dkim: "stranger's pass, own temporary", dmarc: "absent" },
      "put off",
    ],
    [
      "only a stranger's SPF temporary",
      { spf: "stranger's temporary", dkim: "none", dmarc: "absent" },
      "refused",
    ],
    [
      "only a stranger's key temporary",
      { spf: "fail", dkim: "stranger's temporary", dmarc: "absent" },
      "refused",
    ],
    ["proven by SPF, DKIM temporary", { spf: "pass", dkim: "temporary", dmarc: "absent" }, "delivered"],
    ["proven by DKIM, SPF temporary", { spf: "temporary", dkim: "pass", dmarc: "absent" }, "delivered"],
  ] as const;
  test("authenticated senders only", async () => {
    const before = door;
    await using strict = await openFrontDoor({ rules: ["authenticated-senders-only"], dnsTimeoutMs: 1000 });
    door = strict;
    try {
      for (const [n, [name, mix, ending]] of rows.entries()) {
        expect([name, endingOf(await play(mix, `only${n}.test`))]).toEqual([name, ending]);
      }
    } finally {
      door = before;
    }
  }, 20_000);

  test("subject marks: none of failure while it cannot be known", async () => {
    const before = door;
    await using marking = await openFrontDoor({ rules: ["subject-marks"], dnsTimeoutMs: 1000 });
    door = marking;
    try {
      const marks = async (mix: Mix, domain: string): Promise<string> =>
        JSON.stringify((await play(mix, domain)).edits);
      const failed = await marks({ spf: "fail", dkim: "broken", dmarc: "reject" }, "mark1.test");
      expect(failed).toContain("[ SPAM ]");
      const unknown = await marks({ spf: "fail", dkim: "temporary", dmarc: "reject" }, "mark2.test");
      expect(unknown).toContain(":: dkim-temperror ::");
      expect(unknown).not.toContain("[ SPAM ]");
      expect(await marks({ spf: "temporary", dkim: "none", dmarc: "temporary" }, "mark3.test")).not.toContain(
        "[ SPAM ]",
      );
      const stranger: Mix = { spf: "stranger's pass", dkim: "temporary", dmarc: "absent" };
      expect(await marks(stranger, "mark4.test")).not.toContain("spf-diff");
    } finally {
      door = before;
    }
  }, 20_000);
});
