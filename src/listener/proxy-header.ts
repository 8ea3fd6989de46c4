// Reads the PROXY header, versions 1 and 2 (haproxy proxy-protocol.txt), from the first octets of a connection. No I/O.
import { normalIp } from "../session/ip-address.ts";

/** Who the proxy says the client is; null: it names nobody, and the connection's own addresses count. */
export interface ProxiedClient {
  readonly ip: string;
  readonly port: number;
}

/**
 * `none`: these octets begin no header. `partial`: they may, more are needed. `invalid`: a header that must not be believed.
 * `length` octets belong to the header.
 */
export type ProxyHeader =
  | { readonly kind: "none" }
  | { readonly kind: "partial" }
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "header"; readonly length: number; readonly client: ProxiedClient | null };

const SIGNATURE_V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const SIGNATURE_V1 = Buffer.from("PROXY ", "latin1");
const MAX_V1_BYTES = 107;
const FIXED_V2_BYTES = 16;
/** Addresses and TLVs; a real header stays far below. */
const MAX_V2_BODY_BYTES = 4096;

const NONE: ProxyHeader = { kind: "none" };
const PARTIAL: ProxyHeader = { kind: "partial" };

/** Judges the first octets of a connection. Never throws. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, SIGNATURE_V1)) return bytes.length < SIGNATURE_V1.length ? PARTIAL : readVersion1(bytes);
  if (begins(bytes, SIGNATURE_V2)) return bytes.length < FIXED_V2_BYTES ? PARTIAL : readVersion2(bytes);
  return NONE;
}

/** Do the octets there are agree with the signature? */
function begins(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return length > 0 && bytes.compare(signature, 0, length, 0, length) === 0;
}

function invalid(reason: string): ProxyHeader {
  return { kind: "invalid", reason };
}

/**
 * `PROXY TCP4 192.0.2.7 192.0.2.1 49152 25` CRLF. Of UNKNOWN everything up to the CRLF is ignored: a proxy says so of its own health
 * checks and of what it cannot name (haproxy proxy-protocol.txt §2.1).
 */
function readVersion1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1_BYTES).indexOf("\r\n");
  if (end < 0) return bytes.length < MAX_V1_BYTES ? PARTIAL : invalid("version 1 without an end of line");
  const [, family, source, destination, port, destinationPort, ...more] = bytes
    .toString("latin1", 0, end)
    .split(" ");
  if (family === "UNKNOWN") return { kind: "header", length: end + 2, client: null };
  if (family !== "TCP4" && family !== "TCP6")
    return invalid("version 1 of another kind than TCP4, TCP6 and UNKNOWN");
  const ip = addressOf(source, family === "TCP6");
  const number = portOf(port);
  const valid = addressOf(destination, family === "TCP6") !== null && portOf(destinationPort) !== null;
  if (ip === null || number === null || !valid || more.length > 0)
    return invalid("version 1 with a wrong address or port");
  return { kind: "header", length: end + 2, client: { ip, port: number } };
}

function addressOf(text: string | undefined, v6: boolean): string | null {
  return text === undefined || text.includes(":") !== v6 ? null : normalIp(text);
}

function portOf(text: string | undefined): number | null {
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text)) return null;
  return Number(text) > 65535 ? null : Number(text);
}

/** TLVs behind the addresses are skipped. AF_UNSPEC names nobody, whatever the protocol (§2.2); AF_UNIX and UDP are refused. */
function readVersion2(bytes: Buffer): ProxyHeader {
  const command = bytes[12] ?? 0;
  const family = bytes[13] ?? 0;
  const bodyBytes = bytes.readUInt16BE(14);
  if (command >> 4 !== 2) return invalid("another version than 1 and 2");
  if (bodyBytes > MAX_V2_BODY_BYTES) return invalid("version 2, too long");
  const length = FIXED_V2_BYTES + bodyBytes;
  if (bytes.length < length) return PARTIAL;
  if ((command & 15) === 0) return { kind: "header", length, client: null };
  if ((command & 15) !== 1) return invalid("version 2 with an unknown command");
  if (family >> 4 === 0) return { kind: "header", length, client: null };
  const body = bytes.subarray(FIXED_V2_BYTES, length);
  if (family === 0x11 && bodyBytes >= 12)
    return { kind: "header", length, client: { ip: ip4(body), port: body.readUInt16BE(8) } };
  if (family === 0x21 && bodyBytes >= 36) {
    const ip = ip6(body);
    if (ip !== null) return { kind: "header", length, client: { ip, port: body.readUInt16BE(32) } };
  }
  return invalid("version 2 of another kind than TCP over IPv4 and IPv6");
}

function ip4(body: Buffer): string {
  return body.subarray(0, 4).join(".");
}

function ip6(body: Buffer): string | null {
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(body.readUInt16BE(at).toString(16));
  return normalIp(groups.join(":"));
}
