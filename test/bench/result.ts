// The lines of the raw results: one for each contestant and round.
import type { IdentitiesCounted } from "./child/count-identities.ts";
import type { ContestantName } from "./contestant.ts";
import type { ForeignCpu, Quiet } from "./quiet-machine.ts";

interface Measured extends ForeignCpu {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly workload: string;
  readonly contestant: ContestantName;
  readonly round: number;
  readonly messages: number;
  readonly arrived: number;
  /** Why not every message was taken; null when all were. */
  readonly failure: string | null;
  readonly meter: "cgroup" | "proc";
  readonly quiet: Quiet;
  /** The machine's load average of one minute. */
  readonly load: number;
}

export interface MailResult extends Measured {
  readonly kind: "mail";
  /** From the first connection to the last arrival. */
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  readonly clientCpuSeconds: number;
  /** Shared pages divided among the processes; 10^6 octets. */
  readonly peakPssMb: number;
  readonly peakRssMb: number;
}

export interface IdleResult extends Measured {
  readonly kind: "idle";
  readonly connections: number;
  readonly greeted: number;
  readonly turnedAway: number;
  readonly lastGreetingMs: number;
  /** How many of the greeted were open at the end. */
  readonly stillOpen: number;
  readonly cpuSeconds: number;
  readonly beforePssMb: number;
  readonly beforeRssMb: number;
  /** The most while the connections were held. */
  readonly duringPssMb: number;
  readonly duringRssMb: number;
  /** Milliseconds for a whole message on its own connection meanwhile; null when not all were taken. */
  readonly messageMs: number | null;
}

export interface IdentitiesResult
  extends Omit<Measured, "messages" | "arrived" | "failure" | "meter">,
    IdentitiesCounted {
  readonly kind: "identities";
}

/** One way of taking more than a share; `skipped` says why it was not tried. */
export type UnfairScene =
  | { readonly name: string; readonly skipped: string }
  | {
      readonly name: string;
      readonly skipped: null;
      /** Small messages of others meanwhile. Times from the first octet to the arrival; Infinity for one that did not arrive. */
      readonly probes: number;
      readonly medianMs: number;
      readonly p99Ms: number;
      readonly worstMs: number;
      /** Where the slowest hundredth of them was when. */
      readonly slowest: string;
      readonly refusal: string | null;
      readonly died: boolean;
      /** Of the cgroup, pages of files among them; 10^6 octets. */
      readonly peakMb: number;
      readonly words: string;
    };

export interface UnfairResult extends Omit<Measured, "messages" | "arrived" | "failure" | "meter"> {
  readonly kind: "unfair";
  readonly scenes: readonly UnfairScene[];
}

export type Result = MailResult | IdleResult | IdentitiesResult | UnfairResult;

/** Why a result must not become a figure; null when all is well. */
export function whyNoFigure({ contestant, messages, arrived, failure }: MailResult): string | null {
  if (failure !== null) return `${contestant}: ${failure}`;
  return arrived === messages ? null : `${contestant} took ${messages} messages and ${arrived} arrived`;
}
