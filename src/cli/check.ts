// `gatepost check MAIL.eml`: the facts and the verdict for a file. Nothing is sent and nothing is kept.
import { readFileSync } from "node:fs";
import type { Config } from "../config/config.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { Finding } from "../rules/fact.ts";
import type { Explanation } from "../session/explain.ts";
import { askDaemon } from "./ask-daemon.ts";
import { CommandError, EXIT, type Terminal, wordsOf } from "./terminal.ts";

export interface CheckOptions {
  readonly file: string;
  readonly from: string | null;
  readonly to: readonly string[];
  readonly ip: string;
  readonly helo: string;
  readonly login: string | null;
  readonly json: boolean;
}

function findingLine(finding: Finding): string {
  const value =
    typeof finding.value === "object" ? finding.value.join(", ") || "(none)" : String(finding.value);
  return `  ${finding.fact.padEnd(26)} ${value}${finding.words === undefined ? "" : `   (${finding.words})`}`;
}

function editInWords(edit: HeaderEdit): string {
  switch (edit.kind) {
    case "add":
      return `header added: ${edit.name}: ${edit.value}`;
    case "subject":
      return `subject marked: "${edit.prefix}" … "${edit.suffix}"`;
    case "remove":
      return `header taken out: ${edit.name}`;
  }
}

/** The explanation as people read it. */
export function explanationText(explanation: Explanation): string {
  const lines = ["Facts", ...explanation.findings.map(findingLine)];
  for (const { address, direction, verdict } of explanation.recipients) {
    lines.push("", `${address} (${direction}): ${verdict.action.toUpperCase()}`, `  ${verdict.words}`);
    if (verdict.action !== "accept") lines.push(`  reply: ${verdict.replyCode} ${verdict.replyText}`);
    lines.push(...verdict.edits.map((edit) => `  ${editInWords(edit)}`));
    for (const outcome of verdict.outcomes) {
      const note = outcome.applied
        ? ""
        : outcome.mode === "observe"
          ? " (observed only)"
          : " (after the decision)";
      lines.push(`  rule ${outcome.rule}: ${outcome.action}${note}: ${outcome.words}`);
    }
  }
  return lines.join("\n");
}

/** Runs the command. */
export async function check(config: Config, options: CheckOptions, terminal: Terminal): Promise<number> {
  let message: Buffer;
  try {
    message = readFileSync(options.file);
  } catch (error) {
    throw new CommandError(EXIT.input, `The message "${options.file}" cannot be read: ${wordsOf(error)}`, {
      cause: error,
    });
  }
  const { file: _file, json, ...question } = options;
  const explanation = await askDaemon(config, "check", {
    ...question,
    messageBase64: message.toString("base64"),
  });
  if (json) terminal.data(JSON.stringify(explanation));
  else terminal.out(explanationText(explanation));
  return EXIT.ok;
}
