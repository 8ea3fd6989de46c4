// Paths and parameters of MAIL and RCPT, well formed and hostile.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeXtext, parseParameters, splitPath } from "../../src/session/path.ts";
import { processorMs } from "../message/processor-time.ts";

describe("paths and parameters", () => {
  test.each([
    ["<a@example.org>", "a@example.org", ""],
    ["  <a@example.org>  SIZE=1 ", "a@example.org", "SIZE=1"],
    ["<>", "", ""],
    ['<"a>b"@example.org> X', '"a>b"@example.org', "X"],
    ['<"a\\">b"@example.org>', '"a\\">b"@example.org', ""],
    ["<@one.example,@two.example:a@example.org>", "a@example.org", ""],
  ])("%s", (text, mailbox, rest) => {
    expect(splitPath(text)).toEqual({ mailbox, rest });
  });

  test.each([
    "",
    "a@example.org",
    "<a@example.org",
    "<a@b>c",
    "<a b@c>",
    '<"a@b>',
    '<"a" @b>',
    "<@:a@b>",
    `<${"a".repeat(255)}>`,
  ])("no path: %s", (text) => {
    expect(splitPath(text)).toBeNull();
  });

  test("parameters", () => {
    const given = parseParameters("SIZE=10 body=8BITMIME SMTPUTF8");
    expect(given).toEqual(
      new Map<string, string | true>([
        ["SIZE", "10"],
        ["BODY", "8BITMIME"],
        ["SMTPUTF8", true],
      ]),
    );
    for (const wrong of ["A=1 a=2", "=1", "A=", "Ä=1", "A B= C"])
      expect(typeof parseParameters(wrong)).toBe("string");
  });

  test("xtext comes back whole, and never with a control character", () => {
    const encode = (text: string) =>
      text.replace(/[^!-*,-<>-~]/g, (c) => `+${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)) }),
        (text) => {
          const clean = !/[\u0000-\u001f\u007f-\u009f]/.test(text);
          expect(decodeXtext(encode(text))).toBe(clean ? text : null);
        },
      ),
    );
    for (const wrong of ["a+", "a+0", "a+zz", "a b", "a=b", "a+0d"]) expect(decodeXtext(wrong)).toBeNull();
  });

  test("hostile arguments are answered, quickly", () => {
    const part = fc.constantFrom("<", ">", '"', "\\", "@", ":", ",", " ", "a", "=", ".");
    fc.assert(
      fc.property(fc.array(part, { maxLength: 2000 }), (parts) => {
        const start = processorMs();
        const path = splitPath(parts.join(""));
        if (path !== null) parseParameters(path.rest);
        expect(processorMs() - start).toBeLessThan(50);
      }),
    );
  });
});
