// Headers as a stranger would write them to cost time: shapes that some pattern or loop may look at again and again, at the full size a
// session takes. Made up, with example names only.

/** What a session takes of header at most. */
const HEADER_OCTETS = 262_144;
/** Other fields beside, and the line end. */
const ROOM = 600;

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

/** What is repeated until the field is full. One character per octet. */
export const UNITS: readonly (readonly [name: string, unit: string])[] = [
  ["at signs", "@"],
  ["x@", "x@"],
  ["at signs and dots", "@."],
  ["addresses", "a@b.example,"],
  ["addresses, each another", "#@#.example,"],
  ["addresses of other organisations", "<a@#.co.uk>,"],
  ["addresses with names", '"A B" <a@b.example>, '],
  ["addresses in names", "a@b.example <c@d.example>, "],
  ["addresses in quoted names", '"a@b.example" <c@d.example>, '],
  ["addresses in comments", "(a@#.example) "],
  ["addresses in open comments", "(a@#.example "],
  ["addresses by blanks", "a@#.example "],
  ["addresses in long local parts", `${"a".repeat(250)}@b.example `],
  ["addresses of long domains", `a@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example `],
  ["addresses of many labels", `a@${"b.".repeat(60)}example `],
  ["international domains", utf8("a@ü#.example, ")],
  ["international domains by blanks", utf8("a@ü#.example ")],
  ["international domains in brackets", utf8("<a@ü#.example>,")],
  ["long international domains", utf8(`a@${"ü".repeat(30)}.example,`)],
  ["Hangul domains", utf8("a@한국어.example, ")],
  ["domains in capital sharp s", utf8("a@ẞẞẞẞ.example ")],
  ["domains of compatibility signs", utf8("a@ﷺﷺﷺ.example ")],
  ["wide at signs", utf8("a＠b.example ")],
  ["small at signs", utf8("a﹫b.example ")],
  ["wide dots", utf8("a@b。example ")],
  ["UTF-7 at signs", "a+AEA-b.example "],
  ["quoted locals", '"a"@'],
  ["quoted locals with domains", '"a"@b.example, '],
  ["quotes", '"'],
  ["pairs of quotes", '"" '],
  ["escaped quotes", '\\"'],
  ["backslashes", "\\"],
  ["open comments", "("],
  ["closing comments", ")"],
  ["comments", "()"],
  ["comments in an address", "a()@()b.example, "],
  ["open angles", "<"],
  ["closing angles", ">"],
  ["angles", "<>"],
  ["routes", "<@a.example,@b.example:c@d.example>,"],
  ["stops of a route", "@a.example,"],
  ["stops of a route with blanks", "@a.example , "],
  ["stops without an end", " @a"],
  ["groups", "g:;"],
  ["groups with addresses", "g:a@b.example;"],
  ["colons", ":"],
  ["semicolons", ";"],
  ["commas", ","],
  ["brackets", "["],
  ["literals", "a@[192.0.2.1],"],
  ["dots", "."],
  ["dots with blanks", " . "],
  ["at signs with blanks", " @ "],
  ["equals signs", "="],
  ["beginnings of encoded words", "=?"],
  ["encoded words", "=?utf-8?q?x?= "],
  ["encoded words without blanks", "=?utf-8?q?x?="],
  ["encoded words in base64", "=?utf-8?b?YQ==?= "],
  ["encoded addresses", "=?utf-8?q?a=40b#=2Eexample?= "],
  ["encoded words of another set", "=?iso-2022-jp?b?GyRCJCIbKEI=?= "],
  ["encoded words of an unknown set", "=?x?q?x?= "],
  ["encoded words of GB 18030", "=?gb18030?b?0rvSu9K7?= "],
  ["encoded words with a language", "=?utf-8*en?q?x?= "],
  ["encoded words that do not end", "=?utf-8?q?x "],
  ["a long encoded word", "=40"],
  ["words with via", '"a@b.example via '],
  ["via", " via "],
  ["results", "gate.example.test; "],
  ["results with comments", "(gate.example.test)"],
  ["tags", "a=b; "],
  ["tags of a set", "i=1; "],
  ["tags without values", "d=;"],
  ["Hangul", utf8("한")],
  ["Hangul Jamo", utf8("\u1112\u1161\u11ab")],
  ["conjoining vowels", utf8("\u1161")],
  ["letters with marks", utf8("a\u0301\u0323")],
  ["marks", utf8("\u0301")],
  ["marks out of order", utf8("\u0301\u0323\u0345")],
  ["marks in one letter after another", utf8("ǖ")],
  ["ligatures that become a sentence", utf8("ﷺ")],
  ["invisible characters", utf8("\u00ad\u200b")],
  ["variation selectors", utf8("\ufe0f")],
  ["tag characters", utf8("\u{e0041}")],
  ["turned directions", utf8("\u202e")],
  ["C1 controls", utf8("\u0085")],
  ["the first octet of C1 controls", "\xc2"],
  ["octets that are no UTF-8", "\xff"],
  ["C1 controls in no UTF-8", "\xc2\x80\xffa"],
  ["C1 controls that are cut", "\xc2\x80\xe2\x82 "],
  ["octets that begin UTF-8", "\xe2\x82"],
  ["letters and octets", "a\xfc"],
  ["ISO 2022", '\x1b$B$"\x1b(B'],
  ["escapes", "\x1b"],
  ["NUL", "\0"],
  ["carriage returns", "\r"],
  ["line feeds", "\n"],
  ["deletes", "\x7f"],
  ["blanks", " "],
  ["tabs", "\t"],
  ["words", "word "],
  ["letters", "a"],
  ["folds", "\r\n "],
  ["folds of blanks", "\r\n    \t"],
  ["folded words", "word\r\n "],
  ["folded addresses", "a@b.example,\r\n "],
  ["folded encoded words", "=?utf-8?q?x?=\r\n "],
  ["folded at signs", "@\r\n\t"],
  ["links of a list", "<mailto:a@b.example>, "],
  ["beginnings of links", "<mailto:"],
  ["from clauses", "from a by b "],
];

/** Names of fields that something reads, and spellings of them. */
export const NAMES = [
  "From",
  "From ",
  "F\xadrom",
  "From\r\n ",
  "Sender",
  "Resent-From",
  "Resent-Sender",
  "Subject",
  "Message-ID",
  "Received",
  "Authentication-Results",
  "Authentication-Results\r\n ",
  "ARC-Authentication-Results",
  "ARC-Seal",
  "ARC-Message-Signature",
  "DKIM-Signature",
  "List-Id",
  "List-Post",
  "List-Unsubscribe",
  "Reply-To",
  "To",
  "Date",
  "Content-Type",
  "Content-Transfer-Encoding",
  "X-Client-ID",
  "X-Gatepost",
  "X-Other",
  "a name with blanks",
] as const;

/** How a shape is spread: one field to the full size, or some of so many octets. */
export const SPREADS: readonly number[] = [HEADER_OCTETS - ROOM, 8000, 1900, 120];

/** `unit` again and again up to `octets`, `#` counting up. */
function filled(unit: string, octets: number): string {
  if (!unit.includes("#")) return unit.repeat(Math.floor(octets / unit.length));
  let text = "";
  for (let n = 0; text.length + unit.length + 5 < octets; n++) text += unit.replaceAll("#", String(n));
  return text;
}

export interface Shape {
  readonly name: string;
  readonly unit: string;
  /** Octets of each field. */
  readonly spread: number;
}

/** A whole message. `shape.unit` and `name` with one character per octet. */
export function hostileMessage(name: string, { unit, spread }: Pick<Shape, "unit" | "spread">): Buffer {
  const field = `${name}: ${filled(unit, spread - name.length - 4)}\r\n`;
  const count = Math.max(1, Math.min(1990, Math.floor((HEADER_OCTETS - ROOM) / field.length)));
  const other = name.startsWith("F") ? "" : "From: Ann <ann@example.org>\r\n";
  return Buffer.from(`${other}${field.repeat(count)}\r\nHello\r\n`, "latin1");
}
