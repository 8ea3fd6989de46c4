// Tries a login at an IMAP server (RFC 9051): AUTHENTICATE PLAIN, or LOGIN with literals where that is not offered. No I/O of its own.
import { DialogueError, type LineDialogue } from "./line-dialogue.ts";
import {
  type Credentials,
  type LoginAnswer,
  type LoginProtocol,
  noLogin,
  quoted,
  RIGHT,
  saslPlain,
  unclear,
  WRONG,
} from "./login-dialogue.ts";

/** Untagged lines a server may send before it answers a command. */
const MAX_UNTAGGED = 50;

/** `client` is the address of who asks, an IP literal, or null. */
export const imapLogin = (client: string | null): LoginProtocol => ({
  goodbye: "g9 LOGOUT",
  async greet(dialogue, { starttls }) {
    const greeting = await dialogue.line();
    if (!/^\* OK\b/i.test(greeting))
      throw new DialogueError(`the server greets with ${quoted(greeting)}; is it an IMAP server?`);
    if (!starttls) return;
    if (!(await capabilities(dialogue, "g1")).has("STARTTLS"))
      throw new DialogueError("the server offers no STARTTLS; set tls = implicit if it has a port for that");
    const { tagged } = await command(dialogue, "g2", "STARTTLS");
    if (!/^OK\b/i.test(tagged)) throw new DialogueError(`STARTTLS was answered with ${quoted(tagged)}`);
  },
  async prepare(dialogue) {
    const offered = await capabilities(dialogue, "g3");
    // RFC 2971. Dovecot takes these names from `login_trusted_networks`, and counts wrong passwords by that address then, not by ours.
    if (client !== null && offered.has("ID"))
      await command(dialogue, "g5", `ID ("name" "Gatepost" "x-originating-ip" "${client}")`);
    if (offered.has("AUTH=PLAIN"))
      return (credentials) => authenticatePlain(dialogue, credentials, offered.has("SASL-IR"));
    if (!offered.has("LOGINDISABLED")) return (credentials) => loginWithLiterals(dialogue, credentials);
    return noLogin("the server offers neither AUTH=PLAIN nor LOGIN");
  },
});

async function authenticatePlain(
  dialogue: LineDialogue,
  credentials: Credentials,
  initial: boolean,
): Promise<LoginAnswer> {
  const response = saslPlain(credentials);
  if (initial) {
    dialogue.send(`g4 AUTHENTICATE PLAIN ${response}`);
    return judge(await answerTo(dialogue, "g4"), "AUTHENTICATE");
  }
  dialogue.send("g4 AUTHENTICATE PLAIN");
  const asked = await answerTo(dialogue, "g4");
  if (!asked.goOn) return unclear("AUTHENTICATE PLAIN", asked.tagged);
  dialogue.send(response);
  return judge(await answerTo(dialogue, "g4"), "AUTHENTICATE");
}

/** Literals are counted, not quoted: nothing in a login or password can become a command (RFC 9051 §4.3). */
async function loginWithLiterals(
  dialogue: LineDialogue,
  { login, password }: Credentials,
): Promise<LoginAnswer> {
  dialogue.send(`g4 LOGIN {${Buffer.byteLength(login)}}`);
  const first = await answerTo(dialogue, "g4");
  if (!first.goOn) return unclear("LOGIN", first.tagged);
  dialogue.send(`${login} {${Buffer.byteLength(password)}}`);
  const second = await answerTo(dialogue, "g4");
  if (!second.goOn) return judge(second, "LOGIN");
  dialogue.send(password);
  return judge(await answerTo(dialogue, "g4"), "LOGIN");
}

interface Answered {
  /** The server wants more (`+`). */
  readonly goOn: boolean;
  /** The tagged answer without its tag, or the BYE. */
  readonly tagged: string;
  readonly untagged: readonly string[];
}

async function command(dialogue: LineDialogue, tag: string, text: string): Promise<Answered> {
  dialogue.send(`${tag} ${text}`);
  return answerTo(dialogue, tag);
}

async function answerTo(dialogue: LineDialogue, tag: string): Promise<Answered> {
  const untagged: string[] = [];
  for (let i = 0; i < MAX_UNTAGGED; i++) {
    const line = await dialogue.line();
    if (line.startsWith("+")) return { goOn: true, tagged: "", untagged };
    if (line.startsWith(`${tag} `)) return { goOn: false, tagged: line.slice(tag.length + 1), untagged };
    if (/^\* BYE\b/i.test(line)) return { goOn: false, tagged: line.slice(2), untagged };
    untagged.push(line);
  }
  throw new DialogueError(`the server gave ${MAX_UNTAGGED} lines and no answer`);
}

async function capabilities(dialogue: LineDialogue, tag: string): Promise<ReadonlySet<string>> {
  const { untagged } = await command(dialogue, tag, "CAPABILITY");
  const line = untagged.find((one) => /^\* CAPABILITY /i.test(one)) ?? "";
  return new Set(line.toUpperCase().split(" ").slice(2));
}

/** RFC 5530: a NO may say that the server has trouble of its own, which says nothing of the password. */
const TROUBLE =
  /^NO \[(?:UNAVAILABLE|CONTACTADMIN|INUSE|SERVERBUG|CLIENTBUG|LIMIT|OVERQUOTA|PRIVACYREQUIRED|CANNOT)\b/i;

function judge({ goOn, tagged }: Answered, what: string): LoginAnswer {
  if (goOn) return unclear(what, "+");
  if (/^OK\b/i.test(tagged)) return RIGHT;
  if (/^NO\b/i.test(tagged) && !TROUBLE.test(tagged)) return WRONG;
  return unclear(what, tagged);
}
