// What a person's search words mean: an id, an address, a domain, or words to look for. Pure; bounded whatever is typed.
import { addressKey, domainKey, type IpNetwork, parseNetwork } from "../message/address.ts";
import type { LogFilter } from "./message-log.ts";

// Hostile or pasted input: more than this is cut off.
const MAX_TEXT = 200;
const MAX_WORDS = 6;

/** One condition of a search. `wide` conditions have no index: they are looked at row by row within bounds. */
export type SearchTerm =
  | { readonly kind: "id"; readonly id: string }
  | {
      readonly kind: "sender" | "recipient" | "party";
      readonly by: "address" | "domain";
      readonly value: string;
    }
  | { readonly kind: "domain"; readonly domain: string }
  | { readonly kind: "state"; readonly state: NonNullable<LogFilter["state"]> }
  | { readonly kind: "rule"; readonly rule: string }
  /** `network` null: that one address. `prefix`: how all texts of its addresses begin. */
  | { readonly kind: "client"; readonly ip: string }
  | { readonly kind: "network"; readonly network: IpNetwork; readonly prefix: string }
  | { readonly kind: "reply"; readonly patterns: readonly string[] }
  /** `names`: all servers of the log that fit; left out: they are not known, or too many. */
  | { readonly kind: "server"; readonly patterns: readonly string[]; readonly names?: readonly string[] }
  /** At least one of them. */
  | { readonly kind: "either"; readonly terms: readonly SearchTerm[] }
  | { readonly kind: "word"; readonly patterns: readonly string[] };

const FINAL_DOT = { server: /(?<=[a-z-])\.$/i, reply: /(?!)/ } as const;

/** The conditions of a filter; all must hold. `asWords`: its text means words, whatever it looks like. */
export function searchTerms(
  filter: LogFilter,
  { asWords }: { readonly asWords: boolean } = { asWords: false },
): SearchTerm[] {
  const terms: SearchTerm[] = [];
  if (filter.sender !== undefined) terms.push(partyTerm("sender", filter.sender));
  if (filter.recipient !== undefined) terms.push(partyTerm("recipient", filter.recipient));
  if (filter.domain !== undefined) terms.push({ kind: "domain", domain: domainKey(filter.domain) });
  if (filter.rule !== undefined) terms.push({ kind: "rule", rule: filter.rule });
  if (filter.state !== undefined) terms.push({ kind: "state", state: filter.state });
  if (filter.client !== undefined)
    terms.push(clientTerm(filter.client) ?? { kind: "client", ip: filter.client.slice(0, MAX_TEXT) });
  for (const kind of ["server", "reply"] as const) {
    // A server's name may be written with the DNS's final dot; that of the first octets of an address says what follows.
    const words = (filter[kind] ?? "").slice(0, MAX_TEXT).trim().replace(FINAL_DOT[kind], "");
    if (words !== "") terms.push({ kind, patterns: likePatterns(words) });
  }
  const text = (filter.text ?? "").slice(0, MAX_TEXT).trim();
  if (text !== "") terms.push(...(asWords ? wordTerms(text) : textTerms(text)));
  return terms;
}

function textTerms(text: string): SearchTerm[] {
  if (/^[0-9a-hjkmnp-tv-z]{20}$/.test(text)) return [{ kind: "id", id: text }];
  if (/^[^\s@]*@[^\s@]+\.[^\s@]+$/.test(text)) return [partyTerm("party", text)];
  const client = clientTerm(text);
  if (client?.kind === "client") return [orServer(client, `[${client.ip}]`)];
  if (client !== null) return [client];
  // `5.6.0` is a part of a reply: no domain ends in a number.
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(text) && !/\.\d+$/.test(text)) {
    return [orServer({ kind: "party", by: "domain", value: domainKey(text) }, text)];
  }
  return wordTerms(text);
}

function orServer(term: SearchTerm, server: string): SearchTerm {
  return { kind: "either", terms: [term, { kind: "server", patterns: likePatterns(server) }] };
}

function wordTerms(text: string): SearchTerm[] {
  return text
    .split(/\s+/)
    .slice(0, MAX_WORDS)
    .map((word) => ({ kind: "word", patterns: likePatterns(word) }));
}

/** `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`; null: neither. */
function clientTerm(text: string): SearchTerm | null {
  const parsed = parseNetwork(text);
  if (!parsed.ok) return null;
  const network = parsed.value;
  const [base = "", bits = ""] = network.split("/");
  if (bits === (base.includes(":") ? "128" : "32")) return { kind: "client", ip: base };
  return { kind: "network", network, prefix: commonPrefix(base, Number(bits)) };
}

/** Whole octets, or groups of IPv6 as far as no zero could be written in short. */
function commonPrefix(base: string, bits: number): string {
  if (!base.includes(":"))
    return base
      .split(".")
      .slice(0, Math.floor(bits / 8))
      .map((octet) => `${octet}.`)
      .join("");
  const groups = base.split(":").slice(0, Math.floor(bits / 16));
  const short = groups.findIndex((group) => group === "" || group === "0");
  return (short < 0 ? groups : groups.slice(0, short)).map((group) => `${group}:`).join("");
}

/** `alice@example.org` is an address; `@example.org` and `example.org` are domains. */
function partyTerm(kind: "sender" | "recipient" | "party", text: string): SearchTerm {
  const value = addressKey(text.slice(0, MAX_TEXT).trim());
  const at = value.lastIndexOf("@");
  if (at > 0) return { kind, by: "address", value };
  // "" and "<>" look for the null reverse-path.
  if (value === "" || value === "<>") return { kind, by: "address", value: "" };
  return { kind, by: "domain", value: domainKey(value.slice(at + 1)) };
}

/** LIKE ignores case for ASCII only, so a word is also looked for in lower and in upper case. */
function likePatterns(word: string): string[] {
  const escaped = (text: string): string => `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return [...new Set([word, word.toLowerCase(), word.toUpperCase()].map(escaped))].slice(
    0,
    /^[\x20-\x7e]*$/.test(word) ? 1 : 3,
  );
}
