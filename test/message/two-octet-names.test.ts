// Names in From of two octets a character: without a mark programs read them in either order, and an address in one of them is one too many.
import { expect, test } from "bun:test";
import { summarise } from "../../src/message/summary.ts";

const low = (text: string) => Buffer.from(text, "utf16le");
const high = (text: string) => low(text).swap16();
const LOW_MARK = Buffer.from([0xff, 0xfe]);
const HIGH_MARK = Buffer.from([0xfe, 0xff]);

function flawOf(charset: string, octets: Buffer): string | null {
  const from = `From: =?${charset}?B?${octets.toString("base64")}?= <ann@own.example.org>\r\n\r\n`;
  return summarise(Buffer.from(from)).fromFlaw;
}

const BOTH = ["utf-16", "UTF-16", "utf16", "ucs-2", "unicode", "csunicode", "iso-10646-ucs-2", "utf-16*en"];

test.each(BOTH)("%s, in either order, with a mark and without", (charset) => {
  const boss = "boss@victim.example";
  const forms = [
    high(boss),
    low(boss),
    Buffer.concat([HIGH_MARK, high(boss)]),
    Buffer.concat([LOW_MARK, low(boss)]),
  ];
  for (const octets of forms) expect(flawOf(charset, octets)).toContain("another domain");
  expect(flawOf(charset, high("Ann Lee"))).toBeNull();
  expect(flawOf(charset, low("Ann @ Work"))).toBeNull();
});

test("where the order is named, that one counts", () => {
  expect(flawOf("utf-16be", high("boss@victim.example"))).toContain("another domain");
  expect(flawOf("utf-16le", low("boss@victim.example"))).toContain("another domain");
});
