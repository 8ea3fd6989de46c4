// What the gateway is to reach beside the others in one run, and whether it did: a line for each goal.
import { ratiosOf, spread } from "./figures.ts";
import { isNoisy } from "./quiet-machine.ts";
import { type Result, whyNoFigure } from "./result.ts";
import { WORKLOADS } from "./workload.ts";

interface Goal {
  readonly workload: string;
  readonly words: string;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly unit: string;
  readonly digits: number;
  /** Null: not measured, or something was lost. */
  measured(results: readonly Result[]): number | null;
}

function ratio(workload: string, what: "rate" | "cpu") {
  return (results: readonly Result[]): number | null => {
    const met = WORKLOADS.find(({ name }) => name === workload);
    const contestants = met?.kind === "mail" || met?.kind === "idle" ? met.contestants : undefined;
    const mail = results.filter((one) => one.kind === "mail").filter((one) => one.workload === workload);
    if (contestants === undefined || mail.some((result) => whyNoFigure(result) !== null)) return null;
    return ratiosOf(mail, contestants)?.[what].median ?? null;
  };
}

/** The median over the rounds of the gateway's results in which `what` is a number. */
function ours(what: (result: Result) => number | null) {
  return (results: readonly Result[]): number | null => {
    const numbers = results
      .filter(({ contestant }) => contestant === "gatepost")
      .map(what)
      .filter((number) => number !== null);
    return numbers.length === 0 ? null : spread(numbers).median;
  };
}

const relayMemory = ours((one) =>
  one.kind === "mail" && one.workload === "relay" && whyNoFigure(one) === null ? one.peakRssMb : null,
);
const greeted = ours((one) => (one.kind === "idle" ? one.greeted : null));
const greetedWithin = ours((one) =>
  one.kind === "idle" && one.greeted === one.connections ? one.lastGreetingMs / 1000 : null,
);
const idleMemory = ours((one) =>
  one.kind === "idle" && one.greeted === one.connections ? one.duringRssMb : null,
);

const identitiesMemory = ours((one) =>
  one.kind === "identities" && one.identities >= 100_000 ? one.addedMb : null,
);

/** A goal for the ratio of ours to `beside`. */
function ratioGoal(
  workload: string,
  what: "rate" | "cpu",
  { beside, ...bound }: { readonly beside: string } & Goal["bound"],
): Goal {
  const words = `${what === "cpu" ? "CPU" : what} beside ${beside}`;
  return { workload, words, bound, unit: "×", digits: 2, measured: ratio(workload, what) };
}

const GOALS: readonly Goal[] = [
  ratioGoal("relay", "rate", { beside: "Postfix", atLeast: 2.5 }),
  ratioGoal("relay", "cpu", { beside: "Postfix", atMost: 0.4 }),
  ratioGoal("cut-through", "rate", { beside: "Postfix", atLeast: 3.5 }),
  ratioGoal("cut-through", "cpu", { beside: "Postfix", atMost: 0.22 }),
  ratioGoal("checks", "rate", { beside: "Postfix + rspamd", atLeast: 4 }),
  ratioGoal("checks", "cpu", { beside: "Postfix + rspamd", atMost: 0.3 }),
  ratioGoal("large", "rate", { beside: "Postfix", atLeast: 1 }),
  ratioGoal("submission", "rate", { beside: "Postfix + Dovecot", atLeast: 1 }),
  {
    workload: "relay",
    words: "most memory (RSS)",
    bound: { atMost: 250 },
    unit: "MB",
    digits: 0,
    measured: relayMemory,
  },
  {
    workload: "idle",
    words: "connections greeted",
    bound: { atLeast: 2000 },
    unit: "",
    digits: 0,
    measured: greeted,
  },
  {
    workload: "idle",
    words: "the last greeting",
    bound: { atMost: 3 },
    unit: "s",
    digits: 2,
    measured: greetedWithin,
  },
  {
    workload: "idle",
    words: "most memory (RSS)",
    bound: { atMost: 350 },
    unit: "MB",
    digits: 0,
    measured: idleMemory,
  },
  {
    workload: "identities",
    words: "memory added by 100,000",
    bound: { atMost: 150 },
    unit: "MB",
    digits: 0,
    measured: identitiesMemory,
  },
];

function goalLine(goal: Goal, results: readonly Result[]): string {
  const { workload, words, bound, unit, digits } = goal;
  const number = goal.measured(results);
  const least = "atLeast" in bound;
  const limit = least ? bound.atLeast : bound.atMost;
  const text = (value: number) => `${value.toFixed(digits)} ${unit}`.trim();
  const head = `${`${workload}: ${words}`.padEnd(42)} goal ${least ? "≥" : "≤"} ${text(limit).padEnd(8)}`;
  if (number === null) return `  -       ${head} no figure`;
  const met = least ? number >= limit : number <= limit;
  const share = Math.abs(number / limit - 1) * 100;
  const noisy = results.some((result) => result.workload === workload && isNoisy(result));
  const by = `${text(Math.abs(number - limit))}, ${share.toFixed(0)} %`;
  return `  ${met ? "met   " : "MISSED"}  ${head} measured ${text(number).padEnd(9)} ${met ? "with" : "by"} ${by}${met ? " to spare" : ""}${noisy ? " (noisy)" : ""}`;
}

/** The goals and what was measured, as lines for a person. */
export function goalLines(results: readonly Result[]): readonly string[] {
  return GOALS.map((goal) => goalLine(goal, results));
}
