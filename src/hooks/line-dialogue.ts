// A dialogue of lines with a server that is asked something (IMAP, POP3, SMTP): bounded in line length, octets and time, over TLS or
// on the way there. Knows no protocol.
import { isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, TLSSocket } from "node:tls";

/** Longest line of a server, octets. */
const MAX_LINE_BYTES = 8192;
/** All a server may say, octets. */
const MAX_TOTAL_BYTES = 65_536;

const GOODBYE_MS = 1000;

/** The dialogue came to no answer. The message says what was waited for or what is wrong, for the administrator. */
export class DialogueError extends Error {
  override readonly name = "DialogueError";
}

export interface SecureOptions {
  /** For SNI and the judgement of the certificate; an IP address when the server has no name. */
  readonly serverName: string;
  readonly verify: boolean;
  /** Further trusted certificates (PEM). */
  readonly trusted: readonly string[] | null;
}

export class LineDialogue {
  #socket: Socket;
  #received = "";
  #total = 0;
  #waiting: { resolve(line: string): void; reject(error: Error): void } | null = null;
  #failure: DialogueError | null = null;

  /** `socket` is connected. `signal` ends the dialogue, its reason being the words. */
  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#listen(socket);
    const late = () => this.#fail(String(signal.reason));
    if (signal.aborted) late();
    else signal.addEventListener("abort", late, { once: true });
  }

  /** The next line, without its end. Octets are characters (Latin-1). */
  line(): Promise<string> {
    const end = this.#received.indexOf("\n");
    if (end >= 0) {
      const line = this.#received.slice(0, end).replace(/\r$/, "");
      this.#received = this.#received.slice(end + 1);
      return Promise.resolve(line);
    }
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Sends a command; `line` is without its end. */
  send(line: string): void {
    this.write(`${line}\r\n`);
  }

  /** Sends text as UTF-8, without a line end. */
  write(text: string): void {
    if (this.#failure === null) this.#socket.write(text, "utf8");
  }

  /** The TLS handshake, and the judgement of the certificate. */
  async secure(options: SecureOptions): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    // Said before the handshake, by whoever sits in between: it must not be taken for words of the server (RFC 3207 §6).
    if (this.#received !== "") throw new DialogueError("the server goes on talking before TLS has begun");
    const plain = this.#socket;
    plain.removeAllListeners("data");
    const { serverName, trusted } = options;
    const secured = connectTls({
      socket: plain,
      // The certificate is judged below, where chain and name are both known.
      rejectUnauthorized: false,
      ...(isIP(serverName) !== 0 ? {} : { servername: serverName }),
      ...(trusted === null ? {} : { ca: [...trusted] }),
    });
    this.#socket = secured;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A close or a time-out during the handshake settles it too.
    this.#waiting = { resolve: () => {}, reject };
    secured.once("secureConnect", () => resolve());
    this.#listen(secured);
    await promise;
    this.#waiting = null;
    const problem = options.verify ? certificateProblem(secured, serverName) : null;
    if (problem !== null) throw new DialogueError(problem);
  }

  /** Is the line secret enough for a password? */
  get encrypted(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** Says a last line when that is still possible, and closes. Resolves when the server has closed too, or took too long to. */
  end(goodbye: string): Promise<void> {
    const socket = this.#socket;
    if (this.#failure !== null || socket.destroyed) return Promise.resolve();
    this.#failure = new DialogueError("the dialogue is over");
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.end(`${goodbye}\r\n`);
    return promise;
  }

  #listen(socket: Socket): void {
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", (error: Error) => this.#fail(`the connection broke: ${error.message}`));
    socket.on("close", () => this.#fail("the server closed the connection without an answer"));
  }

  #take(bytes: Buffer): void {
    if (this.#failure !== null) return;
    this.#total += bytes.length;
    this.#received += bytes.toString("latin1");
    const tooLong = this.#received.length > MAX_LINE_BYTES && longestLine(this.#received) > MAX_LINE_BYTES;
    if (tooLong || this.#total > MAX_TOTAL_BYTES) {
      this.#fail("the server talks without end; is it a mail server?");
      return;
    }
    const waiting = this.#waiting;
    if (waiting === null || !this.#received.includes("\n")) return;
    this.#waiting = null;
    this.line().then(waiting.resolve, waiting.reject);
  }

  #fail(words: string): void {
    if (this.#failure !== null) return;
    this.#failure = new DialogueError(words);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(this.#failure);
    this.#socket.destroySoon();
  }
}

function longestLine(text: string): number {
  return text.split("\n").reduce((longest, line) => Math.max(longest, line.length), 0);
}

/** Why the certificate does not prove the name, or null. */
function certificateProblem(socket: TLSSocket, serverName: string): string | null {
  if (!socket.authorized)
    return `its certificate is not trusted (${String(socket.authorizationError)}); give it one of a known authority, or set verify_certificate = false`;
  const mismatch = checkServerIdentity(serverName, socket.getPeerCertificate());
  return mismatch === undefined ? null : `its certificate is for another name: ${mismatch.message}`;
}
