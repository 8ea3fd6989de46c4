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

/** Parses and judges a message. */
export async function judge(
  message: Uint8Array,
  options: { readonly smtpUtf8?: boolean } = {},
): Promise<Judgement> {
  const script = join(import.meta.dirname, "check-report.py");
  const python = Bun.spawn(["python3", script, ...(options.smtpUtf8 === true ? ["--smtputf8"] : [])], {
    stdin: message,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(python.stdout).text(),
    new Response(python.stderr).text(),
    python.exited,
  ]);
  if (code !== 0) throw new Error(`python3 could not judge the message: ${err}`);
  return JSON.parse(out);
}

/** Values of a field in a group. */
export function valuesOf(group: Judgement["groups"][number] | undefined, field: string): readonly string[] {
  return (group ?? []).filter(([name]) => name === field).map(([, value]) => value);
}
