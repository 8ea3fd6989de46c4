// One question to a clamd and its answer, over a connection of its own. Bun's own sockets, not node:net: those throw an answer away that lies
// there when a write breaks, and clamd answers "too large" or "my disk is full" in the middle of a message and closes (clamd(8), INSTREAM).
import type { Socket } from "bun";
import { bytesInWords } from "../observe/size-words.ts";

export interface ClamdHook {
  readonly name: string;
  /** `host:port` or `unix:/path`. */
  readonly address: string;
  readonly timeoutMs: number;
}

type Frames = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

// "stream: NAME FOUND" with room to spare; a longer answer comes from something that is no clamd.
const MAX_REPLY = 4096;
/** Nobody can call a connection off that is not there yet, and the kernel tries for minutes: not more than so many may be left to it. */
const MAX_OVERDUE = 20;

/** Connections nobody waits for any more that the kernel still tries to make, for each address. */
const overdue = new Map<string, number>();

/** The daemon, as words name it. */
export function clamdName(hook: ClamdHook): string {
  return `clamd "${hook.name}" at ${hook.address}`;
}

export function quoted(text: string): string {
  return `"${text.slice(0, 120).replace(/[^\x20-\x7e]/g, "?")}"`;
}

/** Sends the frames and resolves to the answer without its NUL, whenever it comes. @throws Error that says how it ended without one. */
export async function askClamd(hook: ClamdHook, frames: Frames, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (words: string, cause?: unknown) =>
    reject(new Error(`${clamdName(hook)} ${words}`, cause === undefined ? undefined : { cause }));
  const line = new Line();
  let answer = "";
  let socket: Socket | null = null;
  const ended = (error?: unknown) => {
    line.close();
    fail(endWords(answer, line.sent), error);
  };
  const giveUp = () =>
    fail(
      socket === null
        ? "took no connection in time; is its machine up, and is this its address?"
        : "gave no answer in time; it hangs, or has too much to do",
    );
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  const over = promise.finally(() => {
    signal.removeEventListener("abort", giveUp);
    line.close();
    socket?.terminate();
  });
  over.catch(() => {});

  open(hook.address, signal, {
    open(opened) {
      socket = opened;
      line.sendAll(opened, frames).catch(reject);
    },
    data(_, octets) {
      answer += octets.toString("latin1");
      const end = answer.indexOf("\0");
      if (end >= 0) resolve(answer.slice(0, end).trim());
      else if (answer.length > MAX_REPLY) fail("answers without end; is this a clamd?");
    },
    drain: () => line.drained(),
    end: () => ended(),
    close: (_, error) => ended(error),
    error: (_, error) => ended(error),
  }).catch((error: unknown) => fail(refusalWords(error), error));
  return over;
}

interface Handlers {
  open(socket: Socket): void;
  data(socket: Socket, octets: Buffer): void;
  drain(): void;
  end(): void;
  close(socket: Socket, error?: Error): void;
  error(socket: Socket, error: Error): void;
}

/** Resolves when the connection is there, or is no more wanted. */
async function open(address: string, signal: AbortSignal, handlers: Handlers): Promise<void> {
  if (signal.aborted) return;
  if ((overdue.get(address) ?? 0) >= MAX_OVERDUE) throw new Error("it takes no connection");
  let isLate = false;
  const late = () => {
    isLate = true;
    count(address, 1);
  };
  signal.addEventListener("abort", late, { once: true });
  const socket = {
    ...handlers,
    open(opened: Socket) {
      signal.removeEventListener("abort", late);
      if (isLate) opened.terminate();
      else handlers.open(opened);
    },
  };
  try {
    if (address.startsWith("unix:"))
      await Bun.connect({ unix: address.slice("unix:".length), allowHalfOpen: true, socket });
    else await Bun.connect({ ...hostAndPort(address), allowHalfOpen: true, socket });
  } finally {
    signal.removeEventListener("abort", late);
    if (isLate) count(address, -1);
  }
}

function count(address: string, by: number): void {
  const now = (overdue.get(address) ?? 0) + by;
  if (now > 0) overdue.set(address, now);
  else overdue.delete(address);
}

function hostAndPort(address: string): { readonly hostname: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return {
    hostname: address.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(colon + 1)),
  };
}

/** What is sent, no faster than the daemon takes it: a large message is read as it goes. */
class Line {
  /** Octets the kernel has taken. */
  sent = 0;
  #closed = false;
  #wake: () => void = () => {};

  /** Resolves also when the other side takes no more: what it has said comes of itself. Rejects when the message cannot be read. */
  async sendAll(socket: Socket, frames: Frames): Promise<void> {
    for await (const frame of frames) {
      let rest = frame;
      while (rest.length > 0) {
        if (this.#closed) return;
        const taken = socket.write(rest);
        if (taken < 0) return;
        this.sent += taken;
        rest = rest.subarray(taken);
        if (rest.length > 0) await this.#drain();
      }
    }
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  drained(): void {
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }
}

/** How a connection that was there ended without a whole answer. */
function endWords(answer: string, sent: number): string {
  if (answer !== "") return `closed the connection after ${quoted(answer)}, without a whole answer`;
  return `closed the connection without a word after ${bytesInWords(sent)} were sent; its log may say why`;
}

function refusalWords(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "EACCES" || code === "EPERM")
    return `cannot be asked (${code}): the user of this gateway may not open its socket; see LocalSocketMode and LocalSocketGroup in its clamd.conf`;
  const reason = code === "" ? (error instanceof Error ? error.message : String(error)) : code;
  return `cannot be asked (${reason}); is it running, and is this its address?`;
}
