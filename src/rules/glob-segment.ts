// Finds a piece of a pattern that holds `?` in a text: 32 characters of the piece are compared at once (shift-and), so that no hostile text
// makes it slow. Pure but for its own scratch words.

const WORD_BITS = 32;

/** Tells where the piece first stands in `text` from `from` on, ending at `end` at the latest; -1: nowhere. */
export type SegmentSearch = (text: string, from: number, end: number) => number;

/** Bit i of the words of a character is set when the piece takes that character in its place i. */
function bitsOf(segment: string, words: number): { of: Map<number, Int32Array>; other: Int32Array } {
  const other = new Int32Array(words);
  const of = new Map<number, Int32Array>();
  for (const [i, char] of segment.split("").entries()) {
    const bit = 1 << (i % WORD_BITS);
    const word = Math.floor(i / WORD_BITS);
    if (char === "?") other[word] = (other[word] ?? 0) | bit;
    else if (!of.has(char.charCodeAt(0))) of.set(char.charCodeAt(0), new Int32Array(words));
  }
  for (const [code, bits] of of) {
    for (let word = 0; word < words; word++) bits[word] = other[word] ?? 0;
    for (let i = 0; i < segment.length; i++) {
      const word = Math.floor(i / WORD_BITS);
      if (segment.charCodeAt(i) === code) bits[word] = (bits[word] ?? 0) | (1 << (i % WORD_BITS));
    }
  }
  return { of, other };
}

/** Prepares the search for a piece in lower case; `?` stands for any one character. */
export function segmentSearch(segment: string): SegmentSearch {
  const words = Math.ceil(segment.length / WORD_BITS);
  const { of, other } = bitsOf(segment, words);
  const last = 1 << ((segment.length - 1) % WORD_BITS);
  const state = new Int32Array(words);
  return (text, from, end) => {
    state.fill(0);
    for (let at = from; at < end; at++) {
      const bits = of.get(text.charCodeAt(at)) ?? other;
      let carry = 1;
      for (let word = 0; word < words; word++) {
        const present = state[word] ?? 0;
        state[word] = ((present << 1) | carry) & (bits[word] ?? 0);
        carry = present >>> (WORD_BITS - 1);
      }
      if (((state[words - 1] ?? 0) & last) !== 0) return at + 1 - segment.length;
    }
    return -1;
  };
}
