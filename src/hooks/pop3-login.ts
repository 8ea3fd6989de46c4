// Tries a login at a POP3 server (RFC 1939, RFC 5034): AUTH PLAIN, or USER and PASS where that is not offered. No I/O of its own.
import { DialogueError, type LineDialogue } from "./line-dialogue.ts";
import {
  type Credentials,
  type LoginAnswer,
  type LoginProtocol,
  quoted,
  RIGHT,
  saslPlain,
  unclear,
  WRONG,
} from "./login-dialogue.ts";

/** RFC 2449 §4: a command has at most 255 octets; a longer response goes on a line of its own. */
const MAX_COMMAND_BYTES = 253;
const MAX_CAPABILITIES = 100;

/** `client` is the address of who asks, an IP literal, or null. */
export function pop3Login(client: string | null): LoginProtocol {
  let wantsClient = false;
  return {
    goodbye: "QUIT",
    async greet(dialogue, { starttls }) {
      const greeting = await dialogue.line();
      if (!isOk(greeting))
        throw new DialogueError(`the server greets with ${quoted(greeting)}; is it a POP3 server?`);
      wantsClient = /\[XCLIENT\]/i.test(greeting);
      if (!starttls) return;
      dialogue.send("STLS");
      const answer = await dialogue.line();
      if (!isOk(answer))
        throw new DialogueError(
          `STLS was answered with ${quoted(answer)}; set tls = implicit if the server has a port for that`,
        );
    },
    async prepare(dialogue) {
      const offered = await capabilities(dialogue);
      if (client !== null && (wantsClient || offered.some((line) => /^XCLIENT\b/i.test(line)))) {
        // Dovecot's, for `login_trusted_networks`: it counts wrong passwords by that address then, not by ours.
        dialogue.send(`XCLIENT ADDR=${client}`);
        await dialogue.line();
      }
      const sasl = offered.find((line) => /^SASL /i.test(line)) ?? "";
      // A server without CAPA is an old one: USER and PASS are all it knows.
      return sasl.toUpperCase().split(" ").includes("PLAIN")
        ? (credentials) => authPlain(dialogue, credentials)
        : (credentials) => userAndPass(dialogue, credentials);
    },
  };
}

async function authPlain(dialogue: LineDialogue, credentials: Credentials): Promise<LoginAnswer> {
  const response = saslPlain(credentials);
  const short = `AUTH PLAIN ${response}`;
  if (short.length <= MAX_COMMAND_BYTES) {
    dialogue.send(short);
    return judge(await dialogue.line(), "AUTH");
  }
  dialogue.send("AUTH PLAIN");
  const asked = await dialogue.line();
  if (!asked.startsWith("+ ") && asked !== "+") return unclear("AUTH PLAIN", asked);
  dialogue.send(response);
  return judge(await dialogue.line(), "AUTH");
}

async function userAndPass(dialogue: LineDialogue, { login, password }: Credentials): Promise<LoginAnswer> {
  dialogue.send(`USER ${login}`);
  const known = await dialogue.line();
  if (!isOk(known)) return judge(known, "USER");
  dialogue.send(`PASS ${password}`);
  return judge(await dialogue.line(), "PASS");
}

async function capabilities(dialogue: LineDialogue): Promise<readonly string[]> {
  dialogue.send("CAPA");
  if (!isOk(await dialogue.line())) return [];
  const lines: string[] = [];
  for (let i = 0; i < MAX_CAPABILITIES; i++) {
    const line = await dialogue.line();
    if (line === ".") return lines;
    lines.push(line);
  }
  throw new DialogueError(`the server lists more than ${MAX_CAPABILITIES} capabilities`);
}

function isOk(line: string): boolean {
  return /^\+OK\b/i.test(line);
}

function judge(line: string, what: string): LoginAnswer {
  if (isOk(line)) return RIGHT;
  if (!/^-ERR\b/i.test(line)) return unclear(what, line);
  // RFC 2449 §8.1.1: the password was right, another session has the mailbox.
  if (/^-ERR \[IN-USE\]/i.test(line)) return RIGHT;
  // RFC 3206: SYS is the server's own trouble; LOGIN-DELAY says nothing of the password.
  return /^-ERR \[(?:SYS\/|LOGIN-DELAY)/i.test(line) ? unclear(what, line) : WRONG;
}
