// The bytes on the wire: dots doubled, replies read, parameters encoded.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { endMark, wirePiece } from "../../src/delivery/dot-stuffing.ts";
import { xtext } from "../../src/delivery/envelope-commands.ts";
import { cleanText, parseReply } from "../../src/delivery/remote-reply.ts";
import { processorMs } from "../message/processor-time.ts";

/** What a server makes of the bytes: RFC 5321 §4.5.2 from its side. */
function received(wire: string): string {
  const lines = wire.split("\r\n");
  const end = lines.indexOf(".");
  expect(end).toBe(lines.length - 2);
  return lines
    .slice(0, end)
    .map((line) => `${line.startsWith(".") ? line.slice(1) : line}\r\n`)
    .join("");
}

test("any message in pieces of any size arrives as it was", () => {
  const line = fc.stringMatching(/^[.a]{0,6}$/);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), fc.integer({ min: 1, max: 60 }), (lines, size) => {
      const message = Buffer.from(lines.map((text) => `${text}\r\n`).join(""));
      let wire = "";
      for (let at = 0; at < Math.max(1, message.length); at += size) {
        wire += wirePiece(message, at, size).toString("latin1");
      }
      expect(received(wire)).toBe(message.toString("latin1"));
    }),
    { numRuns: 1000 },
  );
});

test.each([".\r\n", "..\r\n", "\n.", "\r\n.", "\n.\n"])(
  "a message of %j costs no more than others",
  (unit) => {
    const message = Buffer.from(unit.repeat(5_000_000 / unit.length));
    const dots = message.toString("latin1").split("\n.").length - (unit.startsWith(".") ? 0 : 1);
    const started = processorMs();
    let sent = 0;
    for (let at = 0; at < message.length; at += 65_536) sent += wirePiece(message, at, 65_536).length;
    // Three times as much where each dot has a buffer of its own.
    expect(processorMs() - started).toBeLessThan(150);
    expect(sent).toBe(message.length + dots + endMark(message).length);
  },
);

test("the end mark", () => {
  expect(endMark(Buffer.from("a\r\n")).toString()).toBe(".\r\n");
  expect(endMark(Buffer.from("a")).toString()).toBe("\r\n.\r\n");
  expect(endMark(Buffer.alloc(0)).toString()).toBe(".\r\n");
});

test("replies", () => {
  expect(parseReply("550 5.1.1 No such user")).toEqual({
    code: 550,
    enhanced: "5.1.1",
    text: "550 5.1.1 No such user",
  });
  expect(parseReply("250-first\n250 second")).toEqual({
    code: 250,
    enhanced: null,
    text: "250 first second",
  });
  expect(parseReply("550 4.1.1 contradiction").enhanced).toBeNull();
  expect(parseReply("250")).toEqual({ code: 250, enhanced: null, text: "250" });
  for (const none of ["", "hello", "99 x", "2500 x", "650 x"]) expect(parseReply(none).code).toBeNull();
  expect(parseReply(`250 ${"x".repeat(100_000)}`).text.length).toBeLessThanOrEqual(1000);
  expect(cleanText("a\u0000b\u001b[2Jc\u202ed\u2028e")).toBe("a�b�[2Jc�d�e");
});

test("xtext", () => {
  expect(xtext("plain-value")).toBe("plain-value");
  expect(xtext("a+b=c d\r\né")).toBe("a+2Bb+3Dc+20d+0D+0A+C3+A9");
});
