// What one user of the gateway can do to the others: it takes more than its share in a 512 MB cgroup while small mail of somebody else is timed
// from its first octet to its arrival. No figure where there is no cgroup to put it in.
import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { freePorts, waitForGreeting } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import type { ContestantName } from "./contestant.ts";
import { openCage } from "./memory-cage.ts";
import { machineCpuSeconds, waitForQuiet } from "./quiet-machine.ts";
import type { UnfairResult } from "./result.ts";
import { probe, slowestWords, startArrivals, timeAt, timeOthers } from "./unfair-probes.ts";
import { SCENES, type Scene } from "./unfair-scenes.ts";
import type { UnfairWorkload } from "./workload.ts";

function policyFor(mx: number, sink: number): string {
  const domain = (name: string) =>
    `[[domain]]\nname = "${name}"\nroutes = [{ host = "127.0.0.1", port = ${sink}, tls = "none" }]\nrecipients = { verify = "catch-all" }\nrules = ["virus", "dangerous-attachments"]\n`;
  return `[[listener]]\nname = "mx"\nlisten = "127.0.0.1:${mx}"\ngreeting_delay = 0\n${domain("example.test")}${domain("other.test")}`;
}

/** The scenes one after the other, each with a fresh gateway in its own cgroup; UNFAIR_SCENES (a pattern) picks some by their names. */
export async function measureUnfair(
  { name }: UnfairWorkload,
  { contestant, round }: { readonly contestant: ContestantName; readonly round: number },
  binary: string,
): Promise<UnfairResult> {
  const quiet = await waitForQuiet();
  const begun = { at: performance.now(), machine: machineCpuSeconds() };
  const wanted = new RegExp(process.env.UNFAIR_SCENES ?? "");
  const scenes: UnfairResult["scenes"][number][] = [];
  for (const scene of SCENES.filter(({ name }) => wanted.test(name)))
    scenes.push(await playScene(scene, binary));
  // What the gateway, its senders and its receivers use cannot be told from what others do here: the most it can have been.
  const foreignCpuSeconds = Math.max(0, machineCpuSeconds() - begun.machine);
  const wallSeconds = (performance.now() - begun.at) / 1000;
  return {
    kind: "unfair",
    at: new Date().toISOString(),
    workload: name,
    contestant,
    round,
    quiet,
    load: loadavg()[0] ?? 0,
    foreignCpuSeconds,
    foreignShare: Math.max(0, foreignCpuSeconds / wallSeconds / cpus().length - 1),
    scenes,
  };
}

async function playScene(scene: Scene, binary: string): Promise<UnfairResult["scenes"][number]> {
  const cage = openCage();
  if (cage === null)
    return { name: scene.name, skipped: "no memory cgroup can be made here (root is needed)" };
  const arrivals = await startArrivals();
  const { mx } = await freePorts("mx");
  const gateway = await runGateway({ policy: policyFor(mx, arrivals.port), binary, launcher: cage.launcher });
  try {
    await waitForGreeting(mx);
    // The workers start with the first message.
    await probe(mx, "0");
    const unfair = await scene.begin(gateway, { mx });
    const { times, refusals } = await timeOthers(mx, arrivals.arrived, unfair.going);
    const died = cage.killed() || !existsSync(`/proc/${gateway.pid()}`);
    await unfair.end();
    return {
      name: scene.name,
      skipped: null,
      probes: times.length,
      medianMs: timeAt(times, 0.5),
      p99Ms: timeAt(times, 0.99),
      worstMs: timeAt(times, 1),
      slowest: slowestWords(times),
      refusal: refusals[0] ?? null,
      died,
      peakMb: cage.peakBytes() / 1e6,
      words: unfair.words(),
    };
  } finally {
    await gateway.dispose().catch(() => {});
    arrivals.close();
    await Bun.sleep(200);
    cage.remove();
  }
}

/** The lines of the summary. */
export function unfairLines(rounds: readonly UnfairResult[]): readonly string[] {
  return rounds.flatMap(({ scenes }) =>
    scenes.map((scene) => {
      if (scene.skipped !== null) return `  SKIPPED ${scene.name}: ${scene.skipped}`;
      const time = (ms: number) => (Number.isFinite(ms) ? `${ms.toFixed(0)} ms` : "NEVER");
      const refusal = scene.refusal === null ? "" : `; refused: ${scene.refusal}`;
      return `  ${scene.name}: ${scene.died ? "DIED" : "alive"}, ${scene.words}; others: p99 ${time(scene.p99Ms)}, median ${time(scene.medianMs)}, worst ${time(scene.worstMs)} of ${scene.probes} (${scene.slowest})${refusal}; peak ${scene.peakMb.toFixed(0)} MB with file pages`;
    }),
  );
}
