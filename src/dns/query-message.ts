// One DNS question and the judgement of an answer to it. No I/O. Answers are hostile until every check here has passed.
import { randomInt } from "node:crypto";
import packet, { type Answer, type DecodedPacket, type OptAnswer } from "dns-packet";
import { hasWholeRecords } from "./whole-records.ts";

export type QueryType = "A" | "AAAA" | "MX" | "TXT" | "PTR" | "CNAME" | "NS";

/** A question as it was sent: the name carries random case, which a forger would have to guess as well. */
export interface SentQuery {
  readonly id: number;
  readonly name: string;
  readonly type: QueryType;
  readonly bytes: Buffer;
}

/** How a server is asked: `mixCase` and `edns` are left away for servers that cannot take them. */
export interface Manner {
  readonly mixCase: boolean;
  readonly edns: boolean;
}

/** `other`: SERVFAIL, REFUSED and everything else that is no answer. */
export interface QueryAnswer {
  readonly rcode: "noerror" | "nxdomain" | "other";
  /** With the upper bits of EDNS (RFC 6891 §6.1.3). */
  readonly rcodeNumber: number;
  /** The question came back as it was asked, letter for letter. */
  readonly caseKept: boolean;
  readonly truncated: boolean;
  readonly authentic: boolean;
  readonly answers: readonly Answer[];
  /** Seconds a "no" may be kept (RFC 2308 §5), or null without an SOA. */
  readonly negativeTtl: number | null;
}

// DNS flag day 2020: fits every path without fragments.
const UDP_PAYLOAD_BYTES = 1232;
const MAX_UDP_RECORDS = 400;
const MAX_UDP_BYTES = 32_768;
/** Over TCP a name's hundreds of TXT records are read whole; what is beyond these bounds is no answer, never a part of one. */
const MAX_TCP_RECORDS = 4000;
// A record's name may run through a chain of pointers, and each hop needs an octet from 0xc0 up.
const MAX_POINTER_STEPS = 8_000_000;
const POINTER_MARK = 0xc0;
const HEADER_BYTES = 12;
const EDNS: OptAnswer = {
  name: ".",
  type: "OPT",
  udpPayloadSize: UDP_PAYLOAD_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
const FLAG_RESPONSE = 0x8000;
const OPCODE_MASK = 0x7800;
const FLAG_TRUNCATED = 0x0200;
const FLAG_AUTHENTIC = 0x0020;
const RCODE_FORMERR = 1;
const RCODE_NOTIMP = 4;
const RCODE_BADVERS = 16;

/** Mixes upper and lower case at random (draft-vixie-dnsext-dns0x20). */
function mixCase(name: string): string {
  let mixed = "";
  let bits = randomInt(2 ** 32);
  for (let at = 0; at < name.length; at++) {
    if ((at & 31) === 31) bits = randomInt(2 ** 32);
    mixed += (bits >>> (at & 31)) & 1 ? name.charAt(at).toUpperCase() : name.charAt(at);
  }
  return mixed;
}

/** Encodes a recursive question; with EDNS, AD too (RFC 6840 §5.7: asks for the AD bit in the answer). */
export function encodeQuery(options: {
  readonly id: number;
  readonly name: string;
  readonly type: QueryType;
  readonly manner: Manner;
}): SentQuery {
  const { mixCase: mixed, edns } = options.manner;
  const name = mixed ? mixCase(options.name) : options.name;
  const bytes = packet.encode({
    type: "query",
    id: options.id,
    flags: packet.RECURSION_DESIRED | (edns ? packet.AUTHENTIC_DATA : 0),
    questions: [{ name, type: options.type }],
    additionals: edns ? [EDNS] : [],
  });
  return { id: options.id, name, type: options.type, bytes };
}

/** FORMERR, NOTIMP or BADVERS: the server does not understand EDNS and has to be asked without (RFC 6891 §7). */
export function refusesEdns(answer: QueryAnswer): boolean {
  return [RCODE_FORMERR, RCODE_NOTIMP, RCODE_BADVERS].includes(answer.rcodeNumber);
}

/** The name of the question that came back, or null when it is not the one that was asked, in whatever case. */
function questionName(decoded: DecodedPacket, query: SentQuery): string | null {
  const question = decoded.questions?.[0];
  if (question === undefined || decoded.questions?.length !== 1) return null;
  if (question.type !== query.type || question.class !== "IN") return null;
  return question.name.toLowerCase() === query.name.toLowerCase() ? question.name : null;
}

function rcodeOf(flags: number, decoded: DecodedPacket): number {
  const opt = (decoded.additionals ?? []).find((record) => record.type === "OPT");
  return opt?.type === "OPT" ? ((opt.extendedRcode ?? 0) << 4) | (flags & 15) : flags & 15;
}

/** Servers that do not understand a question may send back the header alone; to be believed no further than "ask otherwise". */
function refusalWithoutQuestion(message: Buffer): QueryAnswer | null {
  const rcodeNumber = message.readUInt16BE(2) & 15;
  if (message.length > HEADER_BYTES || (rcodeNumber !== RCODE_FORMERR && rcodeNumber !== RCODE_NOTIMP))
    return null;
  return {
    rcode: "other",
    rcodeNumber,
    caseKept: true,
    truncated: false,
    authentic: false,
    answers: [],
    negativeTtl: null,
  };
}

function withinBounds(message: Buffer, via: "udp" | "tcp"): boolean {
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  if (via === "udp") return message.length <= MAX_UDP_BYTES && records <= MAX_UDP_RECORDS;
  if (records > MAX_TCP_RECORDS) return false;
  let marks = 0;
  for (const octet of message) if (octet >= POINTER_MARK) marks++;
  return records * marks <= MAX_POINTER_STEPS;
}

function negativeTtl(decoded: DecodedPacket): number | null {
  for (const record of decoded.authorities ?? []) {
    if (record.type === "SOA") return Math.min(record.ttl ?? 0, record.data.minimum ?? 0);
  }
  return null;
}

/** Header and question only: what follows may be cut off anywhere when TC is set. */
function withoutRecords(message: Buffer): Buffer {
  const copy = Buffer.from(message);
  copy.fill(0, 6, HEADER_BYTES);
  return copy;
}

/** Reads an answer to this query, or null when it is none: wrong id, wrong question, not decodable, beyond the bounds. */
export function readAnswer(
  message: Buffer,
  query: SentQuery,
  via: "udp" | "tcp" = "udp",
): QueryAnswer | null {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== query.id) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return null;
  const questions = message.readUInt16BE(4);
  if (questions === 0) return refusalWithoutQuestion(message);
  if (questions !== 1 || !withinBounds(message, via)) return null;
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  if (!truncated && !hasWholeRecords(message)) return null;
  let decoded: DecodedPacket;
  try {
    decoded = packet.decode(truncated ? withoutRecords(message) : message);
  } catch {
    return null;
  }
  const name = questionName(decoded, query);
  if (name === null) return null;
  const rcodeNumber = rcodeOf(flags, decoded);
  return {
    rcode: rcodeNumber === 0 ? "noerror" : rcodeNumber === 3 ? "nxdomain" : "other",
    rcodeNumber,
    caseKept: name === query.name,
    truncated,
    authentic: (flags & FLAG_AUTHENTIC) !== 0,
    answers: decoded.answers ?? [],
    negativeTtl: negativeTtl(decoded),
  };
}
