// The entities of a message, piece by piece in constant memory: header, content, delimiters, for whoever changes a body on its way.
// What it cannot follow is one opaque entity. No I/O. (RFC 2045, RFC 2046)
import { eachField, rawValue } from "./header-block.ts";

/** What may stand in an entity's body. `opaque`: nobody may touch it, or nobody knows what is in it. */
type Kind = "leaf" | "multipart" | "message" | "opaque";

export interface Entity {
  /** 0 is the message itself; in the order of their headers. */
  readonly number: number;
  readonly kind: Kind;
  /** Lower case, `text/plain` where nothing else is said. */
  readonly type: string;
  /** The first word of the transfer encoding, lower case; "" when nothing is said. */
  readonly encoding: string;
  /** One character per octet, each field with its CRLF, without the empty line; null: it does not end, and was passed on as it is. */
  readonly header: string | null;
}

/** Told of each octet of the message once and in order. */
export interface EntityVisitor {
  /** The header of an entity and the empty line that ends it. */
  begin(entity: Entity): void;
  /** Of the entity that began last. */
  content(octets: Buffer): void;
  /** Its content ends; a line end that belongs to the delimiter that follows was given as content. */
  end(delimited: boolean): void;
  /** In a multipart, outside of its parts: for nobody to read (RFC 2046 §5.1.1). */
  between(octets: Buffer): void;
  /** Delimiter lines, and a header that does not end. */
  asItIs(octets: Buffer): void;
}

/** Transfer encodings that change octets; a word that is none of them is read as if it were not there. */
export const ENCODED = /^(?:base64|quoted-printable)$|uue/;

interface Level {
  readonly delimiter: Buffer;
  readonly defaultType: string;
  readonly depth: number;
}

const MAX_DEPTH = 20;
const MAX_ENTITIES = 10_000;
/** Of the message itself, which a session keeps far below. */
const MAX_HEADER_BYTES = 1_048_576;
/** Of a part. All of it is held, and looked through anew with each piece that comes, until its end is there. */
const MAX_PART_HEADER_BYTES = 131_072;
/** Of Content-Type and Content-Transfer-Encoding; of a longer one nobody knows how it is read. */
const MAX_VALUE = 8192;
/** Delimiters that lines were compared with, each line with those of all levels. Real mail has some thousand lines that begin with two dashes. */
const MAX_COMPARISONS = 10_000_000;
/** White space behind a delimiter that is looked at. */
const MAX_BLANKS = 200;
const READ: ReadonlySet<string> = new Set(["content-type", "content-transfer-encoding"]);
const CRLF_CRLF = Buffer.from("\r\n\r\n");
const CRLF_DASHES = Buffer.from("\r\n--");
const DASH = 45;

/** Takes a message in pieces of any size. */
export class EntityWalk {
  readonly #visitor: EntityVisitor;
  readonly #levels: Level[] = [];
  #held: Buffer = Buffer.alloc(0);
  #state: "header" | "content" | "between" = "header";
  #lineStart = true;
  #defaultType = "text/plain";
  #depth = 0;
  #entities = 0;
  #comparisons = 0;

  constructor(visitor: EntityVisitor) {
    this.#visitor = visitor;
  }

  take(octets: Uint8Array): void {
    const piece = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#run(this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]), false);
  }

  /** Has it taken more work than real mail does? Who can, gives up. */
  get isCostly(): boolean {
    return this.#comparisons > MAX_COMPARISONS;
  }

  /** The message is over. */
  finish(): void {
    this.#run(this.#held, true);
    if (this.#state === "content") this.#visitor.end(false);
  }

  #run(data: Buffer, isLast: boolean): void {
    let at = 0;
    while (at < data.length) {
      const next = this.#state === "header" ? this.#header(data, at, isLast) : this.#body(data, at, isLast);
      if (next === at) break;
      at = next;
    }
    // What is held outlives the piece, which may be filled anew.
    this.#held = Buffer.from(data.subarray(at));
  }

  /** Where to go on; `at` when more is needed to know. */
  #header(data: Buffer, at: number, isLast: boolean): number {
    const isEmpty = data[at] === 13 && data[at + 1] === 10;
    if (!isEmpty && !isLast && data.length - at < 2) return at;
    const gap = isEmpty ? at : data.indexOf(CRLF_CRLF, at);
    const end = isEmpty ? at : gap < 0 ? data.length : gap + 2;
    const delimiter = isEmpty ? null : this.#delimiterIn(data, { at, end, isLast });
    if (delimiter !== null) {
      this.#visitor.asItIs(data.subarray(at, delimiter.at));
      return this.#cross(data, delimiter);
    }
    const maxBytes = this.#entities === 0 ? MAX_HEADER_BYTES : MAX_PART_HEADER_BYTES;
    if (gap >= 0 && end - at <= maxBytes) {
      this.#begin(data.toString("latin1", at, end));
      return end + 2;
    }
    if (!isLast && data.length - at <= maxBytes) return at;
    this.#endless(data.subarray(at, end), isLast);
    return end;
  }

  /** No header that could be read: at the end of the message it is passed on, else all that follows is opaque. */
  #endless(octets: Buffer, isLast: boolean): void {
    this.#visitor.asItIs(octets);
    this.#state = isLast ? "between" : "content";
    this.#lineStart = endsLine(octets);
    if (isLast) return;
    const number = this.#entities++;
    this.#visitor.begin({ number, kind: "opaque", type: "text/plain", encoding: "", header: null });
  }

  #begin(header: string): void {
    const entity = this.#entityOf(header);
    this.#lineStart = true;
    this.#state = "content";
    this.#visitor.begin(entity);
    if (entity.kind === "leaf" || entity.kind === "opaque") return;
    this.#depth++;
    this.#defaultType = "text/plain";
    this.#state = entity.kind === "message" ? "header" : "between";
  }

  #entityOf(header: string): Entity {
    const number = this.#entities++;
    if (this.#depth >= MAX_DEPTH || number >= MAX_ENTITIES)
      return { number, kind: "opaque", type: "text/plain", encoding: "", header };
    const fields = new Map<string, string>();
    eachField(header, (field) => {
      if (READ.has(field.name) && !fields.has(field.name)) fields.set(field.name, rawValue(header, field));
      return undefined;
    });
    for (const { length } of fields.values())
      if (length > MAX_VALUE) return { number, kind: "opaque", type: "text/plain", encoding: "", header };
    const contentType = withoutComments(fields.get("content-type") ?? "");
    const said = /^([^\s;/]+)\s*\/\s*([^\s;]+)/.exec(contentType.toLowerCase());
    const type = said === null ? this.#defaultType : `${said[1]}/${said[2]}`;
    const encoding = withoutComments(fields.get("content-transfer-encoding") ?? "").toLowerCase();
    const word = /^[^\s;]*/.exec(encoding)?.[0] ?? "";
    const boundary = boundaryOf(contentType);
    const kind = kindOf(type, word, boundary);
    if (kind === "multipart" && boundary !== null) {
      const defaultType = type === "multipart/digest" ? "message/rfc822" : "text/plain";
      this.#levels.push({
        delimiter: Buffer.from(`--${boundary}`, "latin1"),
        defaultType,
        depth: this.#depth + 1,
      });
    }
    return { number, kind, type, encoding: word, header };
  }

  /** Content up to the next line that may be a delimiter. */
  #body(data: Buffer, at: number, isLast: boolean): number {
    if (this.#levels.length === 0) return this.#give(data, at, data.length);
    if (this.#lineStart) {
      const delimiter = this.#delimiterAt(data, at, isLast);
      if (delimiter === "unknown") return at;
      if (delimiter !== null) {
        if (this.#state === "content") this.#visitor.end(true);
        return this.#cross(data, delimiter);
      }
    }
    for (let next = data.indexOf(CRLF_DASHES, at); next >= 0; next = data.indexOf(CRLF_DASHES, next + 2))
      if (this.#delimiterAt(data, next + 2, isLast) !== null) return this.#give(data, at, next + 2);
    const end = isLast ? data.length : data.length - beginningOf(CRLF_DASHES, data.subarray(at));
    return this.#give(data, at, end);
  }

  #give(data: Buffer, at: number, end: number): number {
    if (end === at) return at;
    const octets = data.subarray(at, end);
    this.#lineStart = endsLine(octets);
    if (this.#state === "content") this.#visitor.content(octets);
    else this.#visitor.between(octets);
    return end;
  }

  /** The first delimiter line in what should be a header: the part ends there. */
  #delimiterIn(
    data: Buffer,
    { at: from, end, isLast }: { readonly at: number; readonly end: number; readonly isLast: boolean },
  ): Delimiter | null {
    if (this.#levels.length === 0) return null;
    for (let at = from; at < end; ) {
      const delimiter = this.#delimiterAt(data, at, isLast);
      if (delimiter !== null && delimiter !== "unknown") return delimiter;
      const next = data.indexOf(CRLF_DASHES, at);
      at = next < 0 ? end : next + 2;
    }
    return null;
  }

  /** The line that begins at `at`, when it delimits a level, the innermost first; "unknown" when more is needed to know. */
  #delimiterAt(data: Buffer, at: number, isLast: boolean): Delimiter | "unknown" | null {
    if (data[at] !== DASH) return null;
    this.#comparisons += this.#levels.length;
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      const { delimiter } = this.#levels[level] ?? {};
      if (delimiter === undefined) continue;
      const ending = at + delimiter.length - 1;
      // Most lines differ there, and to find out costs nothing.
      if (ending < data.length && data[ending] !== delimiter.at(-1)) continue;
      const line = readDelimiter(data, { at, isLast, delimiter });
      if (line === "unknown") return line;
      if (line !== null) return { at, level, ...line };
    }
    return null;
  }

  /** Over a delimiter line; its line end is what the next header or text begins behind. */
  #cross(data: Buffer, { at, level, closes, length }: Delimiter): number {
    const { depth, defaultType } = this.#levels[level] ?? { depth: 0, defaultType: "text/plain" };
    this.#levels.length = closes ? level : level + 1;
    this.#depth = closes ? depth - 1 : depth;
    this.#defaultType = defaultType;
    this.#state = closes ? "between" : "header";
    const end = at + length;
    const behind = data[end] === 13 && data[end + 1] === 10 ? end + 2 : end;
    this.#lineStart = behind > end;
    this.#visitor.asItIs(data.subarray(at, behind));
    return behind;
  }
}

interface Delimiter {
  readonly at: number;
  readonly level: number;
  readonly closes: boolean;
  /** Without the line end. */
  readonly length: number;
}

/** RFC 1847 §2.1: what is in multipart/signed is opaque. RFC 2046 §5.2.2, §5.2.3: fragments and references have no encoding. */
function kindOf(type: string, encoding: string, boundary: string | null): Kind {
  if (type === "multipart/signed" || type === "message/partial" || type === "message/external-body")
    return "opaque";
  if (type.startsWith("multipart/")) return boundary === null ? "opaque" : "multipart";
  return type === "message/rfc822" && !ENCODED.test(encoding) ? "message" : "leaf";
}

function boundaryOf(contentType: string): string | null {
  const match = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.){1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  const quoted = match?.[1]?.replace(/\\(.)/g, "$1");
  return quoted ?? match?.[2] ?? null;
}

/** Comments outside of quoted strings (RFC 2045 §5.1). */
function withoutComments(value: string): string {
  if (!value.includes("(")) return value.trim();
  return value
    .replace(/"(?:[^"\\]|\\.)*"|\([^()]*\)/g, (found) => (found.startsWith("(") ? " " : found))
    .trim();
}

function endsLine(octets: Buffer): boolean {
  return octets.length >= 2 && octets.at(-1) === 10 && octets.at(-2) === 13;
}

/** Octet by octet, and no further than it may be one: a body may be full of lines that begin like it. */
function readDelimiter(
  data: Buffer,
  { at, isLast, delimiter }: { readonly at: number; readonly isLast: boolean; readonly delimiter: Buffer },
): Pick<Delimiter, "closes" | "length"> | "unknown" | null {
  const missing = isLast ? null : "unknown";
  for (let n = 0; n < delimiter.length; n++) {
    if (at + n >= data.length) return missing;
    if (data[at + n] !== delimiter[n]) return null;
  }
  let end = at + delimiter.length;
  const closes = data[end] === DASH && data[end + 1] === DASH;
  if (closes) end += 2;
  const furthest = end + MAX_BLANKS;
  while (end < furthest && (data[end] === 32 || data[end] === 9)) end++;
  if (data[end] === 13 && data[end + 1] === 10) return { closes, length: end - at };
  if (isLast) return end === data.length ? { closes, length: end - at } : null;
  // A dash or a CR at the end of what is there may have its second behind it.
  const isOpen = end === data.length || (end === data.length - 1 && (data[end] === DASH || data[end] === 13));
  return isOpen ? "unknown" : null;
}

/** How many octets at the end of `data` may be the beginning of `wanted`. */
function beginningOf(wanted: Buffer, data: Buffer): number {
  for (let length = Math.min(wanted.length - 1, data.length); length > 0; length--)
    if (data.subarray(data.length - length).equals(wanted.subarray(0, length))) return length;
  return 0;
}
