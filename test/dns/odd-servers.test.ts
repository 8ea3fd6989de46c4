// Resolvers that cannot take what ours send by habit: mixed case, EDNS. They are found out, remembered and asked plainly.
// And answers of unusual size: hundreds of records come whole or are an error, never "none".
import { afterEach, expect, test } from "bun:test";
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type AnswerHook, type DnsServer, startDnsServer } from "../dns-server.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

interface Seen {
  readonly via: "udp" | "tcp";
  readonly edns: boolean;
  readonly mixed: boolean;
}

/** A server that answers every TXT question with `v=spf1 -all`, as `bend` makes it. */
async function setUp(
  bend: (query: DecodedPacket, via: "udp" | "tcp", right: () => Buffer) => readonly Buffer[],
): Promise<{ readonly resolver: StubResolver; readonly server: DnsServer; readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = await startDnsServer({});
  const hook: AnswerHook = (query, via) => {
    const name = query.questions?.[0]?.name ?? "";
    if (name !== ".") {
      seen.push({ via, edns: (query.additionals ?? []).length > 0, mixed: name !== name.toLowerCase() });
    }
    return bend(query, via, () => reply(query));
  };
  server.answerWith(hook);
  const resolver = createResolver({ servers: [server.address], log: silentLog, timeoutMs: 2000 });
  open.push(resolver, server);
  return { resolver, server, seen };
}

function reply(query: DecodedPacket, change: Partial<DecodedPacket> = {}): Buffer {
  const name = query.questions?.[0]?.name ?? "";
  const answers: Answer[] = [{ name, type: "TXT", ttl: 60, data: "v=spf1 -all" }];
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    answers,
    ...change,
  });
}

function folded(query: DecodedPacket): DecodedPacket {
  const questions = (query.questions ?? []).map((one) => ({ ...one, name: one.name.toLowerCase() }));
  return { ...query, questions };
}

const hasEdns = (query: DecodedPacket): boolean => (query.additionals ?? []).length > 0;
const NAMES = ["first-of-many-letters.example.test", "second-of-many-letters.example.test"] as const;
const RIGHT = { ok: true, records: ["v=spf1 -all"] } as const;

const ednsRefusals: Readonly<Record<string, (query: DecodedPacket) => Buffer>> = {
  "FORMERR with the question": (query) => reply(query, { flags: 1, answers: [] }),
  "FORMERR, the header alone": (query) => reply(query, { flags: 1, answers: [], questions: [] }),
  NOTIMP: (query) => reply(query, { flags: 4, answers: [] }),
  BADVERS: (query) =>
    reply(query, {
      answers: [],
      additionals: [
        {
          name: ".",
          type: "OPT",
          udpPayloadSize: 512,
          extendedRcode: 1,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
};

test.each(Object.keys(ednsRefusals))(
  "a server that answers EDNS with %s is asked without, and from then on",
  async (kind) => {
    const refusal = ednsRefusals[kind];
    const { resolver, seen } = await setUp((query, _via, right) =>
      hasEdns(query) && refusal !== undefined ? [refusal(query)] : [right()],
    );
    const startedAt = performance.now();
    expect(await resolver.txt(NAMES[0])).toMatchObject(RIGHT);
    expect(await resolver.txt(NAMES[1])).toMatchObject(RIGHT);
    expect(performance.now() - startedAt).toBeLessThan(900);
    expect(seen.map(({ edns }) => edns)).toEqual([true, false, false]);
  },
);

test("a server that drops EDNS without a word is found out beside the question", async () => {
  const { resolver, seen } = await setUp((query, _via, right) => (hasEdns(query) ? [] : [right()]));
  // The first question may run out of time; what is learnt while it waits serves its later tries and all others.
  await resolver.txt(NAMES[0]);
  const startedAt = performance.now();
  expect(await resolver.txt(NAMES[1])).toMatchObject(RIGHT);
  expect(performance.now() - startedAt).toBeLessThan(900);
  expect(seen.at(-1)).toMatchObject({ edns: false });
});

test("a server that errs on every question is not asked for ever, and nothing is learnt from it", async () => {
  const { resolver, seen } = await setUp((query) => [reply(query, { flags: 1, answers: [] })]);
  expect(await resolver.txt(NAMES[0])).toMatchObject({ ok: false, failure: "servfail" });
  expect(await resolver.txt(NAMES[1])).toMatchObject({ ok: false, failure: "servfail" });
  expect(seen.map(({ edns }) => edns)).toEqual([true, false, true, false]);
});

test("a server that folds the case is confirmed over TCP once and asked in lower case from then on", async () => {
  const { resolver, seen } = await setUp((query) => [reply(folded(query))]);
  const startedAt = performance.now();
  expect(await resolver.txt(NAMES[0])).toMatchObject(RIGHT);
  expect(await resolver.txt(NAMES[1])).toMatchObject(RIGHT);
  expect(performance.now() - startedAt).toBeLessThan(900);
  expect(seen.map(({ via, mixed }) => `${via} ${mixed}`)).toEqual(["udp true", "tcp true", "udp false"]);
});

test("a server that folds the case and has no TCP is believed in the end, each question still in time", async () => {
  const { resolver, seen } = await setUp((query, via) =>
    via === "tcp" ? [Buffer.alloc(0)] : [reply(folded(query))],
  );
  for (const name of [...NAMES, "third-of-many-letters.example.test"]) {
    expect(await resolver.txt(name)).toMatchObject(RIGHT);
  }
  seen.length = 0;
  expect(await resolver.txt("fourth-of-many-letters.example.test")).toMatchObject(RIGHT);
  expect(seen).toEqual([{ via: "udp", edns: true, mixed: false }]);
});

test.each([150, 650])("%d TXT records at one name come whole", async (count) => {
  const { resolver, server } = await setUp(() => []);
  server.answerWith(null);
  const records = Array.from({ length: count }, (_, n) => `verification=${n}-${"x".repeat(48)}`);
  server.set("many.example.test", { TXT: [...records, "v=spf1 -all"] });
  const answer = await resolver.txt("many.example.test");
  expect(answer).toMatchObject({ ok: true });
  expect(answer.ok && answer.records.length).toBe(count + 1);
  expect(answer.ok && answer.records.at(-1)).toBe("v=spf1 -all");
});

test("a long answer that cannot be had over TCP is an error, not a name without records", async () => {
  const { resolver } = await setUp((query, via) =>
    via === "tcp" ? [Buffer.alloc(0)] : [reply(query, { flags: packet.TRUNCATED_RESPONSE, answers: [] })],
  );
  expect(await resolver.txt(NAMES[0])).toMatchObject({ ok: false, failure: "servfail" });
});

test("a name with a blank, as SPF's %_ makes it, is asked and answered", async () => {
  const { resolver, server } = await setUp(() => []);
  server.answerWith(null);
  server.set("a b.example.test", { A: ["192.0.2.5"] });
  expect(await resolver.a("a b.example.test")).toMatchObject({ records: ["192.0.2.5"] });
  expect(await resolver.a("a c.example.test")).toMatchObject({ failure: "nxdomain" });
});

test("time-to-live at its extremes: zero is not kept, the greatest for a day at most", async () => {
  for (const [ttl, asked] of [
    [0, 2],
    [2 ** 31 - 1, 1],
  ] as const) {
    const { resolver, server } = await setUp(() => []);
    server.answerWith(null);
    server.set("ttl.example.test", { A: ["192.0.2.6"], ttl });
    await resolver.a("ttl.example.test");
    expect(await resolver.a("ttl.example.test")).toMatchObject({ records: ["192.0.2.6"] });
    expect(server.asked.length).toBe(asked);
  }
});
