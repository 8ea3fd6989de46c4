// The rule language: what parses to what, what is refused with which words, and that printing loses nothing.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { factsNamed } from "../../src/rules/evaluate.ts";
import { type Expression, parseExpression } from "../../src/rules/expression.ts";
import { parseGlob } from "../../src/rules/glob.ts";
import { KNOWN_FACTS } from "../../src/rules/known-facts.ts";
import { printExpression } from "../../src/rules/print-expression.ts";

function parsed(text: string): Expression {
  const result = parseExpression(text);
  if (!result.ok) throw new Error(`${text}: ${result.reason}`);
  return result.value;
}

function reason(text: string): string {
  const result = parseExpression(text);
  if (result.ok) throw new Error(`${text} parsed to ${printExpression(result.value)}`);
  return result.reason;
}

describe("accepted", () => {
  const same: readonly (readonly [string, string])[] = [
    ["eicar.found", "eicar.found"],
    ["NOT eicar.found", "not eicar.found"],
    ['spf.result=="Fail"', 'spf.result == "fail"'],
    ["spf.result != 'pass'", 'spf.result != "pass"'],
    ["message.size > 10 MB", "message.size > 10 MB"],
    ["message.size > 10mb", "message.size > 10 MB"],
    ["message.size >= 1.5 KB", "message.size >= 1536"],
    ["message.recipients <= 50", "message.recipients <= 50"],
    ['spf.result in ["fail","softfail"]', 'spf.result in ["fail", "softfail"]'],
    ['spf.result not in ["pass"]', 'not spf.result in ["pass"]'],
    ['attachments.extensions any ["exe", "SCR"]', 'attachments.extensions any ["exe", "scr"]'],
    ['dkim.domains none ["example.org"]', 'dkim.domains none ["example.org"]'],
    ['attachments.types all ["image/png"]', 'attachments.types all ["image/png"]'],
    ['sender.address matches "*@*.Example.org"', 'sender.address matches "*@*.example.org"'],
    [
      'client.helo starts with "mail" and client.helo ends with ".test"',
      'client.helo starts with "mail" and client.helo ends with ".test"',
    ],
    ['client.helo contains "a\\"b\\\\c"', 'client.helo contains "a\\"b\\\\c"'],
    ["client.tls == false", "client.tls == false"],
    ["eicar.found or client.tls and not gtube.found", "eicar.found or (client.tls and not gtube.found)"],
    ["(eicar.found or gtube.found) and client.tls", "(eicar.found or gtube.found) and client.tls"],
    ["attachments.dangerous", "attachments.dangerous"],
    ["clamd.failed", "clamd.failed"],
  ];
  test.each(same.map(([text, printed]) => ({ text, printed })))("$text", ({ text, printed }) => {
    expect(printExpression(parsed(text))).toBe(printed);
  });

  test("facts named", () => {
    const names = factsNamed(parsed('not (eicar.found or spf.result == "fail") and spf.result != "none"'));
    expect([...names].sort()).toEqual(["eicar.found", "spf.result"]);
  });
});

describe("refused with words", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", 'character 1: found the end, expected a fact such as spf.result, not, or "("'],
    ["spf.reslt", 'character 1: "spf.reslt" is not a known fact; did you mean spf.result?'],
    ["virus.wholly.other", "is not a known fact; the console lists all facts"],
    ['spf.result = "fail"', 'character 12: "=" has no meaning here; to compare, write =='],
    ["!eicar.found", 'character 1: "!" has no meaning here; to deny, write not or !='],
    ["spf.result", "found the end, expected a test of spf.result: ==, !=, in, contains"],
    [
      'spf.result == "failed"',
      'spf.result is never "failed", only none, neutral, pass, softfail, fail, temperror, permerror; did you mean "fail"?',
    ],
    ["spf.result == 3", 'character 15: found 3, expected text in quotes, such as "example.org"'],
    ['spf.result > "fail"', "spf.result is a text fact and cannot be tested with >"],
    ["message.size > big", "character 16: found big, expected a size such as 10 MB"],
    ['message.size contains "1"', "message.size is a number fact and cannot be tested with contains"],
    [
      "client.tls == yes",
      "character 15: found yes, expected true or false, because client.tls is one of them",
    ],
    ['attachments.names in ["a"]', "attachments.names is a list fact and cannot be tested with in; use"],
    ['attachments.names == "a"', "attachments.names is a list fact and cannot be tested with =="],
    ['sender.domain any ["a"]', "sender.domain is a text fact and cannot be tested with any"],
    ["spf.result in []", "found ], expected text in quotes"],
    ['spf.result in ["fail"', 'found the end, expected "," or "]"'],
    ["(eicar.found", 'found the end, expected and, or, or ")"'],
    [
      "eicar.found gtube.found",
      "character 13: found gtube.found, expected and, or, or the end of the condition",
    ],
    ["eicar.found and", "found the end, expected a fact"],
    ['client.helo starts "x"', 'found "x", expected with, as in: client.helo starts with'],
    ['client.helo == "open', 'character 16: the text that starts here with " is not closed'],
    ["message.recipients > 999999999999999 GB", "the number that starts here is too large"],
    ['client.helo matches ""', "expected a pattern in quotes"],
    [`client.helo matches "${"a".repeat(201)}"`, "a pattern has 1 to 200 characters, this one has 201"],
    [`${"(".repeat(40)}eicar.found${")".repeat(40)}`, "more than 32 levels of not and parentheses"],
    [`${"not ".repeat(40)}eicar.found`, "more than 32 levels of not and parentheses"],
    ["eicar.found or ".repeat(400), "the condition has 6000 characters; at most 4000 are allowed"],
    ["and", "found and, expected a fact"],
    ["__proto__", '"__proto__" is not a known fact'],
    ["constructor.name", "is not a known fact"],
  ];
  test.each(cases.map(([text, words]) => ({ text, words })))("$text", ({ text, words }) => {
    expect(reason(text)).toContain(words);
  });
});

const text = fc.string({ maxLength: 20 }).map((s) => s.replace(/[\u0000-\u001f]/g, "x").toLowerCase());
const someText = text.filter((s) => s !== "");

function leafOf(fact: (typeof KNOWN_FACTS)[number]): fc.Arbitrary<Expression> {
  const { name, kind, values } = fact;
  const literal = values === undefined ? text : fc.constantFrom(...values);
  const number = fc.nat();
  if (kind === "boolean") {
    return fc.oneof(
      fc.constant<Expression>({ kind: "truth", fact: name }),
      fc.record({
        kind: fc.constant("compare" as const),
        fact: fc.constant(name),
        sign: fc.constantFrom("==" as const, "!=" as const),
        value: fc.boolean(),
      }),
    );
  }
  if (kind === "number" || kind === "bytes") {
    return fc.oneof(
      fc.record({
        kind: fc.constant("compare" as const),
        fact: fc.constant(name),
        sign: fc.constantFrom("==" as const, "<" as const, ">=" as const),
        value: number,
      }),
      fc.record({
        kind: fc.constant("among" as const),
        fact: fc.constant(name),
        values: fc.array(number, { minLength: 1, maxLength: 4 }),
      }),
    );
  }
  const glob = someText.map((pattern): Expression => {
    const parsedGlob = parseGlob(pattern);
    if (!parsedGlob.ok) throw new Error(parsedGlob.reason);
    return { kind: "glob", fact: name, glob: parsedGlob.value };
  });
  const contains = fc.record({
    kind: fc.constant("text" as const),
    fact: fc.constant(name),
    test: fc.constantFrom("contains" as const, "starts with" as const, "ends with" as const),
    text: someText,
  });
  const values4 = fc.array(literal, { minLength: 1, maxLength: 4 });
  if (kind === "list") {
    return fc.oneof(
      fc.constant<Expression>({ kind: "truth", fact: name }),
      fc.record({
        kind: fc.constant("list" as const),
        fact: fc.constant(name),
        test: fc.constantFrom("any" as const, "none" as const, "all" as const),
        values: values4,
      }),
      contains,
      glob,
    );
  }
  return fc.oneof(
    fc.record({
      kind: fc.constant("compare" as const),
      fact: fc.constant(name),
      sign: fc.constantFrom("==" as const, "!=" as const),
      value: literal,
    }),
    fc.record({ kind: fc.constant("among" as const), fact: fc.constant(name), values: values4 }),
    contains,
    glob,
  );
}

/** Any tree the parser can make. */
const anyExpression: fc.Arbitrary<Expression> = fc.letrec<{ tree: Expression; leaf: Expression }>((tie) => ({
  leaf: fc.constantFrom(...KNOWN_FACTS).chain(leafOf),
  tree: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    tie("leaf"),
    fc.record({ kind: fc.constant("not" as const), part: tie("tree") }),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      parts: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
    }) as fc.Arbitrary<Expression>,
  ),
})).tree;

test("parse(print(tree)) is the tree", () => {
  fc.assert(
    fc.property(anyExpression, (tree) => {
      const printed = printExpression(tree);
      fc.pre(printed.length <= 4000);
      expect(parseExpression(printed)).toEqual({ ok: true, value: tree });
    }),
    { numRuns: 500 },
  );
});

test("any text is answered, quickly", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 300 }),
        fc
          .array(
            fc.constantFrom(
              "(",
              ")",
              "not ",
              '"',
              "\\",
              "spf.result ",
              "in ",
              "[",
              ",",
              "10 ",
              "== ",
              "matches ",
            ),
            { maxLength: 60 },
          )
          .map((a) => a.join("")),
      ),
      (input) => {
        const result = parseExpression(input);
        if (!result.ok) expect(result.reason).not.toBe("");
      },
    ),
    { numRuns: 500 },
  );
});
