// One mail transaction on an open SMTP session: MAIL, RCPT, DATA, the message. It knows the dialogue and nothing of sockets.
// With PIPELINING the whole envelope is one write and the message a second one (RFC 2920).
import { isLarge, type LargeBody } from "../message/body.ts";
import { wirePiece, wirePieces } from "./dot-stuffing.ts";
import { cleanText, parseReply, type RemoteReply, replyClass } from "./remote-reply.ts";

/** What the transaction needs of a session. */
export interface Wire {
  /** The next reply in order goes to `onReply`. */
  expect(onReply: (raw: string) => void): void;
  /** False: wait for `onDrain` before writing more. */
  write(bytes: Buffer | string): boolean;
  onDrain(go: () => void): void;
  /** More has come than was asked for: a reply is in hand that answers nothing that was sent. */
  hasSurplus(): boolean;
  /** A new step begins: the far side has this long from now. */
  allow(step: Step): void;
}

/** The steps that have a time of their own (RFC 5321 §4.5.3.2). */
export type Step = "mail" | "rcpt" | "data" | "block" | "final";

export interface TransactionRequest {
  /** `MAIL FROM:<…> …` without CRLF. */
  readonly mail: string;
  /** `RCPT TO:<…> …` without CRLF, one per recipient. */
  readonly rcpts: readonly string[];
  readonly message: Buffer | LargeBody;
  /** An earlier transaction was left open: RSET first. */
  readonly reset: boolean;
  readonly pipelining: boolean;
}

/** The reply that settled a recipient. `toRcpt`: it answered that recipient's own RCPT. */
export interface SettlingReply {
  readonly reply: RemoteReply;
  readonly toRcpt: boolean;
}

export interface TransactionResult {
  /** In the order of `rcpts`; null when the session broke first. */
  readonly replies: readonly (SettlingReply | null)[];
  /** The far side said something in this transaction. */
  readonly heard: boolean;
  /** It answered more than it was asked, before the message had its end: over a new connection the message may be tried again. */
  readonly outOfStep: boolean;
  /** The whole message was handed over: it may have been taken although no reply came. */
  readonly afterDot: boolean;
  /** Why the session broke, or null. */
  readonly lost: string | null;
  /** The next transaction has to begin with RSET. */
  readonly resetNext: boolean;
  /** The session must not be used again. */
  readonly close: boolean;
  /** The message could not be read from its file; the server got no end of it. Null: no such trouble. */
  readonly fault: unknown;
}

const PIECE_BYTES = 262_144;
/** RFC 5321 §4.3.1: one reply for one command. The next reply would be taken for the answer to something else. */
export const OUT_OF_STEP = "the server answered more than it was asked; its replies are out of step";

/** Runs one transaction; `done` is called exactly once. */
export class Transaction {
  readonly #wire: Wire;
  readonly #request: TransactionRequest;
  readonly #done: (result: TransactionResult) => void;
  readonly #rcptReplies: string[] = [];
  #mailReply: string | null = null;
  #heard = false;
  #outOfStep = false;
  #dataRefusal: string | null = null;
  #sentBytes = 0;
  #afterDot = false;
  #finished = false;
  #fault: unknown = null;
  /** Lets a large message go on that waits for the far side to take what was written. */
  #goOn: () => void = () => {};

  constructor(wire: Wire, request: TransactionRequest, done: (result: TransactionResult) => void) {
    this.#wire = wire;
    this.#request = request;
    this.#done = done;
  }

  start(): void {
    const { mail, rcpts, reset, pipelining } = this.#request;
    if (this.#isOutOfStep()) return;
    const prefix = reset ? "RSET\r\n" : "";
    this.#wire.allow("mail");
    if (reset) this.#wire.expect((raw) => this.#onReset(raw));
    this.#wire.expect((raw) => this.#onMail(raw));
    if (!pipelining) {
      this.#wire.write(`${prefix}${mail}\r\n`);
      return;
    }
    const onRcpt = (raw: string): void => this.#onRcpt(raw);
    for (let n = 0; n < rcpts.length; n++) this.#wire.expect(onRcpt);
    this.#wire.expect((raw) => this.#onData(raw));
    this.#wire.write(`${prefix}${mail}\r\n${rcpts.join("\r\n")}\r\nDATA\r\n`);
  }

  /** The session broke: everything without a reply stays open. */
  fail(words: string): void {
    if (this.#dataRefusal !== null && !this.#outOfStep) this.#settle({ accepted: this.#dataRefusal });
    this.#finish(null, { lost: words, resetNext: false, close: true });
  }

  #onReset(raw: string): void {
    this.#heard = true;
    if (replyClass(raw) !== 2) this.fail(`RSET was answered with: ${parseReply(raw).text}`);
  }

  #onMail(raw: string): void {
    if (!this.#isReply(raw, "MAIL")) return;
    this.#mailReply = raw;
    if (this.#request.pipelining) return;
    if (replyClass(raw) !== 2) this.#settle();
    else this.#nextRcpt();
  }

  /** Before the next command: breaks off when a reply is in hand already. */
  #isOutOfStep(): boolean {
    if (!this.#wire.hasSurplus()) return false;
    this.#breakOff();
    return true;
  }

  /** It has spoken: a server that says too much is none whose TLS breaks. */
  #breakOff(words = OUT_OF_STEP): void {
    this.#heard = true;
    this.#outOfStep = true;
    this.fail(words);
  }

  #nextRcpt(): void {
    if (this.#isOutOfStep()) return;
    const next = this.#request.rcpts[this.#rcptReplies.length];
    this.#wire.allow(next === undefined ? "data" : "rcpt");
    if (next !== undefined) {
      this.#wire.expect((raw) => this.#onRcpt(raw));
      this.#wire.write(`${next}\r\n`);
    } else if (this.#anyAccepted()) {
      this.#wire.expect((raw) => this.#onData(raw));
      this.#wire.write("DATA\r\n");
    } else {
      this.#settle();
    }
  }

  #onRcpt(raw: string): void {
    if (!this.#isReply(raw, "RCPT")) return;
    this.#rcptReplies.push(raw);
    if (this.#request.pipelining) this.#wire.allow("rcpt");
    else this.#nextRcpt();
  }

  #onData(raw: string): void {
    if (!this.#isReply(raw, "DATA")) return;
    const goesOn = replyClass(raw) === 3;
    if (replyClass(raw) === 2) {
      // Not 354: taking this for success would lose the message. It answers something before, and so may what is taken for a refusal.
      this.#breakOff(`DATA was answered with "${parseReply(raw).text}" instead of 354`);
    } else if (this.#mailReply !== null && replyClass(this.#mailReply) !== 2) {
      // A server that refuses the sender and takes DATA is not to be trusted with an empty message.
      this.#settle({ close: goesOn });
    } else if (!this.#anyAccepted() && !goesOn) {
      this.#settle();
    } else if (!this.#anyAccepted()) {
      if (this.#wire.hasSurplus()) {
        this.#settle({ close: true });
        return;
      }
      // RFC 2920 §3.1: the message has to be ended although it goes to nobody.
      this.#wire.allow("final");
      this.#wire.expect(() => this.#settle({ resetNext: false }));
      this.#wire.write(".\r\n");
    } else if (goesOn && this.#isOutOfStep()) {
      return;
    } else if (goesOn) {
      this.#wire.expect((final) => this.#onFinal(final));
      this.#writeMessage();
    } else if (this.#request.pipelining) {
      this.#confirm(raw);
    } else {
      this.#settle({ accepted: raw });
    }
  }

  /** A refusal that came before DATA was read is the answer to something else: the real one comes in front of that to RSET. */
  #confirm(refusal: string): void {
    if (this.#isOutOfStep()) return;
    this.#dataRefusal = refusal;
    this.#wire.allow("rcpt");
    this.#wire.expect((raw) => {
      if (this.#finished) return;
      if (replyClass(raw) === 3) this.#breakOff();
      else if (!this.#isOutOfStep()) this.#settle({ accepted: refusal, resetNext: replyClass(raw) !== 2 });
    });
    this.#wire.write("RSET\r\n");
  }

  #writeMessage(): void {
    const { message } = this.#request;
    if (isLarge(message)) {
      void this.#writeLarge(message);
      return;
    }
    while (!this.#finished) {
      const piece = wirePiece(message, this.#sentBytes, PIECE_BYTES);
      this.#sentBytes = Math.min(message.length, this.#sentBytes + PIECE_BYTES);
      const isLast = this.#sentBytes === message.length;
      // A reply before the end of the message is no answer to it: without the end the server cannot take it.
      if (isLast && this.#wire.hasSurplus()) return;
      this.#afterDot = isLast;
      this.#wire.allow(isLast ? "final" : "block");
      const goOn = this.#wire.write(piece);
      if (isLast) return;
      if (goOn) continue;
      this.#wire.onDrain(() => this.#writeMessage());
      return;
    }
  }

  /** Never rejects. Returning early ends the reading of the file. */
  async #writeLarge(body: LargeBody): Promise<void> {
    try {
      for await (const { bytes, isLast } of wirePieces(body)) {
        if (this.#finished || (isLast && this.#wire.hasSurplus())) return;
        this.#afterDot = isLast;
        this.#wire.allow(isLast ? "final" : "block");
        if (this.#wire.write(bytes) || isLast) continue;
        await new Promise<void>((resolve) => {
          this.#goOn = resolve;
          this.#wire.onDrain(resolve);
        });
      }
    } catch (error) {
      this.#fault = error;
      this.fail("the message could not be read from the disk");
    }
  }

  #onFinal(raw: string): void {
    if (!this.#isReply(raw, "the message")) return;
    if (this.#afterDot) this.#settle({ accepted: raw, resetNext: false });
    // RFC 5321 has no reply before the end of the data; a refusal counts, the session is over either way.
    else if (replyClass(raw) > 3) this.#settle({ accepted: raw, close: true });
    else this.fail(`the server answered before the whole message was sent: ${parseReply(raw).text}`);
  }

  #isReply(raw: string, step: string): boolean {
    this.#heard = true;
    if (this.#finished) return false;
    if (replyClass(raw) !== 0) return true;
    this.fail(`${step} was answered with "${cleanText(raw.slice(0, 200))}", which is no SMTP reply`);
    return false;
  }

  #anyAccepted(): boolean {
    return this.#rcptReplies.some((raw) => replyClass(raw) === 2);
  }

  /** The refusal that already settled this recipient: of the sender, or its own. */
  #refusal(n: number): SettlingReply | null {
    const mail = this.#mailReply;
    if (mail !== null && replyClass(mail) !== 2) return { reply: parseReply(mail), toRcpt: false };
    const rcpt = this.#rcptReplies[n];
    return rcpt !== undefined && replyClass(rcpt) !== 2 ? { reply: parseReply(rcpt), toRcpt: true } : null;
  }

  /** Every recipient gets its reply; `accepted` is for those that RCPT accepted. */
  #settle(end: { accepted?: string; resetNext?: boolean; close?: boolean } = {}): void {
    const accepted = end.accepted === undefined ? null : { reply: parseReply(end.accepted), toRcpt: false };
    this.#finish(accepted, { lost: null, resetNext: end.resetNext ?? true, close: end.close ?? false });
  }

  #finish(
    accepted: SettlingReply | null,
    end: { readonly lost: string | null; readonly resetNext: boolean; readonly close: boolean },
  ): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#goOn();
    const replies = this.#request.rcpts.map((_, n) =>
      this.#outOfStep ? null : (this.#refusal(n) ?? accepted),
    );
    this.#done({
      replies,
      heard: this.#heard,
      outOfStep: this.#outOfStep,
      afterDot: this.#afterDot,
      fault: this.#fault,
      ...end,
    });
  }
}
