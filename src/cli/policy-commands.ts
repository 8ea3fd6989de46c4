// `gatepost plan FILE`, `gatepost apply FILE` and `gatepost export`: the policy as a file.
import { readFileSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { planText } from "../policy/plan-text.ts";
import type { PlanResult } from "../policy/settings.ts";
import { askDaemon } from "./ask-daemon.ts";
import { CommandError, EXIT, type Terminal, wordsOf } from "./terminal.ts";

function readPolicyFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandError(EXIT.input, `The policy file "${file}" cannot be read: ${wordsOf(error)}`, {
      cause: error,
    });
  }
}

function report(result: PlanResult, done: boolean, terminal: Terminal): number {
  const text = planText(result, { done }).trimEnd();
  if (result.ok) terminal.out(text);
  else terminal.err(text);
  if (!result.ok) return EXIT.config;
  return result.unfinished === undefined ? EXIT.ok : EXIT.failed;
}

/** Shows what `apply` would change. */
export async function plan(
  config: Config,
  options: { readonly file: string; readonly prune: boolean },
  terminal: Terminal,
): Promise<number> {
  const text = readPolicyFile(options.file);
  return report(await askDaemon(config, "plan", { text, prune: options.prune }), false, terminal);
}

/** Carries a policy file out; prints what changed. Ends with 1 when what is set now could not all be done. */
export async function apply(
  config: Config,
  options: { readonly file: string; readonly prune: boolean },
  terminal: Terminal,
): Promise<number> {
  const text = readPolicyFile(options.file);
  return report(await askDaemon(config, "apply", { text, prune: options.prune }), true, terminal);
}

/** Prints the whole policy as a file that `apply` takes; secrets and hashes of passwords as `***` unless they are asked for. */
export async function exportPolicy(
  config: Config,
  options: { readonly secrets: boolean },
  terminal: Terminal,
): Promise<number> {
  const { text } = await askDaemon(config, "export", options);
  terminal.data(text);
  return EXIT.ok;
}
