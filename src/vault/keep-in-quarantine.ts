// Files a message in the quarantine: the body into the vault, then the row. Called for each quarantined copy of the spool, at least once.
import type { Direction } from "../message/envelope.ts";
import type { Statement } from "../store/database.ts";
import { quarantineInsert } from "../store/quarantine-rows.ts";
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
  readonly rule: string;
  readonly words: string;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  /** The whole message with our trace headers. */
  readonly message: Uint8Array;
}

/**
 * Stores the body, to be kept for `keepMs` from its receipt, and resolves, once it is synced, to the statements that insert the row: commit them within the hour.
 * Doing both twice keeps one item. Rejects when the body cannot be stored; nothing refers to it then.
 */
export async function keepInQuarantine(
  vault: BodyVault,
  filing: { readonly copy: QuarantinedCopy; readonly keepMs: number },
): Promise<readonly Statement[]> {
  const { message, ...copy } = filing.copy;
  const bodyHash = await vault.put(message);
  const item = {
    ...copy,
    id: `${copy.messageId}-${copy.n}`,
    size: message.byteLength,
    expiresAt: copy.receivedAt + filing.keepMs,
  };
  return [quarantineInsert(item, bodyHash)];
}
