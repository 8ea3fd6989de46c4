// The conversion to 7 bits goes on beside everything else: nobody waits for more than a piece of it, whatever the message is made of.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toSevenBits } from "../../src/delivery/seven-bit.ts";
import type { LargeBody } from "../../src/message/body.ts";
import { BodyFileWriter, bodyPieces } from "../../src/store/body-file.ts";
import { processorMs } from "../message/processor-time.ts";

const LARGE = 20_000_000;
const PAUSE_MS = 50;
/** Reading a file in blocks costs some, converting it the rest. */
const ALL_MS = 6000;

const nested = Array.from(
  { length: 19 },
  (_, n) => `Content-Type: multipart/mixed; boundary=x${n}\r\n\r\n--x${n}\r\n`,
).join("");
const text = "Content-Type: text/plain; charset=utf-8\r\n\r\n";
const mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

/** The lines that are repeated, what stands before them, and whether it can be converted. */
const KINDS: readonly (readonly [name: string, before: string, unit: string, converts: boolean])[] = [
  ["lines that begin like delimiters, in nested multiparts", `${nested}${text}ä\r\n`, "--x\r\n", false],
  ["the same, with 8 bits at the end of each", `${nested}${text}`, "--xä\r\n", false],
  ["delimiters of nested multiparts", nested, "--x18\r\n\r\nä\r\n", false],
  ["a part whose header does not end", `${mixed}--b\r\n`, "--q: ä\r\n", false],
  ["many small parts", mixed, "--b\r\n\r\nä\r\n", false],
  ["parts within parts", mixed, "Content-Type: message/rfc822\r\n\r\nä: b\r\n--b\r\n", false],
  [
    "a part with a type of quotes",
    `${mixed}--b\r\nContent-Type: text/plain(;`,
    ' a="\\"\\"\\"\\"\r\n ',
    false,
  ],
  ["equals signs and 8 bits in turn", text, "=ä", true],
  ["8 bits alone", text, "ä", true],
  ["blanks", `${text}ä`, " ", true],
  ["carriage returns", `${text}ä`, "\r", true],
  ["line ends", `${text}ä`, "\r\n", true],
  ["dashes", `${mixed}--b\r\n${text}ä`, "\r\n--", true],
  ["an octet stream", "Content-Type: application/octet-stream\r\n\r\n", "ä\r\n\u0001", true],
  ["quoted-printable with 8 bits", `Content-Transfer-Encoding: quoted-printable\r\n${text}`, "ä", true],
  ["7 bits until the end", `${text}`, "word \r\n", true],
];

async function large(before: string, unit: string): Promise<LargeBody> {
  const head = Buffer.from("From: a@example.org\r\nMIME-Version: 1.0\r\n");
  const all = Buffer.concat([
    head,
    Buffer.from(before),
    Buffer.from(unit.repeat(LARGE / Buffer.byteLength(unit))),
    Buffer.from("\r\nä\r\n"),
  ]);
  const start = all.indexOf("\r\n\r\n") + 4;
  const writer = new BodyFileWriter(join(tmpdir(), `seven-bit-${crypto.randomUUID()}`));
  writer.write(all.subarray(start));
  return { head: Buffer.from(all.subarray(0, start)), rest: await writer.finish(), length: all.length };
}

/** The longest time of the processor between two turns of the event loop while the work goes on, and all of it. */
async function watched(
  work: () => Promise<unknown>,
): Promise<{ readonly longestMs: number; readonly allMs: number }> {
  let running = true;
  let longestMs = 0;
  const started = processorMs();
  let before = started;
  const look = (): void => {
    const now = processorMs();
    longestMs = Math.max(longestMs, now - before);
    before = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  await work();
  running = false;
  return { longestMs, allMs: processorMs() - started };
}

async function convertAndRead(message: LargeBody): Promise<boolean> {
  const made = await toSevenBits(message);
  if (made === null) return false;
  let length = 0;
  for await (const piece of bodyPieces(made)) length += piece.length;
  expect(length).toBe(made.length);
  return true;
}

test.each(KINDS)(
  "20 MB: %s",
  async (_name, before, unit, converts) => {
    const message = await large(before, unit);
    try {
      let could = false;
      const { longestMs, allMs } = await watched(async () => {
        could = await convertAndRead(message);
      });
      expect({ could, pauses: longestMs >= PAUSE_MS ? longestMs : 0 }).toEqual({
        could: converts,
        pauses: 0,
      });
      expect(allMs).toBeLessThan(ALL_MS);
    } finally {
      rmSync(message.rest.path, { force: true });
    }
  },
  60_000,
);

test.each(KINDS)("in memory: %s", async (_name, before, unit) => {
  const filling = unit.repeat(320_000 / Buffer.byteLength(unit));
  const raw = Buffer.from(`From: a@example.org\r\n${before}${filling}\r\nä\r\n`);
  const { longestMs } = await watched(() => toSevenBits(raw));
  expect(longestMs).toBeLessThan(PAUSE_MS);
});

test("ten at once cause no longer pauses than one", async () => {
  const message = await large(text, "=ä");
  try {
    const { longestMs } = await watched(() =>
      Promise.all(Array.from({ length: 10 }, () => readSome(message))),
    );
    expect(longestMs).toBeLessThan(PAUSE_MS);
  } finally {
    rmSync(message.rest.path, { force: true });
  }
}, 60_000);

/** The plan, and the first pieces of what is sent by it. */
async function readSome(message: LargeBody): Promise<void> {
  const made = await toSevenBits(message);
  if (made === null) throw new Error("it can be converted");
  let pieces = 0;
  for await (const _ of bodyPieces(made)) if (++pieces === 20) break;
}

test("what was found out about a large message is not looked for again", async () => {
  const message = await large(text, "ä");
  try {
    await toSevenBits(message);
    const started = processorMs();
    await toSevenBits(message);
    expect(processorMs() - started).toBeLessThan(20);
  } finally {
    rmSync(message.rest.path, { force: true });
  }
});
