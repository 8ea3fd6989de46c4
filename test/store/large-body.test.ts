// Messages that are too large for memory: written while they come in, kept, read back, sent and hashed piece by piece.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { wirePieces } from "../../src/delivery/dot-stuffing.ts";
import { relaxedBodyHash } from "../../src/dkim/body-hash.ts";
import { isLarge, type LargeBody, MAX_BODY_IN_MEMORY, type MessageBody } from "../../src/message/body.ts";
import { applyEdits } from "../../src/message/header-edit.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { BodyCollector } from "../../src/session/body-collector.ts";
import { createBodyRoom } from "../../src/session/body-room.ts";
import { BLOCK_BYTES, BodyFileWriter, bodyOfPieces, wholeBody } from "../../src/store/body-file.ts";
import { openSpoolBodies, restFileName } from "../../src/store/spool-bodies.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { failureOf } from "./temporary-database.ts";

let directory = "";
let files = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "gatepost-large-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const newFile = () => new BodyFileWriter(join(directory, `large-${++files}`));

/** A message of that many octets, with dots and white space at line ends. */
function message(bytes: number): Buffer {
  const header = "From: a@example.org\r\nSubject: large\r\n\r\n";
  const lines = ["a line \t of text  ", ".", "..two", "", "x".repeat(70), ".end."];
  let text = header;
  for (let i = 0; text.length < bytes; i++) text += `${lines[i % lines.length]}\r\n`;
  return Buffer.from(text);
}

async function filed(text: Buffer, cut = 50_000): Promise<LargeBody> {
  const { body } = await bodyOfPieces(
    (async function* () {
      for (let at = 0; at < text.length; at += cut) yield text.subarray(at, at + cut);
    })(),
    newFile,
  );
  if (!isLarge(body)) throw new Error("it stayed in memory");
  return body;
}

/** What a server makes of the octets on the wire. */
async function received(body: LargeBody): Promise<string> {
  let wire = "";
  for await (const { bytes } of wirePieces(body)) wire += bytes.toString("latin1");
  expect(wire).toEndWith("\r\n.\r\n");
  return wire.slice(0, -3).replace(/(^|\r\n)\./g, "$1");
}

test("the header section stays in memory, the rest goes to a file, and all of it comes back", async () => {
  const text = message(900_000);
  const body = await filed(text);
  expect(Buffer.from(body.head).toString()).toBe("From: a@example.org\r\nSubject: large\r\n\r\n");
  expect(body.length).toBe(text.length);
  expect(Buffer.from(await wholeBody(body)).equals(text)).toBe(true);
});

test("an edit changes the start alone", async () => {
  const text = message(400_000);
  const edited = applyEdits(await filed(text), [{ kind: "subject", prefix: "[x]", suffix: "" }]);
  const wanted = applyEdits(text, [{ kind: "subject", prefix: "[x]", suffix: "" }]);
  expect(Buffer.from(await wholeBody(edited)).equals(Buffer.from(wanted))).toBe(true);
  expect(edited.length).toBe(wanted.length);
});

test("it arrives as it was and its hash is that of the same octets in memory, wherever blocks are cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 200 }), async (shift) => {
      // The shift moves dots, line ends and white space over the borders of blocks.
      const text = Buffer.concat([
        Buffer.from(`X: ${"y".repeat(shift)}\r\n`),
        message(MAX_BODY_IN_MEMORY + 70_000),
      ]);
      const body = await filed(text);
      expect(await received(body)).toBe(text.toString("latin1"));
      const start = body.head.length;
      expect(await relaxedBodyHash(body, start)).toBe(await relaxedBodyHash(text, start));
    }),
    { numRuns: 25 },
  );
});

test("a message without a line end at its end gets one on the wire", async () => {
  const text = Buffer.concat([message(400_000), Buffer.from("last")]);
  expect(await received(await filed(text))).toBe(`${text.toString("latin1")}\r\n`);
});

test("a file that was cut, changed or removed is found before the end is sent", async () => {
  const text = message(600_000);
  const harm: readonly ((path: string) => void)[] = [
    (path) => truncateSync(path, 300_000),
    (path) => {
      const bytes = readFileSync(path);
      bytes[BLOCK_BYTES + 5] = (bytes[BLOCK_BYTES + 5] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    },
    (path) => rmSync(path),
  ];
  for (const damage of harm) {
    const body = await filed(text);
    damage(body.rest.path);
    let ended = false;
    const reading = (async () => {
      for await (const { isLast } of wirePieces(body)) ended ||= isLast;
    })();
    expect((await failureOf(reading)).kind).toBe("lost");
    expect(ended).toBe(false);
  }
});

test("the collector takes a large message to disk and gives everything back", async () => {
  const text = message(2_000_000);
  const room = createBodyRoom({ folder: directory, clock: systemClock });
  const share = room.shareOf({ key: "192.0.2.0/24", known: false });
  const body = new BodyCollector({ maxBytes: 10_000_000, share, newFile });
  const wire = Buffer.from(`${text.toString("latin1").replace(/(^|\r\n)\./g, "$1..")}.\r\n`);
  let mostMemory = 0;
  for (let at = 0; at < wire.length; at += 7001) {
    body.push(wire.subarray(at, at + 7001));
    await body.ready();
    mostMemory = Math.max(mostMemory, room.memoryUsed());
  }
  expect(mostMemory).toBeLessThan(MAX_BODY_IN_MEMORY + 10_000);
  const taken = (await body.take()) as MessageBody;
  expect(isLarge(taken)).toBe(true);
  expect(Buffer.from(await wholeBody(taken)).equals(text)).toBe(true);
  body.release();
  expect(room.memoryUsed()).toBe(0);
  await Bun.sleep(20);
  if (isLarge(taken)) expect(existsSync(taken.rest.path)).toBe(false);
});

test("a body half sent leaves no file", async () => {
  const before = readdirSync(directory).length;
  const room = createBodyRoom({ folder: directory, clock: systemClock });
  const share = room.shareOf({ key: "192.0.2.0/24", known: false });
  const body = new BodyCollector({ maxBytes: 10_000_000, share, newFile });
  for (let i = 0; i < 100; i++) body.push(Buffer.from(`${"x".repeat(9998)}\r\n`));
  body.release();
  await Bun.sleep(50);
  expect(readdirSync(directory).length).toBe(before);
});

test("what a crash left of bodies that came in is swept, also when it is old; a kept one stays", async () => {
  const folder = join(directory, "spool");
  const bodies = await openSpoolBodies(folder);
  const writer = bodies.incoming();
  writer.write(message(100_000));
  const part = await writer.finish();
  const name = restFileName("m1", 1, part);
  await bodies.adopt(part, name);
  writeFileSync(join(folder, "incoming-1-1"), "half a body");
  await bodies.sweep(new Set([name]), Date.now() + 60_000);
  expect(readdirSync(folder)).toEqual([name]);
  expect(
    await Buffer.from(
      await wholeBody({ head: new Uint8Array(0), rest: bodies.part(name, part.bytes), length: part.bytes }),
    ).equals(message(100_000)),
  ).toBe(true);
});

test("the vault keeps a large message once and gives it back in pieces, whole or its start", async () => {
  const text = message(1_500_000);
  const vault = await openBodyVault(join(directory, "vault"));
  const hash = await vault.put(await filed(text));
  expect(await vault.put(text)).toBe(hash);
  expect(await vault.put(await filed(text))).toBe(hash);
  expect(Buffer.from((await vault.get(hash)) ?? []).equals(text)).toBe(true);
  expect((await vault.start(hash, 1000))?.length).toBe(1000);
  const pieces = await vault.pieces(hash);
  if (pieces === null) throw new Error("it is gone");
  const { body, discard } = await bodyOfPieces(pieces, newFile);
  expect(isLarge(body)).toBe(true);
  expect(Buffer.from(await wholeBody(body)).equals(text)).toBe(true);
  await discard();
  expect(await vault.pieces("0".repeat(64))).toBeNull();
});
