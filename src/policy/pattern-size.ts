// How large a regular expression becomes when it is compiled, told from its text before any of it is: compiling a hostile one is what
// takes the time. An upper bound, in instructions. Knows the shape of RE2's syntax, not its meaning. Pure.

export interface PatternSize {
  readonly size: number;
  /** Character classes beyond ASCII: \p{…}, and brackets that name such characters. */
  readonly unicodeClasses: number;
}

/** No sum in here grows beyond it. */
const MOST = 1e9;
const COUNTED = /\{(\d{1,9})(,(\d{0,9}))?\}/y;
const OPENING = /\((?:\?(?:P?<[^>]*>|[A-Za-z]*(?:-[A-Za-z]*)?(:|\))|[=!]|<[=!]))?/y;
const ESCAPED = /\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|x..|[0-7]{1,3}|.)/suy;
const BRACKET = /\[\^?\]?(?:\[:\^?[a-z]+:\]|\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|.)|[^\]\\])*\]?/suy;
const QUOTED = /\\Q(.*?)(?:\\E|$)/suy;
const BEYOND_ASCII = /\\[pP]|\\x\{|[^\u0000-\u007f]|\[:\^|\\[DSW]/u;

/** One level of parentheses while it is read: alternatives and sequences add up. */
interface Level {
  size: number;
  /** What a repetition would repeat: the last atom. */
  atom: number;
}

function at(expression: RegExp, text: string, position: number): RegExpExecArray | null {
  expression.lastIndex = position;
  return expression.exec(text);
}

/** What a repetition makes of an atom. (RE2 writes `x{2,5}` as `xx(x(x(x)?)?)?`.) */
function repeated(atom: number, counted: RegExpExecArray): number {
  const least = Number(counted[1]);
  const most = counted[2] === undefined ? least : counted[3] === "" ? least + 1 : Number(counted[3]);
  return Math.min(MOST, Math.max(least, most, 1) * (atom + 1));
}

class Reader {
  readonly #text: string;
  readonly #levels: Level[] = [{ size: 3, atom: 0 }];
  #unicodeClasses = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): PatternSize {
    let position = 0;
    while (position < this.#text.length) position = this.#step(position);
    // What is still open is refused when it is compiled.
    const size = this.#levels.reduce((sum, level) => sum + level.size, 0);
    return { size: Math.min(MOST, size), unicodeClasses: this.#unicodeClasses };
  }

  get #level(): Level {
    return this.#levels.at(-1) ?? { size: 0, atom: 0 };
  }

  #add(atom: number): void {
    const level = this.#level;
    level.atom = Math.min(MOST, atom);
    level.size = Math.min(MOST, level.size + level.atom);
  }

  /** Puts a repeated atom in the place of the atom. */
  #repeat(size: number): void {
    const level = this.#level;
    const { atom } = level;
    level.size = Math.min(MOST, level.size - atom + size);
    level.atom = size;
  }

  #step(position: number): number {
    switch (this.#text[position]) {
      case "\\":
        return this.#escape(position);
      case "[":
        return this.#bracket(position);
      case "(":
        return this.#open(position);
      case ")":
        return this.#close(position);
      case "|":
        this.#add(2);
        return position + 1;
      case "*":
      case "+":
      case "?":
        this.#repeat(this.#level.atom + 2);
        return position + 1;
      case "{":
        return this.#count(position);
      default:
        this.#add(1);
        return position + 1;
    }
  }

  #escape(position: number): number {
    const quoted = at(QUOTED, this.#text, position);
    if (quoted !== null) {
      for (const _ of quoted[1] ?? "") this.#add(1);
      return position + quoted[0].length;
    }
    const found = at(ESCAPED, this.#text, position)?.[0] ?? "\\";
    this.#addClass(found);
    return position + found.length;
  }

  #bracket(position: number): number {
    const found = at(BRACKET, this.#text, position)?.[0] ?? "[";
    this.#addClass(found);
    return position + found.length;
  }

  #addClass(text: string): void {
    const wide = BEYOND_ASCII.test(text);
    if (wide) this.#unicodeClasses++;
    this.#add(wide ? 3 : 1);
  }

  #open(position: number): number {
    const opening = at(OPENING, this.#text, position);
    const length = opening?.[0].length ?? 1;
    // `(?i)` alone opens nothing.
    if (opening?.[1] !== ")") this.#levels.push({ size: 3, atom: 0 });
    return position + length;
  }

  #close(position: number): number {
    const inner = this.#levels.length > 1 ? this.#levels.pop() : undefined;
    this.#add(inner?.size ?? 1);
    return position + 1;
  }

  #count(position: number): number {
    const counted = at(COUNTED, this.#text, position);
    if (counted === null) {
      this.#add(1);
      return position + 1;
    }
    this.#repeat(repeated(this.#level.atom, counted));
    return position + counted[0].length;
  }
}

/** An upper bound of what the expression becomes. Takes time linear in its text. */
export function patternSize(text: string): PatternSize {
  return new Reader(text).read();
}
