// Files a message in the archive: the body into the vault, then the row. Called for each copy the spool has for it, at least once.
import type { MessageBody } from "../message/body.ts";
import type { Direction } from "../message/envelope.ts";
import { archiveInsert } from "../store/archive-rows.ts";
import type { Statement } from "../store/database.ts";
import type { BodyVault } from "./body-vault.ts";

/** A message that is kept in the archive of a domain. */
export interface ArchivedCopy {
  readonly messageId: string;
  readonly domain: string;
  /** The outgoing sender whose flag it is. */
  readonly sender: string;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly recipients: readonly string[];
  readonly subject: string;
  readonly headerFrom: string;
  readonly direction: Direction;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  /** The whole message with our trace headers, as it came: without edits and signature. */
  readonly message: MessageBody;
}

/**
 * Stores the body and resolves, once it is synced, to the statements that insert the row: commit them within the hour.
 * Doing both twice keeps one. Rejects when the body cannot be stored; nothing refers to it then.
 */
export async function keepInArchive(vault: BodyVault, copy: ArchivedCopy): Promise<readonly Statement[]> {
  const { message, ...about } = copy;
  const bodyHash = await vault.put(message);
  return [archiveInsert({ ...about, id: copy.messageId, size: message.length, bodyHash })];
}
