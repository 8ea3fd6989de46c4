// What the session and the message log want to know of a message at first sight. No I/O; on the hot path.
import type { MailAddress } from "./address.ts";
import { type FromField, readAuthor } from "./author.ts";
import {
  disguisedName,
  displayText,
  eachField,
  type HeaderField,
  hasControls,
  rawValue,
  readHeaderBlock,
} from "./header-block.ts";
import { MAX_MAILBOX_LIST, MAX_MAILBOXES, parseMailboxes } from "./mailboxes.ts";
import { isPassedOn } from "./passed-on.ts";

export interface SenderField {
  readonly name: string;
  readonly value: string;
}

export interface MessageSummary {
  /** Decoded, control characters replaced, at most 500 characters; "" when absent. The first one when there are several. */
  readonly subject: string;
  /** All From fields, decoded likewise. */
  readonly headerFrom: string;
  /** The addresses of all From fields, each once; with a flaw also those that other programs or people may read. */
  readonly fromAddresses: readonly MailAddress[];
  /** Why others may read another author than we do (`author.ts`), as the end of a sentence that begins with "From"; or null. */
  readonly fromFlaw: string | null;
  readonly fromFields: number;
  /** False when there is more in From than was read: an address in it may not be in `fromAddresses`. */
  readonly fromIsWhole: boolean;
  /** The addresses of Sender, Resent-From and Resent-Sender, each once; empty when they were not asked for. */
  readonly senderAddresses: readonly MailAddress[];
  /** Those fields, as they are written. */
  readonly senderFields: readonly SenderField[];
  /** False when there is more in those fields than was read. */
  readonly sendersAreWhole: boolean;
  readonly messageId: string;
  /** Hops so far (RFC 5321 §6.3). */
  readonly receivedCount: number;
  /** Octets of the header section with its empty line, even where only its start was looked at (`MAX_HEADER_BYTES`). */
  readonly headerBytes: number;
  readonly headerFields: number;
  /** There are fields, and control characters in the header other than tab, line end and the escapes of raw ISO 2022. */
  readonly headerControls: boolean;
}

const MAX_TEXT = 500;
const MAX_FROM_FIELDS = 10;
/** Sender, Resent-From and Resent-Sender together: each time a message is sent on adds two. */
const MAX_SENDER_FIELDS = 20;
const SENDER_FIELDS: ReadonlyMap<string, string> = new Map([
  ["sender", "Sender"],
  ["resent-from", "Resent-From"],
  ["resent-sender", "Resent-Sender"],
]);
const NONE: readonly never[] = [];
/** A line of white space alone continues a field by the book, and ends the header for some programs. */
const WHITE_LINE = /\r\n[ \t]+\r\n/;
const BADLY_NAMED = "has its name written so that programs read it differently";
const MAX_NAME = 300;

/**
 * Summarises a message with CRLF line ends. Never throws; work is bounded by `MAX_HEADER_BYTES` and `MAX_HEADER_FIELDS`.
 * With `senders` it also reads who else the header names as a sender.
 */
export function summarise(
  raw: Uint8Array,
  options: { readonly senders: boolean } = { senders: false },
): MessageSummary {
  const block = readHeaderBlock(raw);
  const text = block.text;
  let subject: string | null = null;
  let messageId: string | null = null;
  let receivedCount = 0;
  let headerFields = 0;
  let fromFields = 0;
  const from: FromField[] = [];
  let brokenAt = WHITE_LINE.exec(text)?.index ?? Number.MAX_SAFE_INTEGER;
  let named = false;
  const senders: SenderField[] | null = options.senders ? [] : null;
  const readDisguised = (name: string, field: HeaderField): boolean => {
    if (name === "from") {
      fromFields++;
      if (from.length < MAX_FROM_FIELDS) from.push(inDisguise(text, field));
      return true;
    }
    const shown = SENDER_FIELDS.get(name);
    if (shown === undefined) return false;
    senders?.push({ name: shown, value: inDisguise(text, field).value });
    return true;
  };
  eachField(text, (field) => {
    headerFields++;
    named ||= field.name !== "";
    switch (field.name) {
      case "from":
        fromFields++;
        if (from.length < MAX_FROM_FIELDS) from.push(fromField(text, field, brokenAt));
        break;
      case "sender":
      case "resent-from":
      case "resent-sender":
        senders?.push({ name: SENDER_FIELDS.get(field.name) ?? field.name, value: rawValue(text, field) });
        break;
      case "subject":
        subject ??= displayText(rawValue(text, field), MAX_TEXT);
        break;
      case "message-id":
        messageId ??= displayText(rawValue(text, field), MAX_TEXT);
        break;
      case "received":
        receivedCount++;
        break;
      default:
        if (readDisguised(disguisedName(text, field), field)) break;
        if (field.name === "" && !isNearlyField(text, field)) brokenAt = Math.min(brokenAt, field.start);
        break;
    }
    return undefined;
  });
  const { addresses: fromAddresses, flaw: fromFlaw } = readAuthor(from, (own) => isPassedOn(text, own));
  const senderFields = senders?.slice(0, MAX_SENDER_FIELDS) ?? NONE;
  const senderAddresses = addressesOf(senderFields.map(({ value }) => value));
  return {
    subject: subject ?? "",
    headerFrom: displayText(
      from.length === 1 ? (from[0]?.value ?? "") : from.map(({ value }) => value).join(", "),
      MAX_TEXT,
    ),
    fromAddresses,
    fromFlaw,
    fromFields,
    fromIsWhole:
      fromFields <= MAX_FROM_FIELDS &&
      fromAddresses.length < MAX_MAILBOXES &&
      octetsOf(from.map(({ value }) => value)) <= MAX_MAILBOX_LIST,
    senderAddresses,
    senderFields,
    sendersAreWhole:
      senders === null ||
      (senders.length <= MAX_SENDER_FIELDS &&
        senderAddresses.length < MAX_MAILBOXES &&
        octetsOf(senders.map(({ value }) => value)) <= MAX_MAILBOX_LIST),
    messageId: messageId ?? "",
    receivedCount,
    headerBytes: block.bodyStart,
    headerFields,
    headerControls: named && hasControls(text),
  };
}

/** A From field by its name. In what stands below a line that ends the header for some programs, or has a blank before its colon, not all see it. */
function fromField(text: string, field: HeaderField, brokenAt: number): FromField {
  const value = rawValue(text, field);
  if (field.start > brokenAt) return { value, disguise: "stands behind a line that is no header field" };
  return field.colon - field.start === field.name.length
    ? { value, disguise: null }
    : { value, disguise: BADLY_NAMED };
}

/** A field that is none by the book, or has another name, and that a lenient program may show as From. */
function inDisguise(text: string, field: HeaderField): FromField {
  const whole = text.slice(field.start, field.end);
  const value = whole.slice(whole.indexOf(":") + 1).replaceAll("\r\n", "");
  return { value: value.trim(), disguise: BADLY_NAMED };
}

/** A line that no program takes for the end of the header: an mbox separator on top, or a name with a blank in it. */
function isNearlyField(text: string, field: HeaderField): boolean {
  const line = text.slice(field.start, field.start + MAX_NAME);
  return (field.start === 0 && /^>?From /.test(line)) || /^[!-9;-~][ -9;-~]*:/.test(line);
}

function octetsOf(values: readonly string[]): number {
  return values.reduce((sum, { length }) => sum + length, 0);
}

/** Of all values together as much is read as of one. */
function addressesOf(values: readonly string[]): readonly MailAddress[] {
  const [first] = values;
  if (first === undefined) return NONE;
  if (values.length === 1) return parseMailboxes(first);
  let left = MAX_MAILBOX_LIST;
  const all = values.flatMap((value) => {
    const read = parseMailboxes(value.slice(0, left));
    left -= Math.min(left, value.length);
    return read;
  });
  return [...new Set(all)];
}
