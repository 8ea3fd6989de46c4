// One name is one identity, however it is spelt: invisible characters, other alphabets and forms of Unicode make no new ones (O2).
import { expect, test } from "bun:test";
import { identityName } from "../../src/outgoing/identity-name.ts";

test.each([
  ["zero-width space", "an\u200bn@corp.test"],
  ["zero-width joiner and non-joiner", "a\u200dn\u200cn@corp.test"],
  ["byte order mark", "\ufeffann@corp.test"],
  ["soft hyphen", "a\u00adnn@corp.test"],
  ["word joiner", "ann\u2060@corp.test"],
  ["marks of direction", "\u202eann\u202c@corp.test"],
  ["isolates", "\u2066ann\u2069@corp.test"],
  ["variation selectors", "a\ufe0fnn\u{e0100}@corp.test"],
  ["tags", "ann\u{e0061}\u{e007f}@corp.test"],
  ["grapheme joiner", "a\u034fnn@corp.test"],
  ["Hangul fillers", "\u3164a\u115fnn\uffa0@corp.test"],
  ["Mongolian separator", "a\u180enn@corp.test"],
  ["braille blank", "ann\u2800@corp.test"],
  ["controls", "a\u0000n\u009bn@corp.test"],
  ["private use", "a\ue000nn@corp.test"],
  ["full width", "\uff21\uff2e\uff2e@corp.test"],
  ["mathematical letters", "\u{1d41a}nn@corp.test"],
  ["Cyrillic a", "\u0430nn@corp.test"],
  ["Greek alpha", "\u03b1nn@corp.test"],
  ["capitals", "ANN@CORP.test"],
  ["blanks around", "\u00a0ann@corp.test\u3000"],
  ["quotes that are not needed", '"ann"@corp.test'],
])("%s", (_, name) => {
  expect(identityName(name)).toBe("ann@corp.test");
});

test("forms of Unicode are one; blanks inside are one; other names stay apart", () => {
  expect(identityName("mu\u0308ller")).toBe(identityName("m\u00fcller"));
  expect(identityName("client \u2003 7")).toBe("client 7");
  expect(identityName("\u0438\u0432\u0430\u043d")).toBe("\u0438\u0432\u0430\u043d");
  expect(identityName("\u200b\u2060\ufe0f")).toBeNull();
  expect(identityName("ann@corp.test")).not.toBe(identityName("anna@corp.test"));
  expect(identityName("\ufdfa".repeat(1000))?.length).toBe(200);
});
