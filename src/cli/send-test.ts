// `gatepost send-test`: a message for the first run, sent like a stranger's mail to the gateway's own listener.
import type { Config } from "../config/config.ts";
import { sendMessage } from "../delivery/send-message.ts";
import { askDaemon } from "./ask-daemon.ts";
import { CommandError, EXIT, type Terminal, wordsOf } from "./terminal.ts";

// The test strings that every scanner knows: https://spamassassin.apache.org/gtube/ and https://www.eicar.org/
const GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const EICAR = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"].join("");

export interface SendTestOptions {
  readonly kind: "clean" | "spam" | "virus";
  readonly from: string;
  readonly to: string;
}

function testMessage(options: SendTestOptions, date: Date): string {
  const body = {
    clean:
      "Hello! This is a test message. Find it in the console's message log, with the reason for what became of it.",
    spam: GTUBE,
    virus: EICAR,
  }[options.kind];
  return [
    `Date: ${date.toUTCString().replace("GMT", "+0000")}`,
    `From: <${options.from}>`,
    `To: <${options.to}>`,
    `Subject: Gatepost test message (${options.kind})`,
    `Message-ID: <${date.getTime()}.${process.pid}@test.invalid>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "",
    body,
    "",
  ].join("\r\n");
}

/** A test string was found and refused for good: by then the message was read. A clean message should have been taken. */
export function isWhatTestsAreFor(kind: SendTestOptions["kind"], refusal: object): boolean {
  const code: unknown = Reflect.get(refusal, "responseCode");
  return (
    kind !== "clean" && Reflect.get(refusal, "command") === "DATA" && typeof code === "number" && code >= 500
  );
}

/** Sends it to the first listener that takes mail without a login, and says where to look. */
export async function sendTest(
  config: Config,
  options: SendTestOptions,
  terminal: Terminal,
): Promise<number> {
  const status = await askDaemon(config, "status", {});
  const listener = status.listeners.find(({ state, forStrangers }) => state === "listening" && forStrangers);
  if (listener === undefined) {
    throw new CommandError(
      EXIT.unavailable,
      "No listener is open that takes mail without a login; see the console's listeners page.",
    );
  }
  const colon = listener.listen.lastIndexOf(":");
  const host = listener.listen
    .slice(0, colon)
    .replace(/^\[|\]$/g, "")
    .replace(/^(0\.0\.0\.0|::)$/, "127.0.0.1");
  let code: number = EXIT.ok;
  try {
    const reply = await sendMessage({
      host,
      port: Number(listener.listen.slice(colon + 1)),
      from: options.from,
      to: options.to,
      message: testMessage(options, new Date()),
    });
    terminal.out(`The gateway answered: ${reply}`);
  } catch (error) {
    if (!(error instanceof Error) || !("responseCode" in error)) {
      throw new CommandError(
        EXIT.unavailable,
        `The listener "${listener.name}" on ${listener.listen} could not be spoken to: ${wordsOf(error)}`,
        { cause: error },
      );
    }
    terminal.out(`The gateway refused it: ${wordsOf(error)}`);
    if (!isWhatTestsAreFor(options.kind, error)) {
      code = EXIT.failed;
      if (options.kind !== "clean")
        terminal.out("It was not refused for what is in it: that was not tested.");
    }
  }
  terminal.out("Find it and the reason in the console under Message log, or with: gatepost log");
  return code;
}
