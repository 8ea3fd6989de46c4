// Python's email package with the field rules of the RFCs (`check-report.py`) as an independent judge of the mail we write.
import { join } from "node:path";
import { hasPython } from "./notice-kit.ts";

export interface Judgement {
  /** Empty: nothing is wrong with it. */
  readonly problems: readonly string[];
  readonly reportType: string | null;
  readonly from: string;
  readonly to: string;
  /** Decoded. */
  readonly subject: string;
  /** The first part. */
  readonly text: string;
  /** Fields of the second part, by group. */
  readonly groups: readonly (readonly (readonly [string, string])[])[];
  /** The third part, when it is a header section. */
  readonly third: string;
}

if (!hasPython)
  console.warn("SKIPPED: python3 is missing, mail we write is not checked by an independent parser");

interface Judge {
  ask(question: object): Promise<Judgement>;
  isThere(): boolean;
}

/** One process for all questions: starting Python takes longer than judging a hundred messages. */
function startJudge(): Judge {
  const python = Bun.spawn(["python3", join(import.meta.dirname, "check-report.py")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  python.unref();
  const answers = python.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const nextLine = async (): Promise<string> => {
    for (let end = rest.indexOf("\n"); ; end = rest.indexOf("\n")) {
      if (end >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        return line;
      }
      const { value, done } = await answers.read();
      if (done) throw new Error("python3 could not judge the message");
      rest += value;
    }
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    ask(question) {
      const answer = last.then(async () => {
        python.stdin.write(`${JSON.stringify(question)}\n`);
        await python.stdin.flush();
        return JSON.parse(await nextLine()) as Judgement;
      });
      last = answer.catch(() => {});
      return answer;
    },
    isThere: () => python.exitCode === null && python.signalCode === null,
  };
}

let judging: Judge | null = null;

/** Parses and judges a message. */
export function judge(
  message: Uint8Array,
  options: { readonly smtpUtf8?: boolean } = {},
): Promise<Judgement> {
  if (judging?.isThere() !== true) judging = startJudge();
  return judging.ask({ raw: Buffer.from(message).toString("base64"), utf8: options.smtpUtf8 === true });
}

/** Values of a field in a group. */
export function valuesOf(group: Judgement["groups"][number] | undefined, field: string): readonly string[] {
  return (group ?? []).filter(([name]) => name === field).map(([, value]) => value);
}
