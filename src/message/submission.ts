// What a message that is submitted here lacks or should not carry on (RFC 6409 §8): fields its author's program left out or left in. No I/O.
import { eachField, readHeaderBlock } from "./header-block.ts";

/**
 * Fields that go no further: who else got a copy is nobody's business (RFC 5322 §3.6.3), and a return path is written at delivery
 * (RFC 5321 §4.4).
 */
export const NOT_PASSED_ON: ReadonlySet<string> = new Set(["bcc", "resent-bcc", "return-path"]);

/** The fields that were missing. */
export interface MissingFields {
  /** Whole fields with CRLF; "" when nothing was missing. */
  readonly text: string;
  /** The Message-ID among them, or null. */
  readonly messageId: string | null;
}

/**
 * Date and Message-ID where there is none (RFC 6409 §8.2, §8.3): large receivers refuse mail without. `messageId` with its brackets.
 * A message that is signed already gets none, for its signature may say that there are none.
 */
export function missingFields(
  head: Uint8Array,
  given: { readonly date: string; readonly messageId: string },
): MissingFields {
  let date = false;
  let messageId = false;
  let signed = false;
  eachField(readHeaderBlock(head).text, ({ name }) => {
    if (name === "date") date = true;
    else if (name === "message-id") messageId = true;
    else if (name === "dkim-signature") signed = true;
    return undefined;
  });
  if (signed || (date && messageId)) return { text: "", messageId: null };
  return {
    text: `${date ? "" : `Date: ${given.date}\r\n`}${messageId ? "" : `Message-ID: ${given.messageId}\r\n`}`,
    messageId: messageId ? null : given.messageId,
  };
}
