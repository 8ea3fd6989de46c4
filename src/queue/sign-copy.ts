// The signature of a copy that is about to be sent. A copy that cannot be signed waits: it never leaves without.

import type { MessageBody } from "../message/body.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import { StoreError } from "../store/database.ts";

const NAMED = 5;

/** Signs with the keys of the order; rejects when that is not possible. */
export type Sign = (message: MessageBody, order: SignOrder) => Promise<MessageBody>;

/** The copy could not be signed; an administrator has been told. */
export class UnsignedError extends Error {
  override readonly name = "UnsignedError";
}

/**
 * Makes the function that signs copies. It rejects with UnsignedError, or with the StoreError of a body that is lost. The alarm "signing" stands for a domain until a copy of it
 * is signed again.
 */
export function createSigning({
  sign,
  onAlarm,
}: {
  /** Left out: nobody can sign here, and what is to be signed waits. */
  readonly sign: Sign | undefined;
  readonly onAlarm: OnAlarm;
}): Sign {
  /** Domains of our own, so there are not many. */
  const failing = new Map<string, string>();

  function tell(): void {
    const [first] = failing;
    if (first === undefined) {
      onAlarm("signing", null);
      return;
    }
    const domains = [...failing.keys()].slice(0, NAMED).join(", ");
    const more = failing.size > NAMED ? ` and ${failing.size - NAMED} more` : "";
    onAlarm(
      "signing",
      `Mail of ${domains}${more} cannot be signed and waits in the queue; it is tried again and does not leave unsigned. ${first[0]}: ${first[1]}`,
    );
  }

  return async (message, order) => {
    try {
      if (sign === undefined) throw new Error("no signer is set up");
      const signed = await sign(message, order);
      if (failing.delete(order.domain)) tell();
      return signed;
    } catch (error) {
      // The body is gone or damaged, which says nothing about keys: it is held, not tried again.
      if (error instanceof StoreError && error.kind === "lost") throw error;
      const why = error instanceof Error ? error.message : String(error);
      failing.set(order.domain, why);
      tell();
      throw new UnsignedError(`it could not be signed for ${order.domain}: ${why}`, { cause: error });
    }
  };
}
