// The signature of a copy that is about to be sent. A copy that cannot be signed waits: it never leaves without.
import type { MessageBody } from "../message/body.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { lookAgain } from "../observe/look-again.ts";
import { StoreError } from "../store/database.ts";

const NAMED = 5;

/** Signs with the keys of the order; rejects when that is not possible. */
export type Sign = (message: MessageBody, order: SignOrder) => Promise<MessageBody>;

/** The copy could not be signed; an administrator has been told. */
export class UnsignedError extends Error {
  override readonly name = "UnsignedError";
}

export interface Signing {
  /** Rejects with UnsignedError, or with the StoreError of a body that is lost. */
  readonly sign: Sign;
  stop(): void;
}

export interface SigningParts {
  /** Left out: nobody can sign here, and what is to be signed waits. */
  readonly sign?: Sign;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
  /** Does the domain send mail here, as it is set? Left out: each does. */
  readonly isSet?: (domain: string) => boolean;
}

/** Nobody gets it: whether it can be signed is all that is asked. */
const TRIAL_MESSAGE = new TextEncoder().encode("Subject: trial\r\n\r\n");

/**
 * Makes the part that signs copies. The alarm "signing" stands for a domain until its mail can be signed again: with the next copy, or without
 * one, for what waited may be dropped, and the key may be retired.
 */
export function createSigning({ sign, clock, log, onAlarm, isSet = () => true }: SigningParts): Signing {
  /** By order; of domains of our own, so there are not many. */
  const failing = new Map<string, { readonly domain: string; readonly why: string }>();
  const again = lookAgain<SignOrder>({
    async isOver(order) {
      if (!isSet(order.domain)) return true;
      try {
        await sign?.(TRIAL_MESSAGE, order);
        return sign !== undefined;
      } catch {
        return false;
      }
    },
    onOver: works,
    onFailure: (err) => log.error({ err }, "whether mail can be signed again cannot be found out"),
    clock,
  });

  function works(order: SignOrder): void {
    // Asked for each copy, and nothing fails.
    if (failing.size === 0 || !failing.delete(keyOf(order))) return;
    again.forget(keyOf(order));
    tell();
  }

  function tell(): void {
    const [first] = failing.values();
    if (first === undefined) {
      onAlarm("signing", null);
      return;
    }
    const all = new Set([...failing.values()].map(({ domain }) => domain));
    const domains = [...all].slice(0, NAMED).join(", ");
    const more = all.size > NAMED ? ` and ${all.size - NAMED} more` : "";
    onAlarm(
      "signing",
      `Mail of ${domains}${more} cannot be signed and waits in the queue; it is tried again and does not leave unsigned. ${first.domain}: ${first.why}`,
      { isSet: () => [...failing.values()].some(({ domain }) => isSet(domain)) },
    );
  }

  async function signCopy(message: MessageBody, order: SignOrder): Promise<MessageBody> {
    try {
      if (sign === undefined) throw new Error("no signer is set up");
      const signed = await sign(message, order);
      works(order);
      return signed;
    } catch (error) {
      // The body is gone or damaged, which says nothing about keys: it is held, not tried again.
      if (error instanceof StoreError && error.kind === "lost") throw error;
      const why = error instanceof Error ? error.message : String(error);
      failing.set(keyOf(order), { domain: order.domain, why });
      again.note(keyOf(order), order);
      tell();
      throw new UnsignedError(`it could not be signed for ${order.domain}: ${why}`, { cause: error });
    }
  }

  return { sign: signCopy, stop: again.stop };
}

function keyOf({ domain, selector }: SignOrder): string {
  return `${selector ?? ""} ${domain}`;
}
