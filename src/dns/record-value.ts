// From decoded records to the values callers get. What cannot be a name or an address is left out. No I/O.
import type { Answer } from "dns-packet";
import { hostName } from "./query-name.ts";
import type { MxRecord } from "./resolver.ts";

/** The address of an A or AAAA record. */
export function addressValue(record: Answer): string | null {
  return record.type === "A" || record.type === "AAAA" ? record.data : null;
}

/** The name of a PTR or CNAME record, normalised. */
export function nameValue(record: Answer): string | null {
  return record.type === "PTR" || record.type === "CNAME" ? hostName(record.data) : null;
}

/** A null MX (RFC 7505) has the exchange "". */
export function mxValue(record: Answer): MxRecord | null {
  if (record.type !== "MX") return null;
  const exchange = record.data.exchange === "." ? "" : hostName(record.data.exchange);
  return exchange === null ? null : { exchange, priority: record.data.preference ?? 0 };
}

/** The strings of a TXT record joined without a separator (RFC 7208 §3.3). */
export function textValue(record: Answer): string | null {
  if (record.type !== "TXT") return null;
  const parts = Array.isArray(record.data) ? record.data : [record.data];
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))).toString();
}
