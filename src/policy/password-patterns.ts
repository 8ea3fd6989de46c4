// Patterns that guessers try early and that zxcvbn does not know without large word lists: one word with a number, walks over the
// keyboard, names near the owner. Pure; time linear in the password.

/** Words that belong to any account of this product: they add nothing to a password. */
const ACCOUNT_WORDS = [
  "gatepost",
  "password",
  "passwort",
  "passwd",
  "kennwort",
  "welcome",
  "willkommen",
  "account",
  "gateway",
  "server",
  "secret",
  "relay",
  "login",
  "admin",
  "email",
  "mail",
  "smtp",
  "user",
  "test",
];
/** Letters that must be left when the names near the owner are taken out. */
const LEAST_LEFT = 6;
const LEAST_DISTINCT = 5;
const LONGEST_WORD = 13;
const MOST_ADDED = 7;
/** Characters that may stand beside the walks over the keyboard. */
const MOST_UNWALKED = 3;
const SHORTEST_WALK = 3;

const LOOK_ALIKES: Readonly<Record<string, string>> = {
  "0": "o",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "8": "b",
  "@": "a",
  $: "s",
  "€": "e",
};

/** What 1, ! and | stand for; `none`: figures and signs are no letters. */
const READINGS = ["i", "l", "none"] as const;

/** The letters of a password as a person reads them. */
function letters(password: string, one: (typeof READINGS)[number]): string {
  const read = (character: string): string =>
    one === "none" ? character : (LOOK_ALIKES[character] ?? (/[1!|]/.test(character) ? one : character));
  return [...password.toLowerCase()]
    .map(read)
    .filter((character) => /\p{L}/u.test(character))
    .join("");
}

function reversed(text: string): string {
  return [...text].reverse().join("");
}

/** Is there next to nothing left when the names near the owner are taken out, written forward or backward? */
function madeOfNames(password: string, names: readonly string[]): boolean {
  const parts = names
    .flatMap((name) => [name, ...name.split(/[^\p{L}\p{N}]+/u)])
    .flatMap((part) => READINGS.map((one) => letters(part, one)))
    .filter((part) => part.length > 2);
  const known = [...new Set([...parts, ...ACCOUNT_WORDS].flatMap((part) => [part, reversed(part)]))];
  known.sort((a, b) => b.length - a.length);
  return READINGS.some((one) => {
    const all = letters(password, one);
    const rest = known.reduce((text, part) => text.replaceAll(part, ""), all);
    return rest.length < all.length && rest.length < LEAST_LEFT;
  });
}

/** `Sommer2025!`: one run of letters that can be spoken, and some figures or signs. */
function oneWordWithMore(password: string): boolean {
  const runs = password.match(/\p{L}+/gu) ?? [];
  const [word = ""] = runs;
  if (runs.length !== 1 || word.length > LONGEST_WORD || password.length - word.length > MOST_ADDED)
    return false;
  // Letters drawn at random have long runs without a vowel.
  return !/[bcdfghjklmnpqrstvwxz]{6}/i.test(word);
}

const WALKS = [
  ...[
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
  ],
  ...["1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol", "1qay", "6zhn", "1aqw", "2zsx"],
];
/** The same keys with shift, on the keyboards most people have. */
const SHIFTED: Readonly<Record<string, string>> = {
  "!": "1",
  "@": "2",
  '"': "2",
  "#": "3",
  "§": "3",
  $: "4",
  "%": "5",
  "^": "6",
  "&": "7",
  "*": "8",
  "(": "9",
  ")": "0",
};
const NEIGHBOURS = new Set(
  WALKS.flatMap((walk) =>
    [...walk].slice(1).flatMap((key, i) => [`${walk.charAt(i)}${key}`, `${key}${walk.charAt(i)}`]),
  ),
);

/** Rows, columns and repeated keys make up all of it but a few characters. */
function walkedOnKeyboard(password: string): boolean {
  const keys = [...password.toLowerCase()].map((key) => SHIFTED[key] ?? key);
  let unwalked = 0;
  let run = 1;
  keys.forEach((key, i) => {
    const next = keys[i + 1];
    if (next !== undefined && (next === key || NEIGHBOURS.has(`${key}${next}`))) {
      run++;
      return;
    }
    if (run < SHORTEST_WALK) unwalked += run;
    run = 1;
  });
  return unwalked <= MOST_UNWALKED;
}

/** What is wrong with a password of sufficient length, in words that follow "is too weak:", or null. `names`: login, domain, host. */
export function guessedEarly(password: string, names: readonly string[]): string | null {
  if (new Set(password.toLowerCase()).size < LEAST_DISTINCT)
    return `it has fewer than ${LEAST_DISTINCT} different characters`;
  if (walkedOnKeyboard(password)) return "it follows the rows or columns of the keyboard";
  if (madeOfNames(password, names)) return "it is made of the login, the domain or words every account has";
  if (oneWordWithMore(password)) return "it is one word with figures or signs added, which is guessed early";
  return null;
}
