// A message with 8-bit bodies in 7 bits (RFC 6152 §3): each such part as quoted-printable or base64, all else as it is. Its structure is
// read once for a plan, then it is converted by that plan, as often as it is wanted, piece by piece. No I/O.
import { isAscii } from "node:buffer";
import { eachField } from "./header-block.ts";
import { ENCODED, type Entity, type EntityVisitor, EntityWalk } from "./mime-entities.ts";
import {
  Base64,
  type Encoder,
  QuotedPrintable,
  QuotedRest,
  questionMarks,
  WithoutEightBit,
} from "./seven-bit-encoders.ts";

/** How a message is converted: by the numbers of its entities. */
export interface SevenBitPlan {
  /** Those whose own body has 8-bit octets. */
  readonly eightBit: ReadonlySet<number>;
}

/** Nothing in 7 bits can be made of it. */
const UUENCODED = /uue/;

/** Reads a message for its plan. */
export class SevenBitSurvey {
  readonly #eightBit = new Set<number>();
  #found = false;
  #refused = false;
  #entity: Entity | null = null;
  readonly #walk = new EntityWalk({
    begin: (entity) => {
      this.#entity = entity;
    },
    content: (octets) => this.#look(octets),
    end: () => {},
    between: (octets) => {
      this.#found ||= !isAscii(octets);
    },
    // 8 bits in a header are no body's: 8BITMIME would not cover them either.
    asItIs: () => {},
  });

  /** False: it cannot be converted, or not in reasonable time, whatever follows. */
  take(octets: Uint8Array): boolean {
    this.#walk.take(octets);
    this.#refused ||= this.#walk.isCostly;
    return !this.#refused;
  }

  /** null: it cannot be converted. "none": there is nothing to convert. */
  finish(): SevenBitPlan | "none" | null {
    this.#walk.finish();
    if (this.#refused || this.#walk.isCostly) return null;
    return this.#found ? { eightBit: this.#eightBit } : "none";
  }

  #look(octets: Buffer): void {
    const entity = this.#entity;
    if (entity === null || isAscii(octets)) return;
    this.#found = true;
    if (entity.kind === "opaque" || UUENCODED.test(entity.encoding)) this.#refused = true;
    else this.#eightBit.add(entity.number);
  }
}

/** Converts by a plan that was made of the same octets. What it gives is good until it takes more. */
export class SevenBitConverter implements EntityVisitor {
  readonly #plan: SevenBitPlan;
  readonly #walk = new EntityWalk(this);
  #encoder: Encoder | null = null;
  #out: Buffer[] = [];

  constructor(plan: SevenBitPlan) {
    this.#plan = plan;
  }

  take(octets: Uint8Array): Buffer {
    this.#walk.take(octets);
    return this.#given();
  }

  finish(): Buffer {
    this.#walk.finish();
    return this.#given();
  }

  begin(entity: Entity): void {
    const { encoder, encoding } = this.#formOf(entity);
    this.#encoder = encoder;
    if (entity.header === null) return;
    const header = encoding === null ? entity.header : relabelled(entity.header, entity.number, encoding);
    this.#out.push(Buffer.from(`${header}\r\n`, "latin1"));
  }

  content(octets: Buffer): void {
    this.#out.push(this.#encoder === null ? octets : this.#encoder.take(octets));
  }

  end(delimited: boolean): void {
    if (this.#encoder === null) return;
    this.#out.push(this.#encoder.end(delimited));
    this.#encoder = null;
  }

  between(octets: Buffer): void {
    this.#out.push(isAscii(octets) ? octets : questionMarks(octets));
  }

  asItIs(octets: Buffer): void {
    this.#out.push(octets);
  }

  #given(): Buffer {
    const given = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    return given ?? Buffer.alloc(0);
  }

  /** How an entity is written: `encoding` is its new label, null: it keeps what it has. */
  #formOf({ number, kind, type, encoding }: Entity): { encoder: Encoder | null; encoding: string | null } {
    const isWide = encoding !== "" && encoding !== "7bit" && !ENCODED.test(encoding);
    if (kind === "opaque") return { encoder: null, encoding: null };
    if (kind !== "leaf") return { encoder: null, encoding: isWide ? "7bit" : null };
    const eightBit = this.#plan.eightBit.has(number);
    // Binary without 8 bits may have lines of any length.
    if (!eightBit && encoding !== "binary") return { encoder: null, encoding: isWide ? "7bit" : null };
    if (encoding === "quoted-printable") return { encoder: new QuotedRest(), encoding: null };
    if (encoding === "base64") return { encoder: new WithoutEightBit(), encoding: null };
    return /^(?:text|message)\//.test(type)
      ? { encoder: new QuotedPrintable(), encoding: "quoted-printable" }
      : { encoder: new Base64(), encoding: "base64" };
  }
}

/** The header with this transfer encoding and no other; that of the message itself with all that makes it MIME. */
function relabelled(header: string, number: number, encoding: string): string {
  const line = `Content-Transfer-Encoding: ${encoding}\r\n`;
  const seen = new Set<string>();
  let made = "";
  let read = 0;
  eachField(header, ({ name, start, end }) => {
    if (name !== "content-transfer-encoding") made += header.slice(start, end);
    else if (!seen.has(name)) made += line;
    seen.add(name);
    read = end;
    return undefined;
  });
  made += header.slice(read);
  if (number === 0 && !seen.has("mime-version")) made += "MIME-Version: 1.0\r\n";
  if (number === 0 && !seen.has("content-type")) made += "Content-Type: text/plain; charset=unknown-8bit\r\n";
  return seen.has("content-transfer-encoding") ? made : made + line;
}
