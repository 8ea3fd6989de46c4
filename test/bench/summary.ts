// What a workload's results are to a person: a line for each contestant, and the ratios. No figure where mail was lost.
import type { ContestantName } from "./contestant.ts";
import { ratiosOf, spread, spreadText } from "./figures.ts";
import { identityLines } from "./identities.ts";
import { isNoisy } from "./quiet-machine.ts";
import { type IdleResult, type MailResult, type Result, whyNoFigure } from "./result.ts";
import { unfairLines } from "./unfair.ts";
import type { Workload } from "./workload.ts";

const NAME_WIDTH = 20;

function mailLine(contestant: ContestantName, rounds: readonly MailResult[]): string {
  const over = (digits: number, what: (result: MailResult) => number) =>
    spreadText(spread(rounds.map(what)), digits);
  return [
    `  ${contestant.padEnd(NAME_WIDTH)}`,
    `${over(0, ({ perSecond }) => perSecond)} msg/s`.padEnd(24),
    `${over(2, ({ cpuMsPerMessage }) => cpuMsPerMessage)} ms CPU a message`.padEnd(36),
    `${over(0, ({ peakPssMb }) => peakPssMb)} MB`,
  ].join("");
}

function idleLine(contestant: ContestantName, rounds: readonly IdleResult[]): string {
  const over = (digits: number, what: (result: IdleResult) => number) =>
    spreadText(spread(rounds.map(what)), digits);
  const answered = rounds.filter(
    ({ failure, arrived, messages }) => failure === null && arrived === messages,
  );
  const times = answered.flatMap(({ messageMs }) => (messageMs === null ? [] : [messageMs]));
  const meanwhile =
    answered.length === rounds.length
      ? `all answered, ${spreadText(spread(times), 0)} ms each`
      : `NOT answered (${rounds.find(({ failure }) => failure !== null)?.failure ?? "some did not arrive"})`;
  const indent = " ".repeat(NAME_WIDTH + 2);
  return [
    `  ${contestant.padEnd(NAME_WIDTH)}${over(0, ({ greeted }) => greeted)} of ${rounds[0]?.connections} greeted, the last after ${over(2, ({ lastGreetingMs }) => lastGreetingMs / 1000)} s; ${over(0, ({ stillOpen }) => stillOpen)} open at the end`,
    `${indent}memory before ${over(0, (one) => one.beforePssMb)} MB, during ${over(0, (one) => one.duringPssMb)} MB (RSS ${over(0, (one) => one.beforeRssMb)}, ${over(0, (one) => one.duringRssMb)})`,
    `${indent}messages sent meanwhile: ${meanwhile}`,
    ...(contestant === "postfix"
      ? [`${indent}it greets as many as its process limit (100) lets it; the others wait`]
      : []),
  ].join("\n");
}

/** A warning where others used the machine, so that a noisy run is not taken for a clean one. */
function noise(results: readonly Result[]): readonly string[] {
  const noisy = results.filter(isNoisy);
  if (noisy.length === 0) return [];
  const most = Math.max(...noisy.map(({ foreignShare }) => foreignShare)) * 100;
  return [
    `  NOISE: others used up to ${most.toFixed(0)} % of the machine in ${noisy.length} of ${results.length} steps`,
  ];
}

/** Some lines for a person. `results` are those of this workload. */
export function summary(workload: Workload, results: readonly Result[]): string {
  if (workload.kind === "identities") {
    const counted = results.filter((result) => result.kind === "identities");
    return [`${workload.name}: ${workload.words}`, ...identityLines(counted), ...noise(results)].join("\n");
  }
  if (workload.kind === "unfair") {
    const played = results.filter((result) => result.kind === "unfair");
    return [`${workload.name}: ${workload.words}`, ...unfairLines(played)].join("\n");
  }
  const mail = results.filter((result) => result.kind === "mail");
  const idle = results.filter((result) => result.kind === "idle");
  const why = mail.map(whyNoFigure).find((words) => words !== null);
  if (why !== undefined) return `${workload.name}: NO FIGURE: ${why}`;
  const lines = workload.contestants.flatMap((name) => {
    const ofMail = mail.filter(({ contestant }) => contestant === name);
    const ofIdle = idle.filter(({ contestant }) => contestant === name);
    return [
      ...(ofMail.length === 0 ? [] : [mailLine(name, ofMail)]),
      ...(ofIdle.length === 0 ? [] : [idleLine(name, ofIdle)]),
    ];
  });
  const ratios = ratiosOf(mail, workload.contestants);
  const ratio =
    ratios === null
      ? []
      : [`  ratio: ${spreadText(ratios.rate, 2)} × the rate at ${spreadText(ratios.cpu, 2)} of the CPU`];
  return [`${workload.name}: ${workload.words}`, ...lines, ...ratio, ...noise(results)].join("\n");
}
