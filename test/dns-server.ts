// A small DNS server for tests: a record table over UDP and TCP on one loopback port, with a hook for hostile answers.
// It follows CNAMEs within its table, answers NXDOMAIN for unknown names and sets TC on long UDP answers.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import packet, { type Answer, type DecodedPacket, type Question } from "dns-packet";

/** What one name answers. A type left out is NODATA; `fail` overrides everything; `ad` sets the AD bit. */
export interface ZoneName {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly TXT?: readonly string[];
  readonly PTR?: readonly string[];
  readonly MX?: readonly { readonly exchange: string; readonly priority: number }[];
  readonly CNAME?: string;
  readonly fail?: "servfail" | "refused" | "nxdomain" | "silent";
  readonly ad?: boolean;
  /** Seconds; 60 when left out. */
  readonly ttl?: number;
}

export type Zone = Readonly<Record<string, ZoneName>>;

/** Answers a query with these datagrams as they are (over TCP: with length prefixes), or `null` for the table's answer. */
export type AnswerHook = (query: DecodedPacket, via: "udp" | "tcp", raw: Buffer) => readonly Buffer[] | null;

export interface DnsServer {
  readonly port: number;
  /** `127.0.0.1:PORT`, as `createResolver` wants it. */
  readonly address: string;
  /** Every question in order, `name TYPE udp|tcp`, the name in lower case; not those for the root, by which a resolver looks whether we live. */
  readonly asked: string[];
  /** Replaces one name; `null` removes it. */
  set(name: string, zone: ZoneName | null): void;
  answerWith(hook: AnswerHook | null): void;
  close(): Promise<void>;
}

const MAX_UDP_BYTES = 1232;
const RCODE = { noerror: 0, servfail: 2, nxdomain: 3, refused: 5 } as const;

function chunks(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length || at === 0; at += 255) parts.push(bytes.subarray(at, at + 255));
  return parts;
}

function records(name: string, zone: ZoneName, type: string): Answer[] {
  const ttl = zone.ttl ?? 60;
  switch (type) {
    case "A":
    case "AAAA":
    case "PTR":
      return (zone[type] ?? []).map((data) => ({ name, type, ttl, data }));
    case "TXT":
      return (zone.TXT ?? []).map((text) => ({ name, type: "TXT", ttl, data: chunks(text) }));
    case "MX":
      return (zone.MX ?? []).map((mx) => ({
        name,
        type: "MX",
        ttl,
        data: { preference: mx.priority, exchange: mx.exchange },
      }));
    case "CNAME":
      return zone.CNAME === undefined ? [] : [{ name, type: "CNAME", ttl, data: zone.CNAME }];
    default:
      return [];
  }
}

interface TableAnswer {
  readonly rcode: number;
  readonly answers: Answer[];
  readonly ad: boolean;
}

function lookUp(table: ReadonlyMap<string, ZoneName>, question: Question): TableAnswer | "silent" {
  const answers: Answer[] = [];
  let name = question.name.toLowerCase();
  let ad = true;
  for (let hop = 0; hop < 20; hop++) {
    const zone = table.get(name);
    if (zone === undefined) {
      const inside = [...table.keys()].some((known) => known.endsWith(`.${name}`));
      return { rcode: inside ? RCODE.noerror : RCODE.nxdomain, answers, ad: false };
    }
    ad &&= zone.ad === true;
    if (zone.fail === "silent") return "silent";
    if (zone.fail !== undefined) return { rcode: RCODE[zone.fail], answers, ad: false };
    if (zone.CNAME === undefined || question.type === "CNAME") {
      answers.push(...records(name, zone, question.type));
      return { rcode: RCODE.noerror, answers, ad };
    }
    answers.push({ name, type: "CNAME", ttl: zone.ttl ?? 60, data: zone.CNAME });
    name = zone.CNAME.toLowerCase();
  }
  return { rcode: RCODE.noerror, answers, ad: false };
}

function encodeAnswer(query: DecodedPacket, question: Question, found: TableAnswer): Buffer {
  const owner = question.name;
  const soa: Answer = {
    name: owner,
    type: "SOA",
    ttl: 60,
    data: { mname: "ns.example.test", rname: "root.example.test", minimum: 60 },
  };
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags:
      packet.RECURSION_DESIRED |
      packet.RECURSION_AVAILABLE |
      (found.ad ? packet.AUTHENTIC_DATA : 0) |
      found.rcode,
    questions: [question],
    // The first answer carries the name as it was asked, so that its case is kept.
    answers: found.answers.map((answer) =>
      answer.name === owner.toLowerCase() ? { ...answer, name: owner } : answer,
    ),
    authorities: found.answers.length === 0 ? [soa] : [],
  });
}

/** The same header and question, nothing else, TC set. */
function truncated(query: DecodedPacket, question: Question): Buffer {
  const flags = packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | packet.TRUNCATED_RESPONSE;
  return packet.encode({ type: "response", id: query.id ?? 0, flags, questions: [question] });
}

function prefixed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Starts the server on a free loopback port, with this table. */
export async function startDnsServer(
  zone: Zone = {},
  options: { readonly keepsAlive: boolean } = { keepsAlive: true },
): Promise<DnsServer> {
  const table = new Map(Object.entries(zone).map(([name, entry]) => [name.toLowerCase(), entry]));
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  let hook: AnswerHook | null = null;

  const answer = (raw: Buffer, via: "udp" | "tcp"): readonly Buffer[] => {
    const query = packet.decode(raw);
    const question = query.questions?.[0];
    if (question === undefined) return [];
    if (question.name !== ".") asked.push(`${question.name.toLowerCase()} ${question.type} ${via}`);
    const special = hook?.(query, via, raw) ?? null;
    if (special !== null) return special;
    const found = lookUp(table, question);
    if (found === "silent") return [];
    const whole = encodeAnswer(query, question, found);
    return [via === "udp" && whole.length > MAX_UDP_BYTES ? truncated(query, question) : whole];
  };

  const tcp = createServer((socket) => {
    sockets.add(socket);
    let pending = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        for (const message of answer(pending.subarray(2, end), "tcp")) socket.write(prefixed(message));
        pending = pending.subarray(end);
      }
    });
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const bound = tcp.address();
  if (bound === null || typeof bound === "string") throw new Error("the test DNS server has no TCP port");

  const udp = createSocket("udp4");
  udp.on("message", (raw, peer) => {
    for (const message of answer(raw, "udp")) udp.send(message, peer.port, peer.address);
  });
  udp.bind(bound.port, "127.0.0.1");
  await once(udp, "listening");
  if (!options.keepsAlive) {
    udp.unref();
    tcp.unref();
  }

  return {
    port: bound.port,
    address: `127.0.0.1:${bound.port}`,
    asked,
    set(name, entry) {
      if (entry === null) table.delete(name.toLowerCase());
      else table.set(name.toLowerCase(), entry);
    },
    answerWith(next) {
      hook = next;
    },
    async close() {
      udp.close();
      for (const socket of sockets) socket.destroy();
      tcp.close();
    },
  };
}

let empty: Promise<DnsServer> | null = null;

/**
 * One server for the whole test process where no name exists. A gateway needs it to take mail from strangers: with nobody to ask, it puts
 * them off. Does not keep the process alive.
 */
export function emptyDns(): Promise<DnsServer> {
  empty ??= startDnsServer({}, { keepsAlive: false });
  return empty;
}
