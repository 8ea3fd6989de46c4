// One DNS question and the judgement of an answer to it. No I/O. Answers are hostile until every check here has passed.
import { randomInt } from "node:crypto";
import packet, { type Answer, type DecodedPacket, type OptAnswer } from "dns-packet";

export type QueryType = "A" | "AAAA" | "MX" | "TXT" | "PTR" | "CNAME";

/** A question as it was sent: the name carries random case, which a forger would have to guess as well. */
export interface SentQuery {
  readonly id: number;
  readonly name: string;
  readonly type: QueryType;
  readonly bytes: Buffer;
  /** False for servers that do not keep the case of the question. */
  readonly caseMatters: boolean;
}

/** `other`: SERVFAIL, REFUSED and everything else that is no answer. */
export interface QueryAnswer {
  readonly rcode: "noerror" | "nxdomain" | "other";
  readonly rcodeNumber: number;
  readonly truncated: boolean;
  readonly authentic: boolean;
  readonly answers: readonly Answer[];
  /** Seconds a "no" may be kept (RFC 2308 §5), or null without an SOA. */
  readonly negativeTtl: number | null;
}

// DNS flag day 2020: fits every path without fragments.
const UDP_PAYLOAD_BYTES = 1232;
// Bounds the work of a pointer chain in a record's name: records × bytes / 2 steps.
const MAX_RECORDS = 400;
const MAX_MESSAGE_BYTES = 32_768;
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

/** Encodes a recursive question with EDNS and AD (RFC 6840 §5.7: asks for the AD bit in the answer). */
export function encodeQuery(options: {
  readonly id: number;
  readonly name: string;
  readonly type: QueryType;
  readonly caseMatters: boolean;
}): SentQuery {
  const name = options.caseMatters ? mixCase(options.name) : options.name;
  const bytes = packet.encode({
    type: "query",
    id: options.id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ name, type: options.type }],
    additionals: [EDNS],
  });
  return { id: options.id, name, type: options.type, bytes, caseMatters: options.caseMatters };
}

function questionMatches(decoded: DecodedPacket, query: SentQuery): boolean {
  const question = decoded.questions?.[0];
  if (question === undefined || decoded.questions?.length !== 1) return false;
  if (question.type !== query.type || question.class !== "IN") return false;
  return query.caseMatters
    ? question.name === query.name
    : question.name.toLowerCase() === query.name.toLowerCase();
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
export function readAnswer(message: Buffer, query: SentQuery): QueryAnswer | null {
  if (message.length < HEADER_BYTES || message.length > MAX_MESSAGE_BYTES) return null;
  if (message.readUInt16BE(0) !== query.id) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return null;
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  if (message.readUInt16BE(4) !== 1 || records > MAX_RECORDS) return null;
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  let decoded: DecodedPacket;
  try {
    decoded = packet.decode(truncated ? withoutRecords(message) : message);
  } catch {
    return null;
  }
  if (!questionMatches(decoded, query)) return null;
  const rcodeNumber = flags & 15;
  return {
    rcode: rcodeNumber === 0 ? "noerror" : rcodeNumber === 3 ? "nxdomain" : "other",
    rcodeNumber,
    truncated,
    authentic: (flags & FLAG_AUTHENTIC) !== 0,
    answers: decoded.answers ?? [],
    negativeTtl: negativeTtl(decoded),
  };
}
