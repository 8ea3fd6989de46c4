// Findings about how the message is built: what different programs may read differently. Decides nothing.
import { eachField, MAX_HEADER_BYTES, MAX_HEADER_FIELDS, readPartHeader } from "../message/header-block.ts";
import type { Finding } from "../rules/fact.ts";
import type { MimeTree } from "./mime-walk.ts";

export const STRUCTURE_FACTS = ["structure.ambiguous", "structure.parts"] as const;

// RFC 5322 §3.6 and RFC 2045 §3: fields that may stand once.
const SINGLE: ReadonlySet<string> = new Set(
  (
    "from sender reply-to to cc bcc message-id in-reply-to references subject date " +
    "mime-version content-type content-transfer-encoding content-disposition"
  ).split(" "),
);
const MAX_REASONS = 50;

/** `doubts`: what decoding the parts brought up, beside the tree's own. */
export function structureFindings(
  raw: Uint8Array,
  tree: MimeTree,
  doubts: ReadonlySet<string>,
): readonly Finding[] {
  const reasons = new Set([...headerReasons(raw), ...tree.doubts, ...doubts, ...lineEndReasons(raw)]);
  if (tree.cut !== null) reasons.add(tree.cut);
  const listed = [...reasons].slice(0, MAX_REASONS);
  const ambiguous = { check: "structure", fact: "structure.ambiguous", value: listed };
  return [
    listed.length === 0
      ? ambiguous
      : { ...ambiguous, words: `programs may read it differently: ${listed.join(", ")}` },
    { check: "structure", fact: "structure.parts", value: tree.parts.length },
  ];
}

function headerReasons(raw: Uint8Array): ReadonlySet<string> {
  const reasons = new Set<string>();
  const seen = new Set<string>();
  const { text, bodyStart } = readPartHeader(raw);
  let fields = 0;
  eachField(text, (field) => {
    fields++;
    if (field.name === "") reasons.add("a header line that is no field");
    else if (SINGLE.has(field.name)) {
      if (seen.has(field.name)) reasons.add(`two ${fieldTitle(field.name)} fields`);
      seen.add(field.name);
    }
    return undefined;
  });
  if (text.includes("\u0000")) reasons.add("NUL in the header");
  if (bodyStart > MAX_HEADER_BYTES || fields >= MAX_HEADER_FIELDS)
    reasons.add("a header too long to be read whole");
  return reasons;
}

function fieldTitle(name: string): string {
  if (name === "message-id") return "Message-ID";
  if (name === "mime-version") return "MIME-Version";
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

const CR = 13;
const LF = 10;

/** RFC 5321 §2.3.8: CR and LF never stand alone. */
function lineEndReasons(raw: Uint8Array): readonly string[] {
  const reasons: string[] = [];
  if (hasLone(raw, LF, -1, CR)) reasons.push("a line feed without carriage return");
  if (hasLone(raw, CR, 1, LF)) reasons.push("a carriage return without line feed");
  return reasons;
}

function hasLone(raw: Uint8Array, code: number, neighbour: number, partner: number): boolean {
  for (let at = raw.indexOf(code); at >= 0; at = raw.indexOf(code, at + 1)) {
    if (raw[at + neighbour] !== partner) return true;
  }
  return false;
}
