// The DNS record of a DKIM key: how it is written, and how what the DNS holds is compared with it. (RFC 6376 §3.6.1, RFC 8463 §4) No I/O.
import type { DkimAlgorithm, DkimPublication } from "./dkim.ts";

/** What a record is made of. */
export interface PublishedKey {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  /** base64 without white space, as behind `p=`. */
  readonly publicKey: string;
}

type Finding = Pick<DkimPublication, "state" | "words">;

// A string of a TXT record has one octet for its length. (RFC 1035 §3.3.14)
const MAX_STRING = 255;
const MAX_QUOTED = 60;

/** `gate1._domainkey.example.test`. */
export function recordName({ domain, selector }: Pick<PublishedKey, "domain" | "selector">): string {
  return `${selector}._domainkey.${domain}`;
}

/** `v=DKIM1; k=rsa; p=…`. */
export function recordValue({ algorithm, publicKey }: Pick<PublishedKey, "algorithm" | "publicKey">): string {
  return `v=DKIM1; k=${algorithm}; p=${publicKey}`;
}

/** The value in quoted strings of at most 255 octets, as zone files want it; readers join them again. (RFC 6376 §3.6.2.2) */
export function quotedStrings(value: string): string {
  const strings: string[] = [];
  for (let at = 0; at < value.length; at += MAX_STRING) strings.push(`"${value.slice(at, at + MAX_STRING)}"`);
  return strings.join(" ");
}

/** Judges the TXT records found under the key's name, each with its strings joined. `records` is not empty. */
export function compareRecords(key: PublishedKey, records: readonly string[]): Finding {
  const name = recordName(key);
  const [only, ...others] = records;
  if (only === undefined) return missingRecord(key);
  if (others.length > 0) {
    // RFC 6376 §3.6.2.2: what readers make of several is undefined.
    return different(
      `There are ${records.length} TXT records at ${name}, and readers may take any of them. Leave only the one shown here.`,
    );
  }
  const tags = readTags(only);
  if (tags === null || (tags.get("v") ?? "DKIM1") !== "DKIM1" || !tags.has("p")) {
    return different(
      `What is at ${name} is no DKIM key: ${quoted(only)}. Replace it with the record shown here.`,
    );
  }
  return compareTags(key, tags);
}

function compareTags(key: PublishedKey, tags: ReadonlyMap<string, string>): Finding {
  const name = recordName(key);
  const published = (tags.get("p") ?? "").replace(/\s+/g, "");
  const kind = tags.get("k") ?? "rsa";
  if (published === "") {
    return different(
      `The record ${name} says that its key is revoked (p= is empty). Replace it with the record shown here.`,
    );
  }
  if (published !== key.publicKey) {
    const cut = key.publicKey.startsWith(published);
    return different(
      cut
        ? `The key at ${name} is cut off after ${published.length} of ${key.publicKey.length} characters. Enter the record as quoted strings of at most 255 characters.`
        : `The record ${name} holds another key. Replace it with the record shown here.`,
    );
  }
  if (kind !== key.algorithm) {
    return different(
      `The record ${name} says k=${quoted(kind)}, but the key is of the kind ${key.algorithm}. Replace it with the record shown here.`,
    );
  }
  if (!allows(tags.get("h"), "sha256")) {
    return different(
      `The record ${name} does not allow the hash sha256 (h=). Replace it with the record shown here.`,
    );
  }
  if (!allows(tags.get("s"), "email")) {
    return different(
      `The record ${name} does not allow its key to be used for mail (s=). Replace it with the record shown here.`,
    );
  }
  const testing = list(tags.get("t")).includes("y");
  return {
    state: "published",
    words: testing
      ? `The record ${name} is published, marked as a test (t=y): receivers may treat signed mail like unsigned mail. Remove t=y.`
      : `The record ${name} is published.`,
  };
}

/** Nothing is there. `doubled`: it is there with the domain's name twice, which many DNS providers make of a full name. */
export function missingRecord(
  key: PublishedKey,
  options: { readonly doubled: boolean } = { doubled: false },
): Finding {
  const name = recordName(key);
  return {
    state: "missing",
    words: options.doubled
      ? `There is no TXT record at ${name}, but there is one at ${name}.${key.domain}: the DNS provider adds the domain by itself. Enter ${key.selector}._domainkey as the name.`
      : `There is no TXT record at ${name}. Publish the record shown here; a new record can take minutes to hours until it is seen everywhere.`,
  };
}

function different(words: string): Finding {
  return { state: "different", words };
}

function list(value: string | undefined): readonly string[] {
  return (value ?? "").split(":").map((one) => one.trim().toLowerCase());
}

/** A tag that is absent allows everything; so does `*`. */
function allows(value: string | undefined, wanted: string): boolean {
  if (value === undefined) return true;
  const allowed = list(value);
  return allowed.includes(wanted) || allowed.includes("*");
}

/** `a=b; c=d` as a map, the first of equal names; null when it is no such list. (RFC 6376 §3.2) */
function readTags(text: string): ReadonlyMap<string, string> | null {
  const tags = new Map<string, string>();
  for (const piece of text.split(";")) {
    if (piece.trim() === "") continue;
    const equals = piece.indexOf("=");
    if (equals < 0) return null;
    const name = piece.slice(0, equals).trim();
    if (!tags.has(name)) tags.set(name, piece.slice(equals + 1).trim());
  }
  return tags;
}

function quoted(text: string): string {
  const shown = text.slice(0, MAX_QUOTED).replace(/[^\x20-\x7e]/g, "?");
  return `"${shown}${text.length > MAX_QUOTED ? "…" : ""}"`;
}
