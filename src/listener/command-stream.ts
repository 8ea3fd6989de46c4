// Cuts a client's octets into command lines and bodies and hands them on in order. Replaces smtp-server's parser, which takes
// bare LF for a line end, looks at each octet of a body in turn and copies it. Bounded: an unfinished line is all it holds.
import { SMTPStream } from "smtp-server/lib/smtp-stream";
import type { BodyCollector } from "../session/body-collector.ts";
import { MAX_AUTH_LINE_BYTES } from "../session/take-line.ts";

/** What the stream tells its connection. A promise holds the stream until it is settled; it must not reject. */
export interface StreamReader {
  /** Octets arrived; false: drop them and all that follow. */
  onInput(): boolean;
  /** The first octets, where a PROXY header may stand. -1: more are needed. Otherwise how many to skip. */
  onFirst(bytes: Buffer): number;
  /** A line without its CRLF. */
  onLine(line: Buffer): Promise<void> | undefined;
  /** A line that no CRLF ends, or none in sight: the connection is beyond repair. */
  onBrokenLine(flaw: "bare-lf" | "too-long"): void;
  onBodyEnd(body: BodyCollector): Promise<void>;
  /** Sends what was answered; `go` is called once the client takes it. */
  flush(go: () => void): void;
}

const LF = 10;
const CR = 13;
const EMPTY: Buffer = Buffer.alloc(0);
/** Lines between two pauses: one client's pipelined commands must not stall the others. */
const LINES_AT_ONCE = 100;

export class CommandStream extends SMTPStream {
  /** Set while a body is read. */
  body: BodyCollector | null = null;
  /** The next octets are the first of the connection and a PROXY header may stand there. */
  expectsProxy = false;
  readonly #reader: StreamReader;
  #held = EMPTY;

  constructor(reader: StreamReader) {
    super();
    this.#reader = reader;
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding | "buffer",
    next: (err?: Error | null) => void,
  ): void {
    if (this.isClosed || !this.#reader.onInput()) {
      next();
      return;
    }
    const held = this.#held;
    this.#held = EMPTY;
    const input = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const start = this.#skipProxyHeader(input);
    if (start < 0) next();
    else this.#run(input, start, next);
  }

  #skipProxyHeader(input: Buffer): number {
    if (!this.expectsProxy) return 0;
    const length = this.#reader.onFirst(input);
    if (length < 0) this.#held = input;
    else this.expectsProxy = false;
    return length;
  }

  #run(input: Buffer, start: number, next: () => void): void {
    let at = start;
    for (let lines = 0; at < input.length && !this.isClosed; lines++) {
      if (lines >= LINES_AT_ONCE) {
        this.#reader.flush(() => setImmediate(() => this.#run(input, at, next)));
        return;
      }
      let pending: Promise<void> | undefined;
      if (this.body !== null) {
        const used = this.body.push(at === 0 ? input : input.subarray(at));
        if (used < 0) {
          // The client waits while the disk is slower than it, and while other large bodies have their turn.
          const behind = this.body.ready();
          if (behind === null) break;
          void behind.then(() => this.#reader.flush(next));
          return;
        }
        at += used;
        const body = this.body;
        this.body = null;
        pending = this.#reader.onBodyEnd(body);
      } else {
        const end = input.indexOf(LF, at);
        if (end < 0) {
          this.#hold(input, at);
          break;
        }
        if (end === at || input[end - 1] !== CR) {
          this.#reader.onBrokenLine("bare-lf");
          break;
        }
        pending = this.#reader.onLine(input.subarray(at, end - 1));
        at = end + 1;
      }
      if (pending !== undefined) {
        this.#reader.flush(() => {});
        void pending.then(() => this.#run(input, at, next));
        return;
      }
    }
    this.#reader.flush(next);
  }

  #hold(input: Buffer, at: number): void {
    // A copy: a view would keep the whole chunk alive as long as the client dawdles.
    if (input.length - at > MAX_AUTH_LINE_BYTES) this.#reader.onBrokenLine("too-long");
    else this.#held = Buffer.from(input.subarray(at));
  }
}
