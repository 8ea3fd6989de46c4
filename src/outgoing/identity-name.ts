// The name of an identity as it is kept: what a person reads as one name is one, whatever invisible characters, letters of other
// alphabets or spellings of Unicode it is written with. Otherwise each spelling would be a new identity, with limits of its own and no lock.
import { addressKey } from "../message/address.ts";

const MAX_IDENTITY = 200;
const PLAIN = /^[\x20-\x7e]*$/;
/** Takes no room or shows nothing: joiners, marks of direction, variation selectors, tags, fillers, controls, private use. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Cs}\p{Co}\u2028\u2029\u2800]/gu;
/** A run of letters. */
const LETTERS = /\p{L}+/gu;

/** Lower-case letters that look like Latin ones (Unicode TS 39, the common ones of Cyrillic, Greek and Armenian). */
const LOOKS_LIKE: ReadonlyMap<string, string> = new Map(
  "аa еe оo рp сc уy хx іi јj ѕs һh ԁd ԛq ԝw ӏl αa εe ιi κk νv οo ρp τt υu χx օo սu հh"
    .split(" ")
    .map((pair) => [pair.slice(0, 1), pair.slice(1)]),
);

/** A run that mixes alphabets is read as Latin; a word of another language stays one. */
function asRead(run: string): string {
  if (PLAIN.test(run)) return run;
  const letters = [...run];
  if (!letters.some((letter) => PLAIN.test(letter))) return run;
  return letters.map((letter) => LOOKS_LIKE.get(letter) ?? letter).join("");
}

/** The name, in lower case and at most 200 characters; null when nothing of it is left. */
export function identityName(text: string): string | null {
  const name = PLAIN.test(text)
    ? addressKey(text)
    : addressKey(text.normalize("NFKC").replace(INVISIBLE, "")).normalize("NFKC").replace(LETTERS, asRead);
  const short = name
    .trim()
    .replace(/\s+/gu, " ")
    .slice(0, MAX_IDENTITY)
    // Never half a surrogate pair at the end.
    .replace(/[\ud800-\udbff]$/, "")
    .trim();
  return short === "" ? null : short;
}
