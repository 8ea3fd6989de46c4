// What the session and the message log want to know of a message at first sight. No I/O; on the hot path.
import type { MailAddress } from "./address.ts";
import { displayText, eachField, rawValue, readHeaderBlock } from "./header-block.ts";
import { MAX_MAILBOX_LIST, MAX_MAILBOXES, parseMailboxes } from "./mailboxes.ts";

export interface MessageSummary {
  /** Decoded, control characters replaced, at most 500 characters; "" when absent. The first one when there are several. */
  readonly subject: string;
  /** All From fields, decoded likewise. */
  readonly headerFrom: string;
  /** The addresses of all From fields, each once. */
  readonly fromAddresses: readonly MailAddress[];
  readonly fromFields: number;
  /** False when there is more in From than was read: an address in it may not be in `fromAddresses`. */
  readonly fromIsWhole: boolean;
  /** The addresses of Sender, Resent-From and Resent-Sender, each once; empty when they were not asked for. */
  readonly senderAddresses: readonly MailAddress[];
  /** False when there is more in those fields than was read. */
  readonly sendersAreWhole: boolean;
  readonly messageId: string;
  /** Hops so far (RFC 5321 §6.3). */
  readonly receivedCount: number;
  /** Octets of the header section with its empty line, even where only its start was looked at (`MAX_HEADER_BYTES`). */
  readonly headerBytes: number;
  readonly headerFields: number;
}

const MAX_TEXT = 500;
const MAX_FROM_FIELDS = 10;
/** Sender, Resent-From and Resent-Sender together: each time a message is sent on adds two. */
const MAX_SENDER_FIELDS = 20;
const NONE: readonly never[] = [];

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
  const from: string[] = [];
  const senders: string[] | null = options.senders ? [] : null;
  eachField(text, (field) => {
    headerFields++;
    switch (field.name) {
      case "from":
        fromFields++;
        if (from.length < MAX_FROM_FIELDS) from.push(rawValue(text, field));
        break;
      case "": {
        const value = disguisedFrom(text.slice(field.start, field.end));
        if (value === null) break;
        fromFields++;
        if (from.length < MAX_FROM_FIELDS) from.push(value);
        break;
      }
      case "sender":
      case "resent-from":
      case "resent-sender":
        senders?.push(rawValue(text, field));
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
        break;
    }
    return undefined;
  });
  const fromAddresses = addressesOf(from);
  const senderAddresses = senders === null ? NONE : addressesOf(senders.slice(0, MAX_SENDER_FIELDS));
  return {
    subject: subject ?? "",
    headerFrom: displayText(from.length === 1 ? (from[0] ?? "") : from.join(", "), MAX_TEXT),
    fromAddresses,
    fromFields,
    fromIsWhole:
      fromFields <= MAX_FROM_FIELDS &&
      fromAddresses.length < MAX_MAILBOXES &&
      from.every((value) => value.length <= MAX_MAILBOX_LIST),
    senderAddresses,
    sendersAreWhole:
      senders === null ||
      (senders.length <= MAX_SENDER_FIELDS &&
        senderAddresses.length < MAX_MAILBOXES &&
        senders.every((value) => value.length <= MAX_MAILBOX_LIST)),
    messageId: messageId ?? "",
    receivedCount,
    headerBytes: block.bodyStart,
    headerFields,
  };
}

/** A From that is none by the book (indented on the first line, folded before its colon) but that a lenient reader may show; or null. */
function disguisedFrom(field: string): string | null {
  const name = /^[ \t\r\n]{0,200}from[ \t\r\n]{0,200}:/i.exec(field);
  return name === null ? null : field.slice(name[0].length).replaceAll("\r\n", "").trim();
}

function addressesOf(from: readonly string[]): readonly MailAddress[] {
  const first = from[0];
  if (first === undefined) return NONE;
  if (from.length === 1) return parseMailboxes(first);
  return [...new Set(from.flatMap((value) => parseMailboxes(value)))];
}
