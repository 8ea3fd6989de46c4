// What the dialogues of IMAP, POP3 and SMTP have in common when a password is tried: the question, the answer, AUTH PLAIN.
import type { LineDialogue } from "./line-dialogue.ts";

/** A login and a password as the client gave them; neither has NUL, CR or LF in it. */
export interface Credentials {
  readonly login: string;
  readonly password: string;
}

/** `unavailable`: the server gave no clear answer; the words are for the administrator. */
export type LoginAnswer =
  | { readonly result: "right" | "wrong" }
  | { readonly result: "unavailable"; readonly words: string };

/** Tries the login once. Sends the password at most once. */
export type TryLogin = (credentials: Credentials) => Promise<LoginAnswer>;

/** How one protocol asks, for one connection. The greeting has not been read yet. */
export interface LoginProtocol {
  /** Reads the greeting; with `starttls` it gets the connection to where the handshake may begin. */
  greet(dialogue: LineDialogue, options: { readonly starttls: boolean }): Promise<void>;
  /** Over TLS: finds out what the server offers and tells it who is asking, where it wants to know. */
  prepare(dialogue: LineDialogue): Promise<TryLogin>;
  /** The last word. */
  readonly goodbye: string;
}

export const RIGHT: LoginAnswer = { result: "right" };
export const WRONG: LoginAnswer = { result: "wrong" };

/** For a server that offers nothing we know. */
export function noLogin(words: string): TryLogin {
  return () => Promise.resolve({ result: "unavailable", words });
}

/** The server answered, but not the question. `line` is quoted, cut and made printable. */
export function unclear(what: string, line: string): LoginAnswer {
  return { result: "unavailable", words: `${what} was answered with ${quoted(line)}` };
}

/** What a server said, fit for the log. */
export function quoted(line: string): string {
  return `"${line.slice(0, 160).replace(/[^\x20-\x7e]/g, "?")}"`;
}

/** The response of SASL PLAIN, in base64 (RFC 4616 §2). */
export function saslPlain({ login, password }: Credentials): string {
  return Buffer.from(`\0${login}\0${password}`, "utf8").toString("base64");
}
