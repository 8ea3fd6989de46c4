// Answers made to confuse: none may be accepted, crash the resolver or hold it longer than its time.
import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import fc from "fast-check";
import { encodeQuery, readAnswer } from "../../src/dns/query-message.ts";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer } from "../dns-server.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

async function setUp(
  timeoutMs = 400,
): Promise<{ readonly server: DnsServer; readonly resolver: StubResolver }> {
  const server = await startDnsServer({ "good.example.test": { A: ["192.0.2.1"] } });
  const resolver = createResolver({ servers: [server.address], log: silentLog, timeoutMs });
  open.push(resolver, server);
  return { server, resolver };
}

function response(query: DecodedPacket, answers: Answer[], change: Partial<DecodedPacket> = {}): Buffer {
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    answers,
    ...change,
  });
}

const forged = (query: DecodedPacket): Answer[] => [
  { name: query.questions?.[0]?.name ?? "", type: "A", ttl: 60, data: "203.0.113.66" },
];

/** A TXT record of this name as its octets: what it says of its length, and what is there. */
function txtAnswer(raw: Buffer, said: number, there: Buffer, count = 1): Buffer {
  const question = raw.subarray(12, raw.indexOf(0, 12) + 5);
  const header = Buffer.from(raw.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(count, 6);
  header.writeUInt16BE(0, 10);
  const record = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, said >> 8, said & 0xff]);
  return Buffer.concat([header, question, record, there]);
}

const PLAIN = { mixCase: false, edns: false };
const POLICY = Buffer.from("!v=DMARC1; p=reject; rua=mailto:x@");

describe("an answer cut short without saying so", () => {
  const query = encodeQuery({ id: 7, name: "_dmarc.example.test", type: "TXT", manner: PLAIN });
  const accepted = (said: number, there: Buffer, count?: number) =>
    readAnswer(txtAnswer(query.bytes, said, there, count), query) !== null;

  test("is none, wherever it is cut; whole, it is one", () => {
    expect(accepted(POLICY.length, POLICY)).toBe(true);
    expect(accepted(POLICY.length, Buffer.concat([POLICY, Buffer.from("more")]))).toBe(true);
    for (let cut = 0; cut < POLICY.length; cut++)
      expect([cut, accepted(POLICY.length, POLICY.subarray(0, cut))]).toEqual([cut, false]);
    for (let said = 0; said < 300; said++)
      if (said !== POLICY.length && said !== 0) expect([said, accepted(said, POLICY)]).toEqual([said, false]);
    expect(accepted(0, Buffer.alloc(0))).toBe(true);
    expect(accepted(POLICY.length, POLICY, 2)).toBe(false);
    expect(accepted(1, Buffer.from([0]))).toBe(true);
  });

  test("of any kind is none", () => {
    const name = "mx.example.test";
    const answers: readonly Answer[] = [
      { name, type: "A", ttl: 60, data: "192.0.2.1" },
      { name, type: "AAAA", ttl: 60, data: "2001:db8::1" },
      { name, type: "MX", ttl: 60, data: { preference: 10, exchange: "mail.example.test" } },
      { name, type: "CNAME", ttl: 60, data: "other.example.test" },
    ];
    for (const answer of answers) {
      const type = answer.type === "CNAME" ? "A" : (answer.type as "A" | "AAAA" | "MX");
      const asked = encodeQuery({ id: 7, name, type, manner: PLAIN });
      const whole = response(packet.decode(asked.bytes), [answer]);
      const read = (bytes: Buffer) => readAnswer(bytes, asked);
      expect(read(whole)).not.toBeNull();
      for (let cut = 1; cut < 30; cut++) expect(read(whole.subarray(0, whole.length - cut))).toBeNull();
    }
  });
});

describe("not accepted", () => {
  const cases: Readonly<Record<string, (query: DecodedPacket, raw: Buffer) => Buffer[]>> = {
    "a wrong id": (query) => [response(query, forged(query), { id: ((query.id ?? 0) + 1) & 0xffff })],
    "another name in the question": (query) => [
      response(query, forged(query), { questions: [{ name: "other.example.test", type: "A" }] }),
    ],
    "another type in the question": (query) => [
      response(query, forged(query), {
        questions: [{ name: query.questions?.[0]?.name ?? "", type: "AAAA" }],
      }),
    ],
    "no question": (query) => [response(query, forged(query), { questions: [] })],
    "the query echoed": (_query, raw) => [raw],
    "garbage after the id": (_query, raw) => [
      Buffer.concat([raw.subarray(0, 2), Buffer.from("84000001ffff000000000000ffffffff", "hex")]),
    ],
    "an empty datagram": () => [Buffer.alloc(0)],
    "a name that points at itself": (query) => {
      const good = response(query, forged(query));
      const head = response(query, []);
      const record = Buffer.from(good.subarray(head.length));
      const loop = Buffer.concat([head, Buffer.from([0xc0 | (head.length >> 8), head.length & 255]), record]);
      loop.writeUInt16BE(1, 6);
      return [loop];
    },
    "a thousand records": (query) => [
      response(query, Array.from({ length: 1000 }, () => forged(query)).flat()),
    ],
  };
  for (const [name, answer] of Object.entries(cases)) {
    test(name, async () => {
      const { server, resolver } = await setUp();
      server.answerWith((query, _via, raw) => answer(query, raw));
      const startedAt = performance.now();
      expect(await resolver.a("victim.example.test")).toMatchObject({ ok: false, failure: "servfail" });
      expect(performance.now() - startedAt).toBeLessThan(1200);
      server.answerWith(null);
      expect(await resolver.a("good.example.test")).toMatchObject({ ok: true });
    });
  }

  test("the right answer still counts after a flood of forged ones, and its duplicates change nothing", async () => {
    // All that is waited for comes; four hundred datagrams take a busy machine more than the usual time.
    const { server, resolver } = await setUp(4000);
    server.answerWith((query) => {
      const wrong = Array.from({ length: 200 }, (_, n) =>
        response(query, forged(query), { id: ((query.id ?? 0) + 1 + n) & 0xffff }),
      );
      const right = response(query, [
        { name: query.questions?.[0]?.name ?? "", type: "A", ttl: 60, data: "192.0.2.7" },
      ]);
      return [...wrong, right, right, ...wrong];
    });
    expect(await resolver.a("flood.example.test")).toMatchObject({ records: ["192.0.2.7"] });
    await Bun.sleep(50);
    server.answerWith(null);
    expect(await resolver.a("good.example.test")).toMatchObject({ ok: true });
  });

  test("a question that comes back in one case is not believed: TCP says what is true", async () => {
    const { server, resolver } = await setUp(5000);
    server.answerWith((query, via) => {
      if (via === "tcp") return null;
      const name = (query.questions?.[0]?.name ?? "").toLowerCase();
      return [response(query, forged(query), { questions: [{ name, type: "A" }] })];
    });
    server.set("a-long-name-with-many-letters.example.test", { A: ["192.0.2.8"] });
    expect(await resolver.a("a-long-name-with-many-letters.example.test")).toMatchObject({
      records: ["192.0.2.8"],
    });
  });
});

describe("records that lie", () => {
  test("an answer for another name than the one asked is nothing", async () => {
    const { server, resolver } = await setUp();
    server.answerWith((query) => [
      response(query, [{ name: "bank.example.org", type: "A", ttl: 60, data: "203.0.113.66" }]),
    ]);
    expect(await resolver.a("x.example.test")).toMatchObject({ ok: false, failure: "nodata" });
    server.answerWith(null);
    expect(await resolver.a("bank.example.org")).toMatchObject({ failure: "nxdomain" });
  });

  test("an endless trail of CNAMEs, one per answer, ends", async () => {
    const { server, resolver } = await setUp();
    let hop = 0;
    server.answerWith((query) => [
      response(query, [
        { name: query.questions?.[0]?.name ?? "", type: "CNAME", ttl: 60, data: `hop${hop++}.example.test` },
      ]),
    ]);
    expect(await resolver.a("start.example.test")).toMatchObject({ failure: "servfail" });
    expect(hop).toBeLessThanOrEqual(8);
  });

  test("mail servers with unusable names are left out, and nothing but such is no answer", async () => {
    const { server, resolver } = await setUp();
    server.set("mixed.example.test", {
      MX: [
        { exchange: "bad name.example.test", priority: 1 },
        { exchange: "good.example.test", priority: 2 },
      ],
    });
    server.set("bad.example.test", { MX: [{ exchange: "bad\u0007.example.test", priority: 1 }] });
    expect(await resolver.mx("mixed.example.test")).toMatchObject({
      records: [{ exchange: "good.example.test", priority: 2 }],
    });
    expect(await resolver.mx("bad.example.test")).toMatchObject({ failure: "servfail" });
  });
});

describe("TCP", () => {
  const truncated = (query: DecodedPacket): Buffer =>
    response(query, [], { flags: packet.TRUNCATED_RESPONSE | packet.RECURSION_DESIRED });

  test("a server that closes, stalls or sends rubbish over TCP", async () => {
    for (const rubbish of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(70_000, 0xff)]) {
      const { server, resolver } = await setUp();
      server.answerWith((query, via) => (via === "udp" ? [truncated(query)] : [rubbish.subarray(0, 60_000)]));
      const startedAt = performance.now();
      expect(await resolver.txt("tcp.example.test")).toMatchObject({ failure: "servfail" });
      expect(performance.now() - startedAt).toBeLessThan(1500);
    }
  });

  test("the test server itself survives a client that leaves", async () => {
    const { server, resolver } = await setUp();
    const socket = connect(server.port, "127.0.0.1");
    await Bun.sleep(20);
    socket.destroy();
    expect(await resolver.a("good.example.test")).toMatchObject({ ok: true });
  });
});

describe("any bytes", () => {
  const query = encodeQuery({
    id: 4711,
    name: "example.test",
    type: "TXT",
    manner: { mixCase: false, edns: true },
  });

  test("never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        readAnswer(Buffer.from(bytes), query);
      }),
      { numRuns: 2000 },
    );
  });

  test("never throw behind a right header and question, and take no long time", () => {
    const head = packet.encode({
      type: "response",
      id: 4711,
      questions: [{ name: "example.test", type: "TXT" }],
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(400), (bytes, count) => {
        const message = Buffer.concat([head, bytes]);
        message.writeUInt16BE(count, 6);
        readAnswer(message, query);
      }),
      { numRuns: 2000 },
    );
  });

  test("the same over TCP, with as many records and pointers as may be", () => {
    const head = packet.encode({
      type: "response",
      id: 4711,
      questions: [{ name: "example.test", type: "TXT" }],
    });
    for (const [records, octet] of [
      [4000, 0xc0],
      [4000, 0x00],
      [65_535, 0x00],
      [4000, 0x3f],
    ] as const) {
      const message = Buffer.concat([head, Buffer.alloc(65_000, octet)]);
      message.writeUInt16BE(records, 6);
      const startedAt = performance.now();
      readAnswer(message, query, "tcp");
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
    // The dearest that passes the bound: each of 400 names runs through a chain of ten thousand pointers.
    const chain = Buffer.alloc(20_000);
    for (let at = 0; at < chain.length; at += 2) {
      chain.writeUInt16BE(0xc000 | (at === 0 ? 12 : (head.length + 11 + at - 2) & 0x3fff), at);
    }
    const wrapper = Buffer.alloc(11);
    wrapper.writeUInt16BE(65_280, 1);
    wrapper.writeUInt16BE(chain.length, 9);
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc000 | (head.length + 11 + 8000 - 2), 0);
    record.writeUInt16BE(1, 2);
    record.writeUInt16BE(4, 10);
    const message = Buffer.concat([head, wrapper, chain, ...Array.from({ length: 2000 }, () => record)]);
    message.writeUInt16BE(2001, 6);
    const startedAt = performance.now();
    expect(readAnswer(message, query, "tcp")).toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(300);
  });

  test("a long chain of pointers costs little", () => {
    const head = packet.encode({
      type: "response",
      id: 4711,
      questions: [{ name: "example.test", type: "TXT" }],
    });
    // Each pointer points at the one before; all names of 400 records run through the whole chain.
    const pointers = Buffer.alloc(20_000);
    for (let at = 0; at < pointers.length; at += 2) {
      const target = at === 0 ? 12 : head.length + 11 + at - 2;
      pointers.writeUInt16BE(0xc000 | (target & 0x3fff), at);
    }
    const wrapper = Buffer.alloc(11);
    // A private-use type, so that its data is not looked into.
    wrapper.writeUInt16BE(65_280, 1);
    wrapper.writeUInt16BE(1, 3);
    wrapper.writeUInt16BE(pointers.length, 9);
    const last = head.length + 11 + 8000 - 2;
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc000 | last, 0);
    record.writeUInt16BE(1, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(4, 10);
    const message = Buffer.concat([head, wrapper, pointers, ...Array.from({ length: 399 }, () => record)]);
    message.writeUInt16BE(400, 6);
    const startedAt = performance.now();
    expect(readAnswer(message, query)).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
