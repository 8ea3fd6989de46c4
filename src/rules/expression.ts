// The rule language: a condition as people write it, parsed to an immutable tree. No I/O; evaluation is in evaluate.ts.
// Every fact name, kind of value and known value is checked here, so that a typing mistake cannot become a rule that never holds.
import { domainKey, type Parsed } from "../message/address.ts";
import { type Glob, parseGlob } from "./glob.ts";
import { type KnownFact, knownFact, nearestFact } from "./known-facts.ts";
import { didYouMean } from "./nearest-name.ts";
import { type Sign, type Token, tokenize } from "./tokens.ts";

export type CompareSign = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type TextTest = "contains" | "starts with" | "ends with";
export type ListTest = "any" | "none" | "all";

/** Text as it is compared: lower case; international names of domains as A-labels, which is how the facts have them. */
function comparable(fact: KnownFact, text: string): string {
  if (!/[^\x00-\x7f]/.test(text) || !/[._](?:address|domains?|sealer)$/.test(fact.name))
    return text.toLowerCase();
  const behindAt = text.lastIndexOf("@") + 1;
  return text.slice(0, behindAt).toLowerCase() + domainKey(text.slice(behindAt));
}

/** A condition. Text in it is lower case: letters compare in either case. */
export type Expression =
  | { readonly kind: "and"; readonly parts: readonly Expression[] }
  | { readonly kind: "or"; readonly parts: readonly Expression[] }
  | { readonly kind: "not"; readonly part: Expression }
  | FactTest;

/** A test of one fact. */
export type FactTest =
  /** A fact alone: a boolean that is true, a list that is not empty. */
  | { readonly kind: "truth"; readonly fact: string }
  | {
      readonly kind: "compare";
      readonly fact: string;
      readonly sign: CompareSign;
      readonly value: string | number | boolean;
    }
  | { readonly kind: "among"; readonly fact: string; readonly values: readonly (string | number)[] }
  | { readonly kind: "text"; readonly fact: string; readonly test: TextTest; readonly text: string }
  | { readonly kind: "glob"; readonly fact: string; readonly glob: Glob }
  | {
      readonly kind: "list";
      readonly fact: string;
      readonly test: ListTest;
      readonly values: readonly string[];
    };

const MAX_DEPTH = 32;
const KEYWORDS = [
  "and",
  "or",
  "not",
  "in",
  "contains",
  "starts",
  "ends",
  "with",
  "matches",
  "any",
  "none",
  "all",
];
const OPERATORS: Readonly<Record<KnownFact["kind"], string>> = {
  boolean: "nothing more (the fact alone), == or !=",
  number: "==, !=, <, <=, >, >= or in",
  bytes: "==, !=, <, <=, >, >= or in",
  text: "==, !=, in, contains, starts with, ends with or matches",
  list: "nothing more (not empty), any, none, all, contains, starts with, ends with or matches",
};

/** Parses a condition; the reason of a refusal names the character, what was found and what is expected. */
export function parseExpression(text: string): Parsed<Expression> {
  const tokens = tokenize(text);
  return tokens.ok ? new ConditionParser(tokens.value).parse() : tokens;
}

function isCompareSign(sign: Sign): sign is CompareSign {
  return sign !== "(" && sign !== ")" && sign !== "[" && sign !== "]" && sign !== ",";
}

function found(token: Token): string {
  return token.kind === "end" ? "the end" : token.raw.slice(0, 60);
}

function refuse(token: Token, message: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `character ${token.at + 1}: ${message}` };
}

function expected(token: Token, what: string): { readonly ok: false; readonly reason: string } {
  return refuse(token, `found ${found(token)}, expected ${what}`);
}

class ConditionParser {
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #position = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#end = tokens[tokens.length - 1] ?? { kind: "end", at: 0, raw: "" };
  }

  parse(): Parsed<Expression> {
    const whole = this.#chain("or");
    if (!whole.ok) return whole;
    const rest = this.#peek();
    return rest.kind === "end" ? whole : expected(rest, "and, or, or the end of the condition");
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? this.#end;
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #takeWord(word: string): boolean {
    const token = this.#peek();
    if (token.kind !== "word" || token.text.toLowerCase() !== word) return false;
    this.#position++;
    return true;
  }

  #takeSign(sign: Sign): boolean {
    const token = this.#peek();
    if (token.kind !== "sign" || token.text !== sign) return false;
    this.#position++;
    return true;
  }

  #chain(kind: "and" | "or"): Parsed<Expression> {
    const parts: Expression[] = [];
    do {
      const part = kind === "or" ? this.#chain("and") : this.#unary();
      if (!part.ok) return part;
      parts.push(part.value);
    } while (this.#takeWord(kind));
    const [only] = parts;
    return { ok: true, value: parts.length === 1 && only !== undefined ? only : { kind, parts } };
  }

  #unary(): Parsed<Expression> {
    const start = this.#peek();
    if (++this.#depth > MAX_DEPTH)
      return refuse(start, `more than ${MAX_DEPTH} levels of not and parentheses`);
    const result = this.#nested();
    this.#depth--;
    return result;
  }

  #nested(): Parsed<Expression> {
    if (this.#takeWord("not")) {
      const part = this.#unary();
      return part.ok ? { ok: true, value: { kind: "not", part: part.value } } : part;
    }
    if (!this.#takeSign("(")) return this.#condition();
    const inner = this.#chain("or");
    if (!inner.ok) return inner;
    return this.#takeSign(")") ? inner : expected(this.#peek(), 'and, or, or ")"');
  }

  #condition(): Parsed<Expression> {
    const token = this.#next();
    if (token.kind !== "word" || KEYWORDS.includes(token.text.toLowerCase())) {
      return expected(token, 'a fact such as spf.result, not, or "("');
    }
    const fact = knownFact(token.text);
    if (fact === null) {
      const near = nearestFact(token.text);
      const hint = near === null ? "the console lists all facts under Rules" : `did you mean ${near}?`;
      return refuse(token, `"${token.text.slice(0, 60)}" is not a known fact; ${hint}`);
    }
    return this.#test(fact);
  }

  #test(fact: KnownFact): Parsed<Expression> {
    const token = this.#peek();
    if (token.kind === "sign" && isCompareSign(token.text)) return this.#compare(fact, token.text);
    const word = token.kind === "word" ? token.text.toLowerCase() : "";
    if (word === "not") {
      this.#position++;
      if (!this.#takeWord("in")) return expected(this.#peek(), "in, as in: not in [...]");
      const among = this.#among(fact, token);
      return among.ok ? { ok: true, value: { kind: "not", part: among.value } } : among;
    }
    if (word === "in" || word === "any" || word === "none" || word === "all") {
      this.#position++;
      return word === "in" ? this.#among(fact, token) : this.#list(fact, token, word);
    }
    if (word === "contains" || word === "starts" || word === "ends" || word === "matches") {
      this.#position++;
      return this.#textTest(fact, token, word);
    }
    if (fact.kind === "boolean" || fact.kind === "list")
      return { ok: true, value: { kind: "truth", fact: fact.name } };
    return expected(token, `a test of ${fact.name}: ${OPERATORS[fact.kind]}`);
  }

  #compare(fact: KnownFact, sign: CompareSign): Parsed<Expression> {
    const token = this.#next();
    const ordered = sign !== "==" && sign !== "!=";
    if (fact.kind === "list" || (ordered && (fact.kind === "text" || fact.kind === "boolean"))) {
      return this.#wrongTest(fact, token, sign);
    }
    const value = fact.kind === "boolean" ? this.#boolean(fact) : this.#literal(fact);
    return value.ok
      ? { ok: true, value: { kind: "compare", fact: fact.name, sign, value: value.value } }
      : value;
  }

  #wrongTest(fact: KnownFact, token: Token, test: string): { readonly ok: false; readonly reason: string } {
    const kind = fact.kind === "bytes" ? "number" : fact.kind;
    return refuse(
      token,
      `${fact.name} is a ${kind} fact and cannot be tested with ${test}; use ${OPERATORS[fact.kind]}`,
    );
  }

  #boolean(fact: KnownFact): Parsed<boolean> {
    const token = this.#peek();
    if (this.#takeWord("true")) return { ok: true, value: true };
    if (this.#takeWord("false")) return { ok: true, value: false };
    return expected(token, `true or false, because ${fact.name} is one of them`);
  }

  #literal(fact: KnownFact): Parsed<string | number> {
    const token = this.#next();
    if (fact.kind === "number" || fact.kind === "bytes") {
      if (token.kind === "number") return { ok: true, value: token.value };
      return expected(token, fact.kind === "bytes" ? "a size such as 10 MB" : "a number");
    }
    if (token.kind !== "text") return expected(token, 'text in quotes, such as "example.org"');
    const text = comparable(fact, token.text);
    if (fact.values !== undefined && !fact.values.includes(text)) {
      return refuse(
        token,
        `${fact.name} is never ${found(token)}, only ${fact.values.join(", ")}${didYouMean(text, fact.values)}`,
      );
    }
    return { ok: true, value: text };
  }

  #values(fact: KnownFact): Parsed<readonly (string | number)[]> {
    if (!this.#takeSign("[")) return expected(this.#peek(), '"[" and the values, as in: ["a", "b"]');
    const values: (string | number)[] = [];
    do {
      const value = this.#literal(fact);
      if (!value.ok) return value;
      values.push(value.value);
    } while (this.#takeSign(","));
    return this.#takeSign("]") ? { ok: true, value: values } : expected(this.#peek(), '"," or "]"');
  }

  #among(fact: KnownFact, token: Token): Parsed<Expression> {
    if (fact.kind === "list" || fact.kind === "boolean") return this.#wrongTest(fact, token, "in");
    const values = this.#values(fact);
    return values.ok ? { ok: true, value: { kind: "among", fact: fact.name, values: values.value } } : values;
  }

  #list(fact: KnownFact, token: Token, test: ListTest): Parsed<Expression> {
    if (fact.kind !== "list") return this.#wrongTest(fact, token, test);
    const values = this.#values(fact);
    if (!values.ok) return values;
    return { ok: true, value: { kind: "list", fact: fact.name, test, values: values.value.map(String) } };
  }

  #textTest(
    fact: KnownFact,
    token: Token,
    word: "contains" | "starts" | "ends" | "matches",
  ): Parsed<Expression> {
    if (word !== "contains" && word !== "matches" && !this.#takeWord("with")) {
      return expected(this.#peek(), `with, as in: ${fact.name} ${word} with "..."`);
    }
    const test = word === "starts" || word === "ends" ? (`${word} with` as const) : word;
    if (fact.kind !== "text" && fact.kind !== "list") return this.#wrongTest(fact, token, test);
    const operand = this.#next();
    if (operand.kind !== "text" || operand.text === "") {
      return expected(
        operand,
        test === "matches" ? 'a pattern in quotes, such as "*.example.org"' : "text in quotes",
      );
    }
    if (test !== "matches") {
      return {
        ok: true,
        value: { kind: "text", fact: fact.name, test, text: comparable(fact, operand.text) },
      };
    }
    const glob = parseGlob(operand.text);
    return glob.ok
      ? { ok: true, value: { kind: "glob", fact: fact.name, glob: glob.value } }
      : refuse(operand, glob.reason);
  }
}
