// Questions and answers over UDP: shared connected sockets, changed often so that source ports stay hard to guess.
// It judges whether a datagram answers a question; what the answer means is the resolver's business.
import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import {
  encodeQuery,
  type Manner,
  type QueryAnswer,
  type QueryType,
  readAnswer,
  type SentQuery,
} from "./query-message.ts";
import type { DnsServerAddress } from "./server-address.ts";

export interface Question {
  readonly name: string;
  readonly type: QueryType;
  readonly manner: Manner;
}

/** Why there was no usable answer: a sentence for the log. `silent`: nothing came back at all, which may be the name's fault alone. */
export interface NoAnswer {
  readonly failed: string;
  readonly silent?: true;
}

export interface UdpExchange {
  ask(server: DnsServerAddress, question: Question, timeoutMs: number): Promise<QueryAnswer | NoAnswer>;
  close(): void;
}

interface Waiting {
  readonly query: SentQuery;
  settle(result: QueryAnswer | NoAnswer): void;
}

const QUESTIONS_PER_SOCKET = 64;

/** One connected socket: the kernel drops datagrams from anybody but the server. */
class SharedSocket {
  readonly #waiting = new Map<number, Waiting>();
  readonly #socket: Socket;
  readonly #ready: Promise<boolean>;
  #asked = 0;
  #closed = false;

  constructor(server: DnsServerAddress) {
    this.#socket = createSocket(server.family === 4 ? "udp4" : "udp6");
    this.#socket.unref();
    this.#socket.on("message", (message) => this.#receive(message));
    this.#ready = new Promise((resolve) => {
      this.#socket.on("error", (error) => {
        resolve(false);
        this.#fail(`${server.host}:${server.port} cannot be reached: ${error.message}`);
      });
      this.#socket.connect(server.port, server.host, () => resolve(true));
    });
  }

  /** False when a fresh socket has to be made for the next question. */
  get usable(): boolean {
    return !this.#closed && this.#asked < QUESTIONS_PER_SOCKET;
  }

  get closed(): boolean {
    return this.#closed;
  }

  ask(question: Question, timeoutMs: number): Promise<QueryAnswer | NoAnswer> {
    this.#asked++;
    let id = randomInt(65_536);
    while (this.#waiting.has(id)) id = randomInt(65_536);
    const query = encodeQuery({ id, ...question });
    return new Promise((resolve) => {
      const settle = (result: QueryAnswer | NoAnswer): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(result);
        if (!this.usable && this.#waiting.size === 0) this.close();
      };
      const timer = setTimeout(
        () => settle({ failed: `no answer within ${timeoutMs} ms`, silent: true }),
        timeoutMs,
      );
      this.#waiting.set(id, { query, settle });
      void this.#ready.then((connected) => {
        if (connected && !this.#closed) this.#socket.send(query.bytes);
      });
    });
  }

  #receive(message: Buffer): void {
    if (message.length < 2) return;
    const waiting = this.#waiting.get(message.readUInt16BE(0));
    if (waiting === undefined) return;
    const answer = readAnswer(message, waiting.query);
    // Not an answer to our question: a forgery or a stray; the real one may still come.
    if (answer !== null) waiting.settle(answer);
  }

  #fail(words: string): void {
    this.#asked = QUESTIONS_PER_SOCKET;
    for (const waiting of [...this.#waiting.values()]) waiting.settle({ failed: words });
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of [...this.#waiting.values()]) waiting.settle({ failed: "the resolver was closed" });
    this.#socket.close();
  }
}

/** Makes the exchange. Its sockets do not keep the process alive. */
export function createUdpExchange(): UdpExchange {
  const current = new Map<DnsServerAddress, SharedSocket>();
  const open = new Set<SharedSocket>();
  let closed = false;
  return {
    ask(server, question, timeoutMs) {
      if (closed) return Promise.resolve({ failed: "the resolver was closed" });
      let socket = current.get(server);
      if (socket === undefined || !socket.usable) {
        socket = new SharedSocket(server);
        current.set(server, socket);
        open.add(socket);
        for (const other of open) if (other.closed) open.delete(other);
      }
      return socket.ask(question, timeoutMs);
    },
    close() {
      closed = true;
      for (const socket of open) socket.close();
    },
  };
}
