// ClamAV's daemon as a check, by its INSTREAM command (clamd(8)). One connection per message. It says what it found and decides nothing.
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Check } from "../checks/check.ts";
import type { MessageBody } from "../message/body.ts";
import type { Finding } from "../rules/fact.ts";
import { bodyPieces } from "../store/body-file.ts";

export interface ClamdHook {
  readonly name: string;
  /** `host:port` or `unix:/path`. */
  readonly address: string;
  readonly timeoutMs: number;
}

// "stream: NAME FOUND" with room to spare; a longer answer comes from something that is no clamd.
const MAX_REPLY = 4096;
const SIZE_EXCEEDED = /size limit exceeded/i;

/** The check `clamd`: facts `clamd.found` and `clamd.signature`. Its run rejects when the daemon gives no clear answer. */
export function createClamdCheck(hook: ClamdHook): Check {
  return {
    name: "clamd",
    facts: ["clamd.found", "clamd.signature"],
    timeoutMs: hook.timeoutMs,
    async run({ raw, signal }) {
      return findingsOf(await converse(hook, streamFrames(raw), signal), hook);
    },
  };
}

/** The command, the message in frames with their lengths, and the empty frame at its end. */
async function* streamFrames(body: MessageBody): AsyncGenerator<Uint8Array> {
  yield Buffer.from("zINSTREAM\0");
  for await (const piece of bodyPieces(body)) {
    if (piece.length === 0) continue;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(piece.length);
    yield Buffer.concat([length, piece]);
  }
  yield Buffer.alloc(4);
}

/** Asks the daemon whether it is there. @throws Error that says what was tried and what is wrong. */
export async function pingClamd(hook: ClamdHook): Promise<void> {
  const reply = await converse(hook, [Buffer.from("zPING\0")], AbortSignal.timeout(hook.timeoutMs));
  if (reply !== "PONG") throw new Error(`${where(hook)} answered ${quoted(reply)} to PING; is this a clamd?`);
}

/** How long a daemon has for its "too large" before it counts as taking the size. */
const SIZE_ANSWER_MS = 1000;

/**
 * Whether the daemon takes messages of so many octets: it judges a frame by its length (StreamMaxLength, clamd.conf(5)), before any of it has
 * come. @throws Error when it cannot be asked.
 */
export async function takesSize(hook: ClamdHook, octets: number): Promise<boolean> {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets);
  const late = AbortSignal.timeout(SIZE_ANSWER_MS);
  try {
    return !SIZE_EXCEEDED.test(await converse(hook, [Buffer.from("zINSTREAM\0"), length], late));
  } catch (error) {
    if (late.aborted) return true;
    throw error;
  }
}

function findingsOf(reply: string, hook: ClamdHook): readonly Finding[] {
  if (reply === "stream: OK") return [{ check: "clamd", fact: "clamd.found", value: false }];
  const signature = /^stream: (.{1,200}) FOUND$/.exec(reply)?.[1];
  if (signature !== undefined) {
    return [
      { check: "clamd", fact: "clamd.found", value: true, words: `ClamAV found ${signature}` },
      { check: "clamd", fact: "clamd.signature", value: signature },
    ];
  }
  if (SIZE_EXCEEDED.test(reply)) {
    throw new Error(
      `the message is larger than ${where(hook)} takes; raise StreamMaxLength in its clamd.conf`,
    );
  }
  throw new Error(`${where(hook)} answered ${quoted(reply)}, which is no verdict`);
}

function where(hook: ClamdHook): string {
  return `clamd "${hook.name}" at ${hook.address}`;
}

function quoted(text: string): string {
  return `"${text.slice(0, 120).replace(/[^\x20-\x7e]/g, "?")}"`;
}

function connectOptions(address: string): NetConnectOpts {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

/** No more than the daemon takes: a large message is read as it goes. Rejects when the message cannot be read. */
async function writeAll(
  socket: Socket,
  frames: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const frame of frames) {
    if (socket.destroyed) return;
    if (socket.write(frame)) continue;
    await new Promise<void>((resolve) => {
      socket.once("drain", resolve);
      socket.once("close", resolve);
    });
  }
}

/** Sends the frames and resolves to the answer without its NUL. The socket is gone when this settles. */
function converse(
  hook: ClamdHook,
  frames: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  const socket: Socket = connect(connectOptions(hook.address));
  const giveUp = () => reject(new Error(`${where(hook)} gave no answer in time`));
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  socket.setEncoding("latin1");
  socket.on("connect", () => {
    writeAll(socket, frames).catch(reject);
  });
  socket.on("data", (text: string) => {
    answer += text;
    const end = answer.indexOf("\0");
    if (end >= 0) resolve(answer.slice(0, end).trim());
    else if (answer.length > MAX_REPLY)
      reject(new Error(`${where(hook)} answers without end; is this a clamd?`));
  });
  socket.on("error", (cause) => {
    const reason = "code" in cause ? String(cause.code) : cause.message;
    reject(
      new Error(`${where(hook)} cannot be asked (${reason}); is it running, and is this its address?`, {
        cause,
      }),
    );
  });
  socket.on("close", () => {
    reject(new Error(`${where(hook)} closed the connection after ${quoted(answer)} without a whole answer`));
  });
  return promise.finally(() => {
    signal.removeEventListener("abort", giveUp);
    socket.destroy();
  });
}
