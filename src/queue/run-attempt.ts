// One attempt from body to outcomes. Whatever goes wrong on our side becomes an outcome too: nothing here rejects.

import type { Attempt, Deliverer } from "../delivery/attempt.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { MessageBody } from "../message/body.ts";
import { applyEdits } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { StoreError } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";
import { internalFailure } from "./plan-settlement.ts";
import { type Reach, reachOf } from "./reach.ts";
import { type Sign, UnsignedError } from "./sign-copy.ts";
import type { Work } from "./work.ts";

export interface AttemptRun {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcomes: readonly Outcome[];
  readonly reach: Reach;
  /** The body as stored, or null when it could not be read. */
  readonly body: MessageBody | null;
  /** What went wrong on our side, or null. Then the outcomes say nothing about the destination. */
  readonly fault: string | null;
  /** The fault is that the body is gone or damaged: no later attempt will do better. */
  readonly bodyLost: boolean;
  /** The fault is that it could not be signed; who signs has said so. */
  readonly unsigned: boolean;
}

const NO_FAULT = { fault: null, bodyLost: false, unsigned: false } as const;

/** Reads the body if need be, makes the recipient's edits, signs the copy if it is to be signed, and delivers. */
export async function runAttempt(
  work: Work,
  options: {
    readonly spool: Spool;
    readonly deliverer: Deliverer;
    readonly clock: Clock;
    readonly log: Log;
    readonly sign: Sign;
    /** A server has greeted. */
    readonly onReached: (() => void) | null;
  },
): Promise<AttemptRun> {
  const { spool, deliverer, clock, log, sign, onReached } = options;
  const { envelope } = work.message;
  const startedAt = clock.now();
  let body = work.body;
  try {
    body ??= await spool.body(work.message);
    const edited = work.edits.length === 0 ? body : applyEdits(body, work.edits);
    const signed = work.sign === null ? null : signing(edited, work.sign, sign);
    const message = signed === null ? edited : await signed.sign(edited);
    const outcomes = await deliverer.attempt({
      messageId: work.message.id,
      destination: work.destination,
      reversePath: envelope.reversePath,
      recipients: work.recipients.map(({ n, address, detail }) => ({ n, address, dsn: detail.dsn })),
      message,
      ...(signed === null ? {} : { signed }),
      smtpUtf8: envelope.smtpUtf8,
      eightBit: envelope.eightBit,
      requireTls: envelope.requireTls,
      dsnRet: envelope.dsnRet,
      dsnEnvid: envelope.dsnEnvid,
      onReached,
    });
    const times = { startedAt, endedAt: clock.now() };
    return { ...times, outcomes, reach: reachOf(outcomes), body, ...NO_FAULT };
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    const bodyLost = error instanceof StoreError && error.kind === "lost";
    const unsigned = error instanceof UnsignedError;
    const then = bodyLost ? "it is held" : "it is tried again later";
    log.error({ err: error, id: work.message.id }, `attempt failed by our own fault; ${then}`);
    const outcomes = work.recipients.map(({ n }) => internalFailure(n, fault));
    const times = { startedAt, endedAt: clock.now() };
    return { ...times, outcomes, reach: "answered", body, fault, bodyLost, unsigned };
  }
}

function signing(unsigned: MessageBody, order: SignOrder, sign: Sign): NonNullable<Attempt["signed"]> {
  return { unsigned, sign: (message) => sign(message, order) };
}
