// One SMTP session with a far server, over a socket that is already connected. nodemailer's SMTPConnection does the greeting,
// EHLO, STARTTLS and AUTH; replies are split here, so that all read them alike; transactions are ours, because its send() has no DSN parameters per
// recipient, no SMTPUTF8 by choice, copies every byte in a loop and takes twice the time.
import { isIP, type Socket } from "node:net";
import { checkServerIdentity, TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { TlsInfo } from "../message/envelope.ts";
import { hasMark } from "./own-mark.ts";
import { type ProbeResult, RecipientProbe } from "./recipient-probe.ts";
import {
  cleanText,
  parseReply,
  type RemoteReply,
  readReplyLine,
  replyClass,
  usualForm,
} from "./remote-reply.ts";
import type { DeliveryTimeouts } from "./timeouts.ts";
import {
  type Step,
  Transaction,
  type TransactionRequest,
  type TransactionResult,
  type Wire,
} from "./transaction.ts";

export interface SessionOptions {
  /** Connected, not yet read from. */
  readonly socket: Socket;
  /** The server's name for SNI and for the judgement of its certificate; an IP address when it has none. */
  readonly serverName: string;
  /** Our name for EHLO. */
  readonly hostname: string;
  readonly tls: "none" | "starttls-if-offered" | "starttls" | "implicit";
  /** Further trusted certificates (PEM), or null for the built-in ones alone. */
  readonly trusted: readonly string[] | null;
  readonly timeouts: DeliveryTimeouts;
  /** No step goes beyond this, by `performance.now()`. */
  readonly deadlineAt: number;
}

/** Why a session could not be opened or was lost. */
export interface SessionFailure {
  readonly words: string;
  /** The far side's reply, when it was one. */
  readonly reply: RemoteReply | null;
  /** It broke from STARTTLS to the end of the EHLO behind it. */
  readonly duringTls: boolean;
  /** False: the server was never reached. */
  readonly connected: boolean;
  /** It is this gateway itself. */
  readonly loops?: true;
}

/** What the server offered with EHLO. `maxBytes` is 0 without a limit. */
export interface Extensions {
  readonly pipelining: boolean;
  readonly size: boolean;
  readonly maxBytes: number;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
}

const MAX_REPLY_BYTES = 65_536;
const CLOSE_GRACE_MS = 2000;
const NON_ASCII = /[^\u0000-\u007f]/;
// The deadlines of the steps are ours; this one only stops nodemailer from having its own.
const NO_SOCKET_TIMEOUT_MS = 2 ** 31 - 1;

const STEP_WORDS: Readonly<Record<Step, string>> = {
  mail: "reply to MAIL",
  rcpt: "reply to RCPT",
  data: "reply to DATA",
  block: "progress in taking the message",
  final: "reply to the message",
};

interface SmtpError {
  readonly message?: string | undefined;
  readonly code?: string | undefined;
  readonly response?: string | undefined;
}

/** A session; `deadlineAt` is kept for a DeadlineWatch, which calls `expire`. */
export class SmtpSession extends SMTPConnection implements Wire {
  // Internals of SMTPConnection 10.6.0 (the version is pinned): the handlers of the next replies, what EHLO offered, and what came
  // from the socket and is no whole line, or a whole reply nobody has looked at.
  declare readonly _responseActions: ((raw: string) => void)[];
  declare readonly _supportedExtensions: readonly string[];
  declare readonly _maxAllowedSize: number;
  declare _remainder: string;
  declare readonly _responseQueue: string[];
  declare readonly _destroyed: boolean;
  declare readonly _plaintextEhlo: string | false | undefined;
  declare readonly _processResponse: () => void;
  declare readonly _onResponseTooLarge: () => void;

  /** By `performance.now()`. */
  deadlineAt: number;
  /** No step may go beyond this, by `performance.now()`. */
  attemptDeadlineAt: number;
  /** Set by the first failure or by closing; the session is over then. */
  failure: SessionFailure | null = null;
  /** Called once when the session is over. */
  onOver: () => void = () => {};
  transactions = 0;
  tlsInfo: TlsInfo | null = null;
  extensions: Extensions | null = null;

  readonly #options: SessionOptions;
  /** The exchange under way: told when the session breaks. */
  #exchange: { fail(words: string): void } | null = null;
  /** The reply to EHLO, when the session is open. */
  #ehlo = "";
  #resetNext = false;
  /** null: nothing, the session rests. */
  #waitingFor: string | null = "greeting, or no end of the TLS handshake";
  #settleOpen: ((failure: SessionFailure | null) => void) | null = null;
  /** The lines of a reply that is not whole yet. */
  #lines: string[] = [];
  #linesLength = 0;
  /** Where they came from: what was said before TLS is forgotten with the socket (RFC 3207 §6). */
  #linesOf: unknown = null;
  #greeted = false;

  constructor(options: SessionOptions) {
    const { serverName, timeouts } = options;
    super({
      connection: options.socket,
      host: serverName,
      name: options.hostname,
      secure: options.tls === "implicit",
      ignoreTLS: options.tls === "none",
      requireTLS: options.tls === "starttls",
      opportunisticTLS: options.tls === "starttls-if-offered",
      // The certificate is judged after the handshake, where chain and name are both known.
      tls: {
        rejectUnauthorized: false,
        ...(isIP(serverName) !== 0 ? {} : { servername: serverName }),
        ...(options.trusted === null ? {} : { ca: [...options.trusted] }),
      },
      connectionTimeout: timeouts.greeting,
      greetingTimeout: timeouts.greeting,
      socketTimeout: NO_SOCKET_TIMEOUT_MS,
      socketCloseTimeout: CLOSE_GRACE_MS,
      maxResponseSize: MAX_REPLY_BYTES,
    });
    this.#options = options;
    this.attemptDeadlineAt = options.deadlineAt;
    this.deadlineAt = Math.min(performance.now() + timeouts.greeting, options.deadlineAt);
    this.on("error", (error: SmtpError) => this.#over(error));
    this.on("end", () => this.#over({ message: "the server closed the connection" }));
  }

  /** Greeting, EHLO and TLS. Resolves to null when the session is ready. */
  open(): Promise<SessionFailure | null> {
    return new Promise((resolve) => {
      this.#settleOpen = (failure) => {
        this.#settleOpen = null;
        resolve(failure);
      };
      this.connect((error) => {
        if (error === undefined) {
          this.#ehlo = String(this.lastServerResponse);
          this.extensions = this.#readExtensions();
          this.tlsInfo = this.#readTls();
          this.#settleOpen?.(null);
        } else {
          this.#over(error);
        }
      });
    });
  }

  /** AUTH with the best mechanism the server offers. Resolves to null when it was accepted. */
  authenticate(login: { readonly user: string; readonly password: string }): Promise<SessionFailure | null> {
    this.#allowFor("reply to AUTH", this.#options.timeouts.command);
    return new Promise((resolve) => {
      this.#settleOpen = (failure) => {
        this.#settleOpen = null;
        resolve(failure);
      };
      this.login({ user: login.user, pass: login.password }, (error) => {
        if (error === null) this.#settleOpen?.(null);
        else this.#over(error);
      });
    });
  }

  /** Is it the gateway with this mark? Right after `open`. */
  isMarked(mark: string): boolean {
    return hasMark(this.#ehlo, mark);
  }

  /** Why the server's certificate does not prove its name, or null when it does. */
  certificateProblem(): string | null {
    const socket = this._socket;
    if (!(socket instanceof TLSSocket)) return "the connection is not encrypted";
    if (!socket.authorized) return `its certificate is not trusted: ${String(socket.authorizationError)}`;
    const mismatch = checkServerIdentity(this.#options.serverName, socket.getPeerCertificate());
    return mismatch === undefined ? null : mismatch.message;
  }

  /** Runs one transaction. One at a time; never rejects. */
  transact(request: Omit<TransactionRequest, "reset" | "pipelining">): Promise<TransactionResult> {
    this.transactions++;
    return new Promise((resolve) => {
      const whole = { ...request, reset: this.#resetNext, pipelining: this.extensions?.pipelining === true };
      const transaction = new Transaction(this, whole, (result) => {
        this.#exchange = null;
        this.#resetNext = result.resetNext;
        if (result.close) this.close();
        resolve(result);
      });
      this.#exchange = transaction;
      if (this.failure === null) transaction.start();
      else transaction.fail(this.failure.words);
    });
  }

  /** Asks whether mail for these addresses would be taken. One exchange at a time; never rejects. */
  probe(addresses: readonly string[]): Promise<ProbeResult> {
    this.transactions++;
    return new Promise((resolve) => {
      const request = {
        addresses,
        pipelining: this.extensions?.pipelining === true,
        smtpUtf8: this.extensions?.smtpUtf8 === true && addresses.some((address) => NON_ASCII.test(address)),
      };
      const probe = new RecipientProbe(this, request, (result) => {
        this.#exchange = null;
        if (result.close) this.close();
        resolve(result);
      });
      this.#exchange = probe;
      if (this.failure === null) probe.start();
      else probe.fail(this.failure.words);
    });
  }

  /**
   * In place of SMTPConnection's own: it waits for a space or a hyphen after the code, and takes a second line without a code for
   * the end of a reply. Octets are characters until a reply is whole.
   */
  _onData(chunk: Buffer): void {
    if (this._destroyed) return;
    if (this.#linesOf !== this._socket) this.#forgetLines();
    this.#linesOf = this._socket;
    const data = chunk.toString("latin1");
    if (!data.includes("\n")) {
      this._remainder += data;
    } else {
      const lines = (this._remainder + data).split(/\r?\n/);
      this._remainder = lines.pop() ?? "";
      for (const line of lines) this.#takeLine(line);
    }
    if (this._remainder.length + this.#linesLength > MAX_REPLY_BYTES) this._onResponseTooLarge();
    else if (this._responseQueue.length > 0) this._processResponse();
  }

  #takeLine(line: string): void {
    const read = readReplyLine(line);
    this.#linesLength += line.length;
    this.#lines.push(line);
    // Within a reply of several lines, one without a code is text of it.
    if (read === null ? this.#lines.length > 1 : read.more) return;
    const reply = usualForm(this.#lines);
    // Any 2yz greets; SMTPConnection looks for 220.
    const greets = !this.#greeted && replyClass(reply) === 2;
    if (reply !== "") this.#greeted = true;
    this._responseQueue.push(greets ? `220${reply.slice(3)}` : reply);
    this.#forgetLines();
  }

  #forgetLines(): void {
    this.#lines = [];
    this.#linesLength = 0;
  }

  expect(onReply: (raw: string) => void): void {
    this._responseActions.push(onReply);
  }

  write(bytes: Buffer | string): boolean {
    const socket = this._socket;
    return !socket || socket.destroyed ? true : socket.write(bytes);
  }

  hasSurplus(): boolean {
    return this._remainder !== "" || this._responseQueue.some((raw) => raw.trim() !== "");
  }

  onDrain(go: () => void): void {
    if (this._socket) this._socket.once("drain", go);
  }

  allow(step: Step): void {
    this.#allowFor(STEP_WORDS[step], this.#options.timeouts[step]);
  }

  /** No work for now: the session leaves when `idleMs` are over. */
  rest(idleMs: number): void {
    this.attemptDeadlineAt = Number.POSITIVE_INFINITY;
    this.#allowFor(null, idleMs);
  }

  /** For the DeadlineWatch: the far side took too long, or the session has rested long enough. */
  expire(): void {
    if (this.#waitingFor === null) this.leave();
    else this.#over({ message: `the server took too long: no ${this.#waitingFor}`, code: "ETIMEDOUT" });
  }

  /** QUIT, then the end, at the latest after a short grace. */
  leave(): void {
    if (this.failure !== null) return;
    this.failure = { words: "the connection was closed", reply: null, duringTls: false, connected: true };
    this.quit();
    setTimeout(() => this.close(), CLOSE_GRACE_MS).unref();
  }

  /** Ends at once: neither QUIT nor the far side's end of the connection is waited for. */
  cut(): void {
    this.failure ??= { words: "the connection was closed", reply: null, duringTls: false, connected: true };
    const socket = this._socket;
    this.close();
    if (socket) socket.destroy();
  }

  #allowFor(waitingFor: string | null, ms: number): void {
    this.#waitingFor = waitingFor;
    this.deadlineAt = Math.min(performance.now() + ms, this.attemptDeadlineAt);
  }

  #readExtensions(): Extensions {
    const has = (name: string): boolean => this._supportedExtensions.includes(name);
    return {
      pipelining: has("PIPELINING"),
      size: has("SIZE"),
      maxBytes: this._maxAllowedSize,
      // RFC 6531 §3.1 (8): who offers SMTPUTF8 has to take 8 bits, and some do not say so.
      eightBitMime: has("8BITMIME") || has("SMTPUTF8"),
      smtpUtf8: has("SMTPUTF8"),
      dsn: has("DSN"),
      requireTls: has("REQUIRETLS"),
    };
  }

  #readTls(): TlsInfo | null {
    const socket = this._socket;
    if (!(socket instanceof TLSSocket)) return null;
    const cipher: { readonly name: string } | undefined = socket.getCipher();
    return { protocol: socket.getProtocol() ?? "TLS", cipher: cipher?.name ?? "unknown" };
  }

  /** The session is not open yet, and STARTTLS was sent. */
  #isAtStartTls(): boolean {
    if (this.#settleOpen === null || this.#options.tls === "implicit") return false;
    return typeof this._plaintextEhlo === "string" || this.upgrading === true || this.secure;
  }

  #over(error: SmtpError): void {
    if (this.failure === null) {
      const duringTls = error.code === "ETLS" || this.#isAtStartTls();
      const reply = error.response === undefined ? null : parseReply(error.response);
      this.failure = {
        words: cleanText(error.message ?? "the connection broke"),
        reply,
        duringTls,
        connected: true,
      };
    }
    const failure = this.failure;
    this.close();
    this.#settleOpen?.(failure);
    this.#exchange?.fail(failure.words);
    this.onOver();
  }
}
