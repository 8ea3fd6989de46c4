// Writes lines to a file descriptor in the background, in order. A slow reader holds nobody up, one that is gone is forgotten.
import { write } from "node:fs";

/** Lines in memory for a reader that does not read; what comes then is left out and counted. */
const MAX_WAITING_CHARACTERS = 8 * 1024 * 1024;
const FULL_PIPE_PAUSE_MS = 20;

export interface LineWriter {
  /** Takes a line with its line end. */
  write(line: string): void;
  /** Resolves when every line so far is written or given up, at the latest after `graceMs`. */
  flush(graceMs: number): Promise<void>;
}

/** Makes the writer. `leftOut` makes the line that says how many lines were left out. */
export function createLineWriter(descriptor: number, leftOut: (lines: number) => string): LineWriter {
  let waiting: string[] = [];
  let characters = 0;
  let missing = 0;
  let gone = false;
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    while (waiting.length > 0 && !gone) {
      const text = waiting.join("") + (missing > 0 ? leftOut(missing) : "");
      waiting = [];
      characters = 0;
      missing = 0;
      gone = !(await writeAll(descriptor, Buffer.from(text)));
    }
    running = null;
  }

  return {
    write(line) {
      if (gone) return;
      if (characters + line.length > MAX_WAITING_CHARACTERS) {
        missing += 1;
        return;
      }
      waiting.push(line);
      characters += line.length;
      running ??= run();
    },
    async flush(graceMs) {
      await Promise.race([running, Bun.sleep(graceMs)]);
    },
  };
}

/** False when nobody reads any more. */
async function writeAll(descriptor: number, bytes: Buffer): Promise<boolean> {
  let rest = bytes;
  while (rest.length > 0) {
    const result = await writeSome(descriptor, rest);
    if (result === "gone") return false;
    if (result === "full") await Bun.sleep(FULL_PIPE_PAUSE_MS);
    else rest = rest.subarray(result);
  }
  return true;
}

function writeSome(descriptor: number, bytes: Buffer): Promise<number | "full" | "gone"> {
  return new Promise((resolve) => {
    write(descriptor, bytes, (error, written) => {
      if (error === null || error === undefined) resolve(written);
      // A full disk under a log file passes like a full pipe.
      else resolve(error.code === "EAGAIN" || error.code === "ENOSPC" ? "full" : "gone");
    });
  });
}
