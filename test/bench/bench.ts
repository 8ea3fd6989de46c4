// `npm run bench`: the built gateway and others take the same mail side by side in one run; prints ratios, and the goals beside
// them. Raw results go to bench-results/. A run in which a message was lost or doubled prints no figure and fails.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startDnsServer } from "../dns-server.ts";
import { findProgram, mustRun } from "../peers/run-command.ts";
import { type ContestantName, NEEDS } from "./contestant.ts";
import { startCountingSink } from "./counting-sink.ts";
import { environmentLine, lookAround } from "./environment.ts";
import { goalLines } from "./goals.ts";
import { measure } from "./measure.ts";
import { type Result, whyNoFigure } from "./result.ts";
import { summary } from "./summary.ts";
import type { Surroundings } from "./warm-contestant.ts";
import { WORKLOADS, type Workload } from "./workload.ts";

const root = join(import.meta.dirname, "../..");

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    workloads: { type: "string", default: WORKLOADS.map(({ name }) => name).join(",") },
    contestants: { type: "string" },
    scale: { type: "string", default: "1" },
    binary: { type: "string", default: "dist/gatepost" },
    build: { type: "boolean", default: true },
    /** Where the raw results are copied to at the end. */
    "json-out": { type: "string" },
  },
  allowNegative: true,
});

const rounds = Number(options.rounds);
const scale = Number(options.scale);
const only = options.contestants?.split(",") ?? null;
const binary = resolve(root, options.binary);

/** What is wrong with the options; null when nothing is. */
function wrongOptions(): string | null {
  if (!(Number.isInteger(rounds) && rounds > 0)) return `--rounds "${options.rounds}" is not 1, 2, 3, …`;
  if (!(scale > 0)) return `--scale "${options.scale}" is not a number above 0`;
  const known: readonly string[] = WORKLOADS.map(({ name }) => name);
  const workload = options.workloads.split(",").find((name) => !known.includes(name));
  if (workload !== undefined) return `"${workload}" is no workload; choose from ${known.join(", ")}`;
  const names: readonly string[] = [...new Set(WORKLOADS.flatMap(({ contestants }) => contestants))];
  const contestant = only?.find((name) => !names.includes(name));
  return contestant === undefined
    ? null
    : `"${contestant}" is no contestant; choose from ${names.join(", ")}`;
}

/** The contestants that can run here; says loudly who cannot. */
function presentContestants({ name, contestants }: Workload): readonly ContestantName[] {
  return contestants.filter((contestant) => {
    if (only?.includes(contestant) === false) return false;
    const need = NEEDS[contestant];
    if (need === undefined || findProgram(need.program) !== null) return true;
    console.log(
      `${name}: SKIPPED ${contestant}: "${need.program}" is not installed, so there is nothing to compare with.\n  As root on Debian: apt-get install --no-install-recommends ${need.debianPackage}`,
    );
    return false;
  });
}

/** All rounds of a workload; each result is kept in the raw file as soon as it is there. */
async function measureRounds(
  workload: Workload,
  surroundings: Surroundings,
  rawFile: string,
): Promise<readonly Result[]> {
  const contestants = presentContestants(workload);
  const results: Result[] = [];
  for (let round = 1; round <= rounds; round++) {
    // Who goes first changes with each round, so that a drifting machine favours nobody.
    for (const contestant of round % 2 === 0 ? contestants.toReversed() : contestants) {
      const result = await measure(workload, { contestant, round, scale }, surroundings);
      appendFileSync(rawFile, `${JSON.stringify(result)}\n`);
      results.push(result);
    }
  }
  return results;
}

async function run(): Promise<number> {
  const wrong = wrongOptions();
  if (wrong !== null) {
    console.error(wrong);
    return 64;
  }
  const missing = ["postfix", "smtp-source", "smtp-sink"].find((program) => findProgram(program) === null);
  if (missing !== undefined || process.getuid?.() !== 0) {
    console.error(
      missing === undefined
        ? "Postfix must be started by root; run the bench as root"
        : `"${missing}" is not installed; as root on Debian: apt-get install postfix`,
    );
    return 1;
  }
  if (options.build || !existsSync(binary)) {
    const build = [process.execPath, "appliance/build.ts", "--outfile", options.binary];
    console.log((await mustRun(build, { cwd: root })).trim());
  }
  mkdirSync(join(root, "bench-results"), { recursive: true });
  const rawName = join("bench-results", `${new Date().toISOString().replaceAll(":", "")}.jsonl`);
  const rawFile = join(root, rawName);
  const environment = await lookAround(binary, options);
  appendFileSync(rawFile, `${JSON.stringify(environment)}\n`);
  console.log(environmentLine(environment));

  const folder = mkdtempSync(join(tmpdir(), "gatepost-bench-"));
  const dns = await startDnsServer();
  const sink = await startCountingSink();
  const all: Result[] = [];
  try {
    for (const workload of WORKLOADS.filter(({ name }) => options.workloads.split(",").includes(name))) {
      const results = await measureRounds(workload, { sink, dns: dns.address, folder, binary }, rawFile);
      all.push(...results);
      if (results.length > 0) console.log(summary(workload, results));
    }
    console.log(["goals (medians)", ...goalLines(all), `raw results in ${rawName}`].join("\n"));
    return all.some((result) => result.kind === "mail" && whyNoFigure(result) !== null) ? 1 : 0;
  } finally {
    if (options["json-out"] !== undefined) copyFileSync(rawFile, options["json-out"]);
    await sink.close();
    await dns.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await run();
