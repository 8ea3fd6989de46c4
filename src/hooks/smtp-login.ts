// Tries a login at a submission server (RFC 4954): AUTH PLAIN, or LOGIN where that is not offered. Sends no mail. No I/O of its own.
import { readReplyLine } from "../delivery/remote-reply.ts";
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

const MAX_REPLY_LINES = 100;

/** `hostname` is our name for EHLO; `client` is the address of who asks, an IP literal, or null. */
export function smtpLogin(hostname: string, client: string | null): LoginProtocol {
  const ehlo = async (dialogue: LineDialogue): Promise<readonly string[]> => {
    dialogue.send(`EHLO ${hostname}`);
    const { code, lines } = await reply(dialogue);
    if (code !== 250) throw new DialogueError(`EHLO was answered with ${quoted(lines.join(" "))}`);
    return lines.map((line) => line.toUpperCase());
  };
  return {
    goodbye: "QUIT",
    async greet(dialogue, { starttls }) {
      const { code, lines } = await reply(dialogue);
      if (code !== 220)
        throw new DialogueError(`the server greets with ${quoted(lines.join(" "))}; is it an SMTP server?`);
      if (!starttls) return;
      if (!(await ehlo(dialogue)).includes("STARTTLS"))
        throw new DialogueError(
          "the server offers no STARTTLS; set tls = implicit if it has a port for that",
        );
      dialogue.send("STARTTLS");
      const answer = await reply(dialogue);
      if (answer.code !== 220)
        throw new DialogueError(`STARTTLS was answered with ${quoted(answer.lines.join(" "))}`);
    },
    async prepare(dialogue) {
      let offered = await ehlo(dialogue);
      // Postfix and Dovecot begin anew after XCLIENT.
      if (client !== null && (await introduce(dialogue, offered, client))) offered = await ehlo(dialogue);
      const mechanisms = offered.find((line) => /^AUTH[ =]/.test(line))?.split(/[ =]/) ?? [];
      if (mechanisms.includes("PLAIN")) return (credentials) => authPlain(dialogue, credentials);
      if (mechanisms.includes("LOGIN")) return (credentials) => authLogin(dialogue, credentials);
      return noLogin("the server offers neither AUTH PLAIN nor LOGIN");
    },
  };
}

/** Tells a server that trusts us with it who is asking, so that it counts wrong passwords by that address. true: it was taken. */
async function introduce(
  dialogue: LineDialogue,
  offered: readonly string[],
  client: string,
): Promise<boolean> {
  const attributes = offered.find((line) => line.startsWith("XCLIENT "))?.split(" ") ?? [];
  if (!attributes.includes("ADDR")) return false;
  dialogue.send(`XCLIENT ADDR=${client.includes(":") ? "IPV6:" : ""}${client}`);
  return (await reply(dialogue)).code === 220;
}

async function authPlain(dialogue: LineDialogue, credentials: Credentials): Promise<LoginAnswer> {
  dialogue.send(`AUTH PLAIN ${saslPlain(credentials)}`);
  return judge(await reply(dialogue));
}

async function authLogin(dialogue: LineDialogue, { login, password }: Credentials): Promise<LoginAnswer> {
  const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");
  dialogue.send("AUTH LOGIN");
  for (const answer of [login, password]) {
    const asked = await reply(dialogue);
    if (asked.code !== 334) return judge(asked);
    dialogue.send(base64(answer));
  }
  return judge(await reply(dialogue));
}

interface SmtpReply {
  readonly code: number;
  /** Without the code. */
  readonly lines: readonly string[];
}

async function reply(dialogue: LineDialogue): Promise<SmtpReply> {
  const lines: string[] = [];
  for (let i = 0; i < MAX_REPLY_LINES; i++) {
    const line = await dialogue.line();
    const read = readReplyLine(line);
    // Within a reply of several lines, one without a code is text of it.
    if (read === null && i === 0)
      throw new DialogueError(`the server says ${quoted(line)}, which is no SMTP reply`);
    lines.push(read?.text ?? line);
    if (read?.more === false) return { code: Number(read.code), lines };
  }
  throw new DialogueError(`the server gave a reply of more than ${MAX_REPLY_LINES} lines`);
}

/** 535 and 525 are about the account. Others say so by 5.7.8 only; what is left is trouble of the server. (RFC 4954 §6, RFC 5248) */
function judge({ code, lines }: SmtpReply): LoginAnswer {
  if (code === 235) return RIGHT;
  const accountRefused =
    code === 535 || code === 525 || (code >= 500 && /^5\.7\.(?:8|13)\b/.test(lines[0] ?? ""));
  return accountRefused ? WRONG : unclear("AUTH", `${code} ${lines.join(" ")}`);
}
