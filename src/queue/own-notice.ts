// Notices we send about mail in the queue: composed, and made ready for the unit that settles what they tell of.
import type { Outcome } from "../delivery/outcome.ts";
import type { DestinationFor } from "../delivery/route.ts";
import type { MailAddress } from "../message/address.ts";
import { headOf, type MessageBody } from "../message/body.ts";
import { newMessageId } from "../message/message-id.ts";
import type { SignOrder } from "../message/sign-order.ts";
import {
  composeNotice,
  MAX_RETURNED_BYTES,
  type Notice,
  type NoticeKind,
  type NoticeMessage,
} from "../notify/delivery-notice.ts";
import { type OnAlarm, TOLD_FOR_MS } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { StoreError } from "../store/database.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { SpooledMessage } from "../store/spool-entry.ts";
import { ownDestination, ownMail } from "./own-mail.ts";
import type { Reported } from "./plan-settlement.ts";
import type { Intake, TakeIn } from "./take-in.ts";
import { originOf } from "./undeliverable.ts";

const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;

/** What a notice tells. */
export interface NoticeOrder {
  readonly kind: NoticeKind;
  readonly message: SpooledMessage;
  /** The start of the body as stored, or null when it cannot be read. */
  readonly original: MessageBody | null;
  /** None: no notice. */
  readonly recipients: readonly Reported[];
  readonly triedUntil: number | null;
}

/** A notice ready to be committed together with what it tells of. */
export interface PreparedNotice {
  readonly intake: Intake;
  readonly event: LogEvent;
}

/**
 * Null when there is nobody to tell, or no notice can be composed (an alarm says so: the mail is settled whether we can write
 * about it or not). While the disk takes no notice, it waits: nothing is settled without the notice it owes. Never rejects.
 */
export type PrepareNotice = (order: NoticeOrder) => Promise<PreparedNotice | null>;

/** Where our mail servers stand is nobody's business but ours; our own words about a connection name it. */
function forOutsiders(outcome: Outcome): Outcome {
  const isOurWords = outcome.code === null && outcome.result === "deferred";
  const text = isOurWords ? "The mail server of this address cannot be reached." : outcome.text;
  return { ...outcome, text, server: null };
}

/** Makes the function that prepares notices. They leave with the null reverse-path and are never answered by notices. */
export function createNotices(parts: {
  readonly takeIn: TakeIn;
  readonly clock: Clock;
  readonly hostname: string;
  readonly log: Log;
  readonly destinationFor: DestinationFor;
  /** How they are signed; left out or null: not. */
  readonly ownSign?: () => SignOrder | null;
  readonly onAlarm: OnAlarm;
}): PrepareNotice {
  const { takeIn, clock, hostname, log, onAlarm } = parts;
  return async (order) => {
    if (order.recipients.length === 0) return null;
    const { id } = order.message;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
      try {
        return await prepare(order);
      } catch (error) {
        if (!(error instanceof StoreError)) {
          log.error({ err: error, id, kind: order.kind }, "a notice to the sender could not be made");
          onAlarm(
            "notices",
            `The sender of message ${id} could not be told what became of it: ${String(error)}`,
            { forMs: TOLD_FOR_MS },
          );
          return null;
        }
        log.warn({ err: error, id, retryInMs: waitMs }, "a notice to the sender is not kept; tried again");
        await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      }
    }
  };

  /** Without the hostile original when that is what cannot be quoted. */
  function compose(notice: Notice): NoticeMessage {
    try {
      return composeNotice(notice);
    } catch (error) {
      log.error(
        { err: error, id: notice.originalId },
        "a message cannot be quoted in its notice; it goes without",
      );
      return composeNotice({ ...notice, original: null });
    }
  }

  async function prepare({
    kind,
    message,
    original,
    recipients,
    triedUntil,
  }: NoticeOrder): Promise<PreparedNotice> {
    const now = clock.now();
    const id = newMessageId(now);
    // It was a parsed address when its message came in.
    const sender = message.envelope.reversePath as MailAddress;
    const destination = ownDestination(sender, parts);
    const notice = compose({
      kind,
      hostname,
      id,
      now,
      sender,
      originalId: message.id,
      arrivedAt: message.receivedAt,
      envid: message.envelope.dsnEnvid,
      ret: message.envelope.dsnRet,
      original: original === null ? null : headOf(original).subarray(0, MAX_RETURNED_BYTES),
      originalSize: message.size,
      recipients: recipients.map(({ recipient, outcome, stopped = false }) => ({
        address: recipient.address,
        orcpt: recipient.detail.dsn?.orcpt ?? null,
        via: stopped ? "rule" : recipient.detail.destination.kind,
        outcome: originOf(recipient.detail).direction === "inbound" ? forOutsiders(outcome) : outcome,
      })),
      triedUntil,
    });
    const prepared = ownMail(
      { ...notice, to: sender },
      {
        id,
        now,
        hostname,
        destination,
        sign: parts.ownSign?.() ?? null,
        headerMessageId: `<${id}@${hostname}>`,
        reply: `250 2.0.0 Notice about message ${message.id}`,
      },
    );
    return { intake: await takeIn(prepared.mail), event: prepared.event };
  }
}
