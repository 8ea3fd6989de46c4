// Measures what many identities cost outgoing control, in a process of its own: memory, and CPU for the answers about a message.
import { mkdirSync, rmSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import type { IdentitiesCounted } from "./child/count-identities.ts";
import type { ContestantName } from "./contestant.ts";
import { spread, spreadText } from "./figures.ts";
import { machineCpuSeconds, waitForQuiet } from "./quiet-machine.ts";
import type { IdentitiesResult } from "./result.ts";
import type { IdentitiesWorkload } from "./workload.ts";

const root = join(import.meta.dirname, "../..");

/** Sends the day's mail of all identities in a fresh process over a fresh database. */
export async function measureIdentities(
  { name, identities, messagesEach }: IdentitiesWorkload,
  {
    contestant,
    round,
    scale,
  }: { readonly contestant: ContestantName; readonly round: number; readonly scale: number },
  scratch: string,
): Promise<IdentitiesResult> {
  const folder = join(scratch, `identities-${round}`);
  mkdirSync(folder, { recursive: true });
  const quiet = await waitForQuiet();
  const begun = { at: performance.now(), machine: machineCpuSeconds() };
  const count = Math.max(1000, Math.round(identities * scale));
  const child = Bun.spawn(
    [process.execPath, "test/bench/child/count-identities.ts", folder, String(count), String(messagesEach)],
    { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const said = await new Response(child.stdout).text();
  if ((await child.exited) !== 0)
    throw new Error(`The process with the identities ended with ${child.exitCode}`);
  const counted = JSON.parse(said) as IdentitiesCounted;
  const own = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  const foreignCpuSeconds = Math.max(0, machineCpuSeconds() - begun.machine - own);
  const wallSeconds = (performance.now() - begun.at) / 1000;
  rmSync(folder, { recursive: true, force: true });
  return {
    kind: "identities",
    at: new Date().toISOString(),
    workload: name,
    contestant,
    round,
    quiet,
    load: loadavg()[0] ?? 0,
    foreignCpuSeconds,
    foreignShare: foreignCpuSeconds / wallSeconds / cpus().length,
    ...counted,
  };
}

/** The lines of the summary. */
export function identityLines(rounds: readonly IdentitiesResult[]): readonly string[] {
  const over = (digits: number, what: (result: IdentitiesResult) => number) =>
    spreadText(spread(rounds.map(what)), digits);
  const [first] = rounds;
  if (first === undefined) return [];
  return [
    `  ${first.identities} identities, ${first.messages} messages: ${over(0, (one) => one.addedMb)} MB of memory added (${over(0, (one) => one.residentMb)} MB in all), ${over(1, (one) => one.answersUs)} µs CPU for the answers about a message`,
    `  saving every 20 s takes ${over(1, (one) => one.saveMs)} ms CPU; the next start loads them in ${over(2, (one) => one.loadSeconds)} s; ${over(0, (one) => one.databaseMb)} MB on disk`,
  ];
}
