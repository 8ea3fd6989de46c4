// Structured MIME header values: a main value and parameters, read so that no reading of them gets lost. No I/O.
import { decodeWords } from "../message/encoded-word.ts";
import { fromOctets } from "../message/header-block.ts";

export interface ParameterisedValue {
  /** Lower case, comments and white space removed. */
  readonly main: string;
  /** Lower-case names with their raw values, duplicates kept. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

const MAX_VALUE = 32_768;
const MAX_PARAMETERS = 200;

/** Reads `type/subtype; name=value; name="value"` (RFC 2045 §5.1). `value` is unfolded, one character per octet. */
export function parseParameters(value: string): ParameterisedValue {
  const segments = splitSegments(value.length > MAX_VALUE ? value.slice(0, MAX_VALUE) : value);
  const parameters: [string, string][] = [];
  for (const segment of segments.slice(1, MAX_PARAMETERS)) {
    const equals = segment.indexOf("=");
    if (equals < 0) continue;
    const name = segment.slice(0, equals).replace(/\s+/g, "").toLowerCase();
    parameters.push([name, unquote(segment.slice(equals + 1).trim())]);
  }
  return { main: (segments[0] ?? "").replace(/[\s"]+/g, "").toLowerCase(), parameters };
}

/** Splits at semicolons outside of quotes, leaving comments out. */
function splitSegments(value: string): string[] {
  if (!/["(]/.test(value)) return value.split(";");
  const segments: string[] = [];
  let segment = "";
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === "\\" && (quoted || depth > 0)) {
      at++;
      if (depth === 0) segment += character + value.charAt(at);
    } else if (quoted) {
      segment += character;
      if (character === '"') quoted = false;
    } else if (depth > 0) depth += character === "(" ? 1 : character === ")" ? -1 : 0;
    else if (character === "(") depth = 1;
    else if (character === ";") {
      segments.push(segment);
      segment = "";
    } else {
      if (character === '"') quoted = true;
      segment += character;
    }
  }
  segments.push(segment);
  return segments;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  const end = value.length > 1 && value.endsWith('"') ? value.length - 1 : value.length;
  return value.slice(1, end).replace(/\\(.)/g, "$1");
}

/**
 * Every reading of a parameter, each once: plain values (RFC 2047 decoded too, which mailers do though RFC 2231 forbids it),
 * extended ones, and continuations put together (RFC 2231 §3, §4).
 */
export function parameterReadings(value: ParameterisedValue, wanted: string): readonly string[] {
  const readings = new Set<string>();
  const pieces = new Map<number, { readonly text: string; readonly encoded: boolean }>();
  for (const [name, raw] of value.parameters) {
    if (name === wanted) readings.add(decodeWords(fromOctets(raw)));
    else if (name === `${wanted}*`) readings.add(decodeExtended(raw));
    else if (name.startsWith(`${wanted}*`)) {
      const piece = /^\*(\d{1,3})(\*?)$/.exec(name.slice(wanted.length));
      if (piece !== null) pieces.set(Number(piece[1]), { text: raw, encoded: piece[2] === "*" });
    }
  }
  if (pieces.size > 0) readings.add(joinPieces(pieces));
  return [...readings];
}

function joinPieces(
  pieces: ReadonlyMap<number, { readonly text: string; readonly encoded: boolean }>,
): string {
  const inOrder = [...pieces.entries()].sort(([a], [b]) => a - b).map(([, piece]) => piece);
  const first = inOrder[0];
  if (first === undefined) return "";
  const charset = first.encoded ? (/^([^']*)'[^']*'/.exec(first.text)?.[1] ?? "") : "";
  const octets = inOrder
    .map((piece, index) => {
      const text = index === 0 && piece.encoded ? piece.text.replace(/^[^']*'[^']*'/, "") : piece.text;
      return piece.encoded ? percentDecoded(text) : text;
    })
    .join("");
  return inCharset(octets, charset);
}

/** `charset'language'percent-encoded` (RFC 2231 §4). */
function decodeExtended(raw: string): string {
  const match = /^([^']*)'[^']*'(.*)$/s.exec(raw);
  if (match === null) return fromOctets(percentDecoded(raw));
  return inCharset(percentDecoded(match[2] ?? ""), match[1] ?? "");
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function inCharset(octets: string, charset: string): string {
  if (/^[\x00-\x7f]*$/.test(octets) && !/^(?:utf-?16|iso-2022|utf-?7|hz)/i.test(charset)) return octets;
  try {
    return new TextDecoder((charset === "" ? "utf-8" : charset) as Bun.Encoding).decode(
      Buffer.from(octets, "latin1"),
    );
  } catch {
    return fromOctets(octets);
  }
}
