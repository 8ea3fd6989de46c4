// The body collector against the RFC read octet by octet, however the input is cut.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BodyCollector, MAX_BODY_LINE_BYTES } from "../../src/session/body-collector.ts";
import { createMemoryBudget } from "../../src/session/memory-budget.ts";

function collector(maxBytes = 1_000_000, memory = 10_000_000) {
  const budget = createMemoryBudget(memory);
  return { body: new BodyCollector({ maxBytes, budget }), budget };
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
        let at = 0;
        let end = -1;
        for (let i = 0; at < wire.length && end < 0; i++) {
          const size = cuts[i % Math.max(1, cuts.length)] ?? 3;
          const used = body.push(wire.subarray(at, at + size));
          if (used >= 0) end = at + used;
          at += size;
        }
        expect(end).toBe(wanted.end);
        if (end < 0) return;
        expect(body.flaw).toBe(wanted.bare ? "bare-line-end" : null);
        if (!wanted.bare) expect(body.take().toString("latin1")).toBe(wanted.message);
      }),
      { numRuns: 3000 },
    );
  });

  test("one chunk is not copied", () => {
    const { body } = collector();
    const text = `${"a line of the message\r\n".repeat(40)}`;
    const wire = Buffer.from(`${text}.\r\nNOOP\r\n`);
    expect(body.push(wire)).toBe(text.length + 3);
    const taken = body.take();
    expect(taken.toString()).toBe(text);
    expect(taken.buffer).toBe(wire.buffer);
  });

  test("gives its memory back when the message is too big, and reads on to the end", () => {
    const { body, budget } = collector(1000);
    for (let i = 0; i < 100; i++) expect(body.push(Buffer.from(`${"x".repeat(100)}\r\n`))).toBe(-1);
    expect(body.flaw).toBe("too-big");
    expect(budget.used()).toBe(0);
    expect(body.push(Buffer.from(".\r\n"))).toBe(3);
  });

  test("stops where memory for all sessions ends", () => {
    const { body, budget } = collector(1_000_000, 5000);
    budget.take(4000);
    body.push(Buffer.alloc(2000, "x"));
    expect(body.flaw).toBe("no-memory");
    expect(budget.used()).toBe(4000);
  });

  test("a body sent octet by octet costs pieces of staging, not objects", () => {
    const { body, budget } = collector();
    const wire = Buffer.from(`${"0123456789\r\n".repeat(5000)}.\r\n`);
    let ended = -1;
    for (const byte of wire) ended = body.push(Buffer.from([byte]));
    expect(ended).toBe(1);
    expect(budget.used()).toBe(60_000);
    expect(body.take().length).toBe(60_000);
    body.release();
    expect(budget.used()).toBe(0);
  });

  test("line length is counted over chunks and exactly", () => {
    for (const [length, flaw] of [
      [MAX_BODY_LINE_BYTES, null],
      [MAX_BODY_LINE_BYTES + 1, "line-too-long"],
    ] as const) {
      const { body } = collector();
      body.push(Buffer.alloc(length - 10, "x"));
      body.push(Buffer.from(`${"x".repeat(10)}\r`));
      body.push(Buffer.from("\n.\r\n"));
      expect(body.flaw).toBe(flaw);
    }
  });
});
