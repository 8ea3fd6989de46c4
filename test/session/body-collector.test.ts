// The body collector against the RFC read octet by octet, however the input is cut.

import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { systemClock } from "../../src/observe/clock.ts";
import { BodyCollector } from "../../src/session/body-collector.ts";
import { createBodyRoom } from "../../src/session/body-room.ts";
import { BodyFileWriter } from "../../src/store/body-file.ts";
import { processorMs } from "../message/processor-time.ts";
import { noLargeBody } from "../message/small-body.ts";

function collector(maxBytes = 1_000_000, memory = 10_000_000) {
  // One user alone may have half of what is not kept for known ones.
  const memoryBytes = (memory * 2) / 0.75;
  const room = createBodyRoom({ folder: ".", clock: systemClock, memoryBytes });
  const user = { key: "192.0.2.0/24", known: false };
  const body = new BodyCollector({ maxBytes, share: room.shareOf(user), newFile: noLargeBody });
  /** Of another body from there. */
  const share = room.shareOf(user);
  return { body, room, share };
}

function plenty() {
  return createBodyRoom({ folder: ".", clock: systemClock }).shareOf({ key: "192.0.2.0/24", known: false });
}

function inMemory(body: BodyCollector): Buffer {
  const taken = body.take();
  if (taken instanceof Promise) throw new Error("it went to disk");
  return taken;
}

function mending(newFile: () => BodyFileWriter = noLargeBody): BodyCollector {
  return new BodyCollector({ maxBytes: 1e6, share: plenty(), newFile, lineEnds: "normalise" });
}

/** Pushes the octets cut as told; returns the offset behind the end, or -1. */
function feed(body: BodyCollector, wire: Buffer, cuts: readonly number[]): number {
  for (let at = 0, i = 0; at < wire.length; i++) {
    const size = cuts[i % Math.max(1, cuts.length)] ?? 3;
    const used = body.push(wire.subarray(at, at + size));
    if (used >= 0) return at + used;
    at += size;
  }
  return -1;
}

/** What RFC 5321 says, octet by octet: the offset behind the end (-1: none), the message, and whether a CR or LF stands alone. */
function reference(wire: Buffer): { end: number; message: string; bare: boolean } {
  const text = `\r\n${wire.toString("latin1")}`;
  const end = text.indexOf("\r\n.\r\n");
  if (end < 0) return { end: -1, message: "", bare: false };
  const message = text
    .slice(2, end + 2)
    .replace(/^/, "\r\n")
    .replaceAll("\r\n.", "\r\n")
    .slice(2);
  const raw = text.slice(2, end + 2);
  return { end: end + 3, message, bare: /(?<!\r)\n|\r(?!\n)/.test(raw) };
}

const hostile = fc
  .array(fc.constantFrom("\r", "\n", ".", "\r\n", "\r\n.", "a", "\0", "bc", "\r\n.\r\n"), { maxLength: 40 })
  .map((parts) => Buffer.from(parts.join(""), "latin1"));

describe("body collector", () => {
  test("agrees with the RFC however the octets are cut", () => {
    fc.assert(
      fc.property(hostile, fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 }), (wire, cuts) => {
        const { body } = collector();
        const wanted = reference(wire);
        const end = feed(body, wire, cuts);
        expect(end).toBe(wanted.end);
        if (end < 0) return;
        expect(body.flaw).toBe(wanted.bare ? "bare-line-end" : null);
        if (!wanted.bare) expect(inMemory(body).toString("latin1")).toBe(wanted.message);
      }),
      { numRuns: 3000 },
    );
  });

  test("one chunk is not copied", () => {
    const { body } = collector();
    const text = `${"a line of the message\r\n".repeat(40)}`;
    const wire = Buffer.from(`${text}.\r\nNOOP\r\n`);
    expect(body.push(wire)).toBe(text.length + 3);
    const taken = inMemory(body);
    expect(taken.toString()).toBe(text);
    expect(taken.buffer).toBe(wire.buffer);
  });

  test("gives its memory back when the message is too big, and reads on to the end", () => {
    const { body, room } = collector(1000);
    for (let i = 0; i < 100; i++) expect(body.push(Buffer.from(`${"x".repeat(100)}\r\n`))).toBe(-1);
    expect(body.flaw).toBe("too-big");
    expect(room.memoryUsed()).toBe(0);
    expect(body.push(Buffer.from(".\r\n"))).toBe(3);
  });

  test("stops where memory for all sessions ends", () => {
    const { body, room, share } = collector(1_000_000, 5000);
    share.memory(4000);
    body.push(Buffer.alloc(2000, "x"));
    expect(body.flaw).toBe("no-memory");
    expect(room.memoryUsed()).toBe(4000);
  });

  test("a body sent octet by octet costs pieces of staging, not objects", () => {
    const { body, room } = collector();
    const wire = Buffer.from(`${"0123456789\r\n".repeat(5000)}.\r\n`);
    let ended = -1;
    for (const byte of wire) ended = body.push(Buffer.from([byte]));
    expect(ended).toBe(1);
    expect(room.memoryUsed()).toBe(60_000);
    expect(inMemory(body).length).toBe(60_000);
    body.release();
    expect(room.memoryUsed()).toBe(0);
  });

  test("a line may be as long as the message may be", () => {
    const { body } = collector();
    for (let i = 0; i < 10; i++) body.push(Buffer.alloc(30_000, "x"));
    expect(body.push(Buffer.from("\r\n.\r\n"))).toBe(5);
    expect(body.flaw).toBeNull();
    expect(inMemory(body).length).toBe(300_002);
  });

  test("NUL is refused where that is set, wherever it stands", () => {
    for (const wire of ["a\0b\r\n", "\0\r\n", "a\r\n\0", ".\0\r\n"]) {
      const body = new BodyCollector({
        maxBytes: 1000,
        share: plenty(),
        newFile: noLargeBody,
        refuseNul: true,
      });
      body.push(Buffer.from(wire));
      expect([wire, body.flaw]).toEqual([wire, "nul"]);
    }
    const { body } = collector();
    body.push(Buffer.from("a\0b\r\n.\r\n"));
    expect(body.flaw).toBeNull();
    expect(inMemory(body).toString()).toBe("a\0b\r\n");
  });
});

describe("body collector that mends line ends", () => {
  test.each([
    ["LF", "a\nb\n", "a\r\nb\r\n"],
    ["LF and CRLF", "a\nb\r\nc\n", "a\r\nb\r\nc\r\n"],
    ["CR CR LF", "a\r\r\n\r\r\nb", "a\r\n\r\nb"],
    ["a CR inside a line", "10 %\r20 %\r\n", "10 % 20 %\r\n"],
    ["a doubled dot behind LF", "a\n..b\n", "a\r\n.b\r\n"],
    ["a dot nobody doubled behind LF", "a\n.b\n", "a\r\n.b\r\n"],
    ["a dot alone between LF", "a\n.\nb\n", "a\r\n.\r\nb\r\n"],
    ["a dot alone, LF before, CRLF behind", "a\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"],
    ["a dot alone, CRLF before, LF behind", "a\r\n.\nb\r\n", "a\r\n.\r\nb\r\n"],
    ["a dot alone before CR CR LF", "a\r\n.\r\r\nb\r\n", "a\r\n.\r\nb\r\n"],
  ])("%s", (_, wire, message) => {
    for (const cut of [1, 2, 3, 1000]) {
      const body = mending();
      const all = Buffer.from(`${wire}\r\n.\r\nNOOP\r\n`);
      expect(feed(body, all, [cut])).toBe(wire.length + 5);
      expect(body.flaw).toBeNull();
      expect(inMemory(body).toString()).toBe(`${message}\r\n`);
    }
  });

  test("the data end where they do by the book, nothing but line ends and doubled dots changes, and no cut matters", () => {
    fc.assert(
      fc.property(hostile, fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 }), (wire, cuts) => {
        const wanted = reference(wire);
        const body = mending();
        expect(feed(body, wire, cuts)).toBe(wanted.end);
        if (wanted.end < 0) return;
        expect(body.flaw).toBeNull();
        const message = inMemory(body).toString("latin1");
        if (!wanted.bare) expect(message).toBe(wanted.message);
        expect(message.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
        expect(message.replace(/[\r\n .]/g, "")).toBe(wanted.message.replace(/[\r\n .]/g, ""));
        const whole = mending();
        whole.push(wire);
        expect(inMemory(whole).toString("latin1")).toBe(message);
        expect(body.size).toBe(message.length);
      }),
      { numRuns: 3000 },
    );
  });

  test("lines that end in one of the two alone cost no more than others", () => {
    for (const lines of ["\n", "\r"]) {
      const path = join(tmpdir(), `gatepost-mended-${process.pid}-${lines.charCodeAt(0)}`);
      const body = mending(() => new BodyFileWriter(path));
      const started = processorMs();
      for (let i = 0; i < 8; i++) body.push(Buffer.from(lines.repeat(60_000)));
      expect(processorMs() - started).toBeLessThan(1500);
      body.release();
    }
  });
});
