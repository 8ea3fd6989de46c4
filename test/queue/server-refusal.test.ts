// What a sender who waits is told of a mail server's refusal: its codes and words, fit for the wire whatever they were.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Outcome } from "../../src/delivery/outcome.ts";
import { refusalOf } from "../../src/queue/server-refusal.ts";

describe("a refusal as our reply", () => {
  const failed = (change: Partial<Outcome>): readonly Outcome[] => [
    {
      n: 0,
      result: "failed",
      code: 550,
      enhanced: null,
      text: "",
      server: "mx [192.0.2.7]:25",
      tls: null,
      ...change,
    },
  ];
  test.each([
    [{ text: "550 5.1.1 No such user", enhanced: "5.1.1" }, "550 1.1 No such user"],
    [{ code: 552, text: "552 5.3.4 too big", enhanced: "5.3.4" }, "552 3.4 too big"],
    [{ code: 554, text: "554 no" }, "554 0.0 no"],
    [{ code: 550, text: "550" }, "550 0.0 The mail server does not take this message"],
    [{ text: "550 für Ann\u00e4 \u20ac \ufffd x" }, "550 0.0 fur Anna ? ? x"],
    [{ text: "550 one\r\n250 2.0.0 two" }, "550 0.0 one 250 2.0.0 two"],
    [{ code: null, enhanced: "5.3.4", text: "The message has 9 bytes" }, "552 3.4 The message has 9 bytes"],
    [{ code: null, enhanced: "5.6.7", text: "needs SMTPUTF8" }, "550 6.7 needs SMTPUTF8"],
    [{ code: null, enhanced: null, text: "no" }, "554 0.0 no"],
  ] as const)("%j", (change, wanted) => {
    const given = refusalOf(failed(change));
    expect(`${given?.code} ${given?.enhanced} ${given?.text}`).toBe(wanted);
  });

  test("is one line of printable ASCII of bounded length, whatever the server says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (text) => {
        const given = refusalOf(failed({ text }));
        expect(given?.text).toMatch(/^[\x20-\x7e]{1,400}$/);
      }),
    );
  });
});
