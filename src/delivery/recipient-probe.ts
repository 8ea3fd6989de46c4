// Asks a server whether it would take mail for some addresses: MAIL FROM:<>, RCPT, RSET. Nothing is sent.
import { cleanText, parseReply, type RemoteReply, replyClass } from "./remote-reply.ts";
import { OUT_OF_STEP, type Wire } from "./transaction.ts";

export interface ProbeResult {
  /** The reply for each address in order; null where none came. */
  readonly replies: readonly (RemoteReply | null)[];
  /** Why there are none: MAIL was refused, or the session broke. */
  readonly trouble: string | null;
  /** The session must not be used again. */
  readonly close: boolean;
}

export interface ProbeRequest {
  readonly addresses: readonly string[];
  readonly pipelining: boolean;
  readonly smtpUtf8: boolean;
}

const SERVICE_CLOSING = 421;

/** One exchange on an open session; `done` is called exactly once, and the session is ready for the next then. */
export class RecipientProbe {
  readonly #wire: Wire;
  readonly #request: ProbeRequest;
  readonly #done: (result: ProbeResult) => void;
  readonly #replies: RemoteReply[] = [];
  #trouble: string | null = null;
  #mailRefused = false;
  #outOfStep = false;
  #finished = false;

  constructor(wire: Wire, request: ProbeRequest, done: (result: ProbeResult) => void) {
    this.#wire = wire;
    this.#request = request;
    this.#done = done;
  }

  start(): void {
    const { addresses, pipelining, smtpUtf8 } = this.#request;
    if (this.#isOutOfStep()) return;
    const mail = `MAIL FROM:<>${smtpUtf8 ? " SMTPUTF8" : ""}`;
    this.#wire.allow("rcpt");
    this.#wire.expect((raw) => this.#onMail(raw));
    if (!pipelining) {
      this.#wire.write(`${mail}\r\n`);
      return;
    }
    for (let n = 0; n < addresses.length; n++) this.#wire.expect((raw) => this.#onRcpt(raw));
    this.#wire.expect((raw) => this.#onReset(raw));
    const rcpts = addresses.map((address) => `RCPT TO:<${address}>\r\n`).join("");
    this.#wire.write(`${mail}\r\n${rcpts}RSET\r\n`);
  }

  /** The session broke. What was answered before still counts. */
  fail(words: string): void {
    this.#trouble ??= words;
    this.#finish();
  }

  #onMail(raw: string): void {
    this.#mailRefused = replyClass(raw) !== 2;
    if (this.#mailRefused) this.#trouble = `MAIL FROM:<> was refused: ${parseReply(raw).text}`;
    if (!this.#request.pipelining) this.#next();
  }

  #onRcpt(raw: string): void {
    if (replyClass(raw) === 0) {
      this.#trouble = `RCPT was answered with "${cleanText(raw.slice(0, 200))}", which is no SMTP reply`;
    } else {
      this.#replies.push(parseReply(raw));
    }
    if (!this.#request.pipelining) this.#next();
  }

  /** A server that answers the reset with something else answered an earlier command twice. */
  #onReset(raw: string): void {
    if (replyClass(raw) !== 2 && parseReply(raw).code !== SERVICE_CLOSING) this.#breakOff();
    else if (!this.#isOutOfStep()) this.#finish();
  }

  #isOutOfStep(): boolean {
    if (!this.#wire.hasSurplus()) return false;
    this.#breakOff();
    return true;
  }

  /** Which reply answers which address cannot be told. */
  #breakOff(): void {
    this.#outOfStep = true;
    this.#trouble = OUT_OF_STEP;
    this.#finish();
  }

  #next(): void {
    if (this.#isOutOfStep()) return;
    const address = this.#request.addresses[this.#replies.length];
    const isOver = this.#trouble !== null || address === undefined;
    this.#wire.allow("rcpt");
    this.#wire.expect((raw) => (isOver ? this.#onReset(raw) : this.#onRcpt(raw)));
    this.#wire.write(isOver ? "RSET\r\n" : `RCPT TO:<${address}>\r\n`);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    // After a refused MAIL the replies to RCPT say "MAIL first", which is nothing about the addresses.
    const replyAt = (n: number): RemoteReply | null =>
      this.#mailRefused || this.#outOfStep ? null : (this.#replies[n] ?? null);
    const replies = this.#request.addresses.map((_, n) => replyAt(n));
    this.#done({ replies, trouble: this.#trouble, close: this.#outOfStep });
  }
}
