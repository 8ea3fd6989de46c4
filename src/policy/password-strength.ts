// How strong a password is, with a reason a person understands (requirement L5). No I/O; time bounded by cutting the input.
import { type OptionsGraph, ZxcvbnFactory } from "@zxcvbn-ts/core";
import { COMMON_PASSWORDS } from "./common-passwords.ts";
import { guessedEarly } from "./password-patterns.ts";

export interface PasswordStrength {
  /** 0 (guessed at once) to 4 (very strong). */
  readonly score: 0 | 1 | 2 | 3 | 4;
  readonly ok: boolean;
  /** What is wrong and what to do, or why it is fine. */
  readonly words: string;
}

const MIN_PASSWORD_LENGTH = 10;
const MAX_PASSWORD_LENGTH = 256;
/** zxcvbn's time grows with the square of the length; what follows can only make a password stronger. */
const JUDGED_CHARACTERS = 72;
/** 10⁸ guesses: out of reach of anyone who has to ask a mail server, and dear against argon2id. */
const LEAST_SCORE = 3;

const KEYBOARD_ROWS = [
  "1234567890",
  "qwertyuiop",
  "asdfghjkl",
  "zxcvbnm",
  "qwertzuiop",
  "yxcvbnm",
  "azertyuiop",
];

function keyboard(rows: readonly string[]): OptionsGraph[string] {
  const graph: OptionsGraph[string] = {};
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const key = row.charAt(i);
      graph[key] = [...(graph[key] ?? []), row.charAt(i - 1) || null, row.charAt(i + 1) || null];
    }
  }
  return graph;
}

const judge = new ZxcvbnFactory({
  dictionary: { passwords: [...COMMON_PASSWORDS] },
  graphs: { keyboard: keyboard(KEYBOARD_ROWS) },
  maxLength: JUDGED_CHARACTERS,
});

const REASONS: Readonly<Record<string, string>> = {
  straightRow: "it is a row of the keyboard",
  keyPattern: "it follows a pattern on the keyboard",
  simpleRepeat: "it repeats the same character",
  extendedRepeat: "it repeats the same few characters",
  sequences: "it is a sequence such as abc or 6543",
  recentYears: "it contains a year, which is guessed early",
  dates: "it contains a date, which is guessed early",
  topTen: "it is one of the passwords people use most",
  topHundred: "it is one of the passwords people use most",
  common: "it is a password many people use",
  similarToCommon: "it is close to a password many people use",
  wordByItself: "a single word is guessed quickly",
  userInputs: "it is made of the login",
};

const ADVICE = "use three or four words that have nothing to do with each other";

/** Judges a password. `own` are words near its owner (login, domain, host name) that must not carry it. */
export function judgePassword(password: string, own: readonly string[]): PasswordStrength {
  if (password.length > MAX_PASSWORD_LENGTH) {
    return { score: 0, ok: false, words: `is longer than ${MAX_PASSWORD_LENGTH} characters` };
  }
  const lower = password.toLowerCase();
  const names = own.map((name) => name.toLowerCase());
  const parts = [...new Set(names.flatMap((name) => [name, ...name.split(/[@.\s_+-]+/)]))].filter(
    (part) => part.length > 2,
  );
  const { score, feedback } = judge.check(password.slice(0, JUDGED_CHARACTERS), parts.slice(0, 50));
  const contained = names.find((name) => name.length > 3 && lower.includes(name));
  const reason = feedback.warning === null ? undefined : REASONS[feedback.warning];
  if (password.length < MIN_PASSWORD_LENGTH) {
    const also = reason === undefined ? "" : `, and ${reason}`;
    return {
      score: score === 0 ? 0 : 1,
      ok: false,
      words: `is too weak: it has ${password.length} characters, at least ${MIN_PASSWORD_LENGTH} are needed${also}; ${ADVICE}`,
    };
  }
  if (contained !== undefined) {
    // The first of the names is the login; its local part may be among the others.
    const what = names[0]?.startsWith(contained) === true ? "the login" : `"${contained}"`;
    return { score: 1, ok: false, words: `is too weak: it contains ${what}; ${ADVICE}` };
  }
  const early = score >= LEAST_SCORE ? guessedEarly(password, names) : null;
  if (early !== null) return { score: 2, ok: false, words: `is too weak: ${early}; ${ADVICE}` };
  if (score >= LEAST_SCORE) return { score, ok: true, words: "is strong: nobody will guess it soon" };
  return { score, ok: false, words: `is too weak: ${reason ?? "it can be guessed"}; ${ADVICE}` };
}

/**
 * Why this password is refused for this login, or null when it is strong enough. `near`: further names around its owner
 * (the sender's domain, our host name).
 */
export function refuseWeakPassword(
  password: string,
  login: string,
  near: readonly string[] = [],
): string | null {
  const local = login.slice(0, Math.max(0, login.lastIndexOf("@")));
  const strength = judgePassword(
    password,
    [login, local, ...near].filter((name) => name !== ""),
  );
  return strength.ok ? null : strength.words;
}
