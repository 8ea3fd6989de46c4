// From what the queue is handed to what the spool stores: a client's message, or one taken back from the quarantine. Pure.

import { isAscii } from "node:buffer";
import { type Destination, overTls, type WrittenBy } from "../delivery/route.ts";
import { headOf, isLarge, type MessageBody } from "../message/body.ts";
import type { Direction } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { MessageRecord } from "../store/log-record.ts";
import type { ArchiveDetail, Origin, RecipientDetail } from "../store/spool-entry.ts";
import type { Acceptance, AcceptedRecipient } from "./queue.ts";
import type { NewMail } from "./take-in.ts";

const ASCII = /^[\x00-\x7f]*$/;

/** What of a quarantine item the queue needs to deliver it. */
export interface ReleasedItem extends Omit<WrittenBy, "writtenFor"> {
  readonly id: string;
  readonly messageId: string;
  readonly n: number;
  readonly recipient: string;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly direction: Direction;
  readonly receivedAt: number;
  /** The outgoing sender and the identity; left out or empty: none is known. */
  readonly sender?: string;
  readonly identity?: string;
  /** As in `WrittenBy`; null like left out. */
  readonly writtenFor?: readonly string[] | null;
  /** It could not be delivered before; left out: a rule had put it there. */
  readonly class?: "rule" | "undeliverable";
  /** How outgoing mail leaves: what is taken out of its header, how it is signed, never without TLS. Left out: as it is. */
  readonly edits?: readonly HeaderEdit[];
  readonly sign?: SignOrder | null;
  readonly overTls?: boolean;
  /** Also kept in the archive; left out: not. */
  readonly archive?: Omit<ArchiveDetail, "recipients" | "direction"> | null;
}

/** The message of a client. No recipients when it is discarded for all of them. */
export function mailOf(acceptance: Acceptance): NewMail {
  const { envelope, recipients, message, record, writtenFor, share = "" } = acceptance;
  const { id, receivedAt, reversePath, smtpUtf8, requireTls, dsnRet, dsnEnvid } = envelope;
  const eightBit = envelope.body === "8bitmime";
  const who = senderOf(record);
  return {
    id,
    receivedAt,
    envelope: {
      reversePath: reversePath ?? "",
      smtpUtf8,
      eightBit,
      requireTls,
      dsnRet,
      dsnEnvid,
      ...(writtenFor === undefined ? {} : { writtenFor }),
    },
    body: message,
    recipients: recipients.flatMap((recipient) => {
      const detail = detailOf(recipient, record, who);
      return detail === null ? [] : [{ n: recipient.n, address: recipient.address, detail }];
    }),
    archive: archiveOf(acceptance),
    share,
  };
}

function archiveOf({ archive, recipients, record }: Acceptance): ArchiveDetail | null {
  if (archive === undefined) return null;
  const directions = new Set(record.recipients.map(({ direction }) => direction));
  const direction = directions.has("outbound")
    ? "outbound"
    : directions.has("inbound")
      ? "inbound"
      : "internal";
  const addresses = recipients.map(({ address }) => address);
  const { headerFrom, subject } = record;
  return { ...archive, recipients: addresses, direction, headerFrom, subject };
}

function detailOf(
  { n, dsn, mayBounce, fromOutside, disposition }: AcceptedRecipient,
  record: MessageRecord,
  who: Omit<Origin, "direction">,
): RecipientDetail | null {
  const origin = originOf(fromOutside === true ? "inbound" : directionOf(n, record), who);
  switch (disposition.kind) {
    case "deliver": {
      const { destination, edits, sign = null } = disposition;
      return {
        destination,
        edits,
        sign,
        dsn,
        mayBounce,
        quarantine: null,
        origin,
      };
    }
    case "quarantine": {
      const { destination, rule, words, tell } = disposition;
      const { headerFrom, subject } = record;
      const about = { rule, words, headerFrom, subject, ...origin };
      const quarantine = tell === undefined ? about : { ...about, tell };
      return { destination, edits: [], sign: null, dsn, mayBounce, quarantine };
    }
    case "discard":
      return null;
  }
}

/** Mail from outside has no sender here, whatever was found. */
function originOf(direction: Direction, who: Omit<Origin, "direction">): Origin {
  return direction === "inbound" ? { direction } : { direction, ...who };
}

/** Recipients stand in the order of their numbers, but for tests and old callers. */
function directionOf(n: number, { recipients }: MessageRecord): Direction {
  const there = recipients[n];
  return (there?.n === n ? there : recipients.find((one) => one.n === n))?.direction ?? "inbound";
}

/** The outgoing sender and the identity, as outgoing control has found them. */
function senderOf({ findings }: MessageRecord): Omit<Origin, "direction"> {
  const text = (fact: string) => findings.find((one) => one.fact === fact)?.value;
  const sender = text("identity.sender");
  const identity = text("identity.name");
  return {
    ...(typeof sender === "string" ? { sender } : {}),
    ...(typeof identity === "string" ? { identity } : {}),
  };
}

/** A message from the quarantine, for the one recipient it was kept for. */
export function releasedMail(
  item: ReleasedItem,
  { message, destination }: { readonly message: MessageBody; readonly destination: Destination },
): NewMail {
  const detail: RecipientDetail = {
    destination: item.overTls === true ? overTls(destination) : destination,
    edits: item.edits ?? [],
    sign: item.sign ?? null,
    dsn: null,
    // An outsider's reverse-path proves nothing; and of what could not be delivered before, the sender was told then, or cannot be.
    mayBounce: item.direction !== "inbound" && item.class !== "undeliverable",
    quarantine: null,
    origin: {
      direction: item.direction,
      ...(item.sender ? { sender: item.sender } : {}),
      ...(item.identity ? { identity: item.identity } : {}),
    },
    round: roundOf(item.id) + 1,
  };
  return {
    id: item.messageId,
    receivedAt: item.receivedAt,
    envelope: {
      reversePath: item.reversePath,
      smtpUtf8: !ASCII.test(item.reversePath) || !ASCII.test(item.recipient),
      // Nobody has looked at all of a large one: with 8BITMIME it is taken whatever is in it.
      eightBit: isLarge(message) || !isAscii(headOf(message)),
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      ...writtenBy(item),
    },
    body: message,
    recipients: [{ n: item.n, address: item.recipient, detail }],
    archive:
      item.archive === null || item.archive === undefined
        ? null
        : { ...item.archive, recipients: [item.recipient], direction: item.direction },
    share: "",
  };
}

/** For whom it was written, as far as the item tells. */
export function writtenBy({ writtenFor, named }: Pick<ReleasedItem, "writtenFor" | "named">): WrittenBy {
  return {
    ...(writtenFor === null || writtenFor === undefined ? {} : { writtenFor }),
    ...(named === undefined ? {} : { named }),
  };
}

/** How often what the item holds had been released: `MESSAGE_ID-N-ROUND`. */
function roundOf(id: string): number {
  return Number(/-\d+-(\d+)$/.exec(id)?.[1] ?? 0);
}
