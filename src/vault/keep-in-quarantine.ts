// Files a message in the quarantine: the body into the vault, then the row. Called for each quarantined copy of the spool, at least once.
import type { MessageBody } from "../message/body.ts";
import type { Direction } from "../message/envelope.ts";
import type { Statement } from "../store/database.ts";
import { quarantineInsert } from "../store/quarantine-rows.ts";
import type { UndeliverableDetail } from "../store/spool-entry.ts";
import type { BodyVault } from "./body-vault.ts";

/** One recipient's copy that is to be kept aside. */
export interface QuarantinedCopy {
  readonly messageId: string;
  /** Number of the recipient within the message. */
  readonly n: number;
  readonly recipient: string;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly headerFrom: string;
  readonly subject: string;
  readonly direction: Direction;
  /** The outgoing sender and the identity behind the message; left out: none is known. */
  readonly sender?: string;
  readonly identity?: string;
  /** Domains of this gateway it was written for; left out: from outside, or not known. */
  readonly writtenFor?: readonly string[];
  readonly rule: string;
  readonly words: string;
  /** It could not be delivered; left out: a rule put it there. */
  readonly undeliverable?: UndeliverableDetail;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  /** The whole message with our trace headers. */
  readonly message: MessageBody;
}

/** What was released and came back is another item: the released one is not taken twice. */
function itemId({ messageId, n, undeliverable }: QuarantinedCopy): string {
  const round = undeliverable?.round ?? 0;
  return round === 0 ? `${messageId}-${n}` : `${messageId}-${n}-${round}`;
}

/** Who sent it, as the row has it: mail from outside has no sender here, whatever its envelope says. */
function senderColumns(
  { direction, sender, identity, reversePath }: Omit<QuarantinedCopy, "message">,
  senderDomain: string | undefined,
): { readonly sender: string; readonly identity: string; readonly senderDomain: string } {
  if (direction === "inbound") return { sender: "", identity: "", senderDomain: "" };
  const path = reversePath.toLowerCase();
  return {
    sender: sender ?? path,
    identity: identity ?? "",
    senderDomain: senderDomain ?? path.slice(path.lastIndexOf("@") + 1),
  };
}

/**
 * Stores the body, to be kept for `keepMs` from its receipt, or from when it could not be delivered, and resolves, once it is synced, to the statements that insert the row: commit them within the hour.
 * Doing both twice keeps one item. Rejects when the body cannot be stored; nothing refers to it then.
 */
export async function keepInQuarantine(
  vault: BodyVault,
  filing: {
    readonly copy: QuarantinedCopy;
    readonly keepMs: number;
    /** The domain the outgoing sender belongs to; left out: that of the envelope sender. */
    readonly senderDomain?: string;
    /** The time, asked for when the body is kept. Left out: when its mail came, or failed, counts. */
    readonly now?: () => number;
  },
): Promise<readonly Statement[]> {
  const { message, undeliverable, ...copy } = filing.copy;
  const bodyHash = await vault.put(message);
  const item = {
    ...copy,
    ...senderColumns(copy, filing.senderDomain),
    id: itemId(filing.copy),
    size: message.length,
    ...(filing.now === undefined ? {} : { filedAt: filing.now() }),
    expiresAt: (undeliverable?.failedAt ?? copy.receivedAt) + filing.keepMs,
  };
  return [quarantineInsert(item, bodyHash, undeliverable)];
}
