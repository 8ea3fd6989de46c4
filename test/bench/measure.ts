// Measures one contestant in one round of a workload, from its start to its end.
import { loadavg } from "node:os";
import { join } from "node:path";
import type { IdleEnded, IdleOpened } from "./child/hold-idle.ts";
import type { ContestantName } from "./contestant.ts";
import { measureIdentities } from "./identities.ts";
import { sendMail, sendPlain } from "./mail-load.ts";
import type { IdleResult, MailResult, Result } from "./result.ts";
import { measureUnfair } from "./unfair.ts";
import { type Surroundings, type WarmContestant, withWarmContestant } from "./warm-contestant.ts";
import type { IdleWorkload, MailWorkload, Workload } from "./workload.ts";

const root = join(import.meta.dirname, "../..");

/** How long greetings, and the messages meanwhile, are waited for. */
const IDLE_PATIENCE_MS = 10_000;
/** So long the connections are held before the memory is looked at. */
const HOLD_MS = 1000;

export interface Round {
  readonly contestant: ContestantName;
  readonly round: number;
  /** The workload's number of messages is multiplied by it. Idle connections are always all. */
  readonly scale: number;
}

/** Starts the contestant, warms it up, measures it and stops it. */
export function measure(workload: Workload, round: Round, surroundings: Surroundings): Promise<Result> {
  switch (workload.kind) {
    case "mail":
      return measureMail(workload, round, surroundings);
    case "idle":
      return measureIdle(workload, round, surroundings);
    case "identities":
      return measureIdentities(workload, round, surroundings.folder);
    case "unfair":
      return measureUnfair(workload, round, surroundings.binary);
    default:
      return workload satisfies never;
  }
}

/** What both kinds of result note of a step that has just ended. */
function noted(warm: WarmContestant, clientCpuSeconds: number) {
  return {
    at: new Date().toISOString(),
    meter: warm.meter,
    quiet: warm.quiet,
    ...warm.foreign(clientCpuSeconds),
    load: loadavg()[0] ?? 0,
  };
}

function measureMail(
  workload: MailWorkload,
  { contestant, round, scale }: Round,
  surroundings: Surroundings,
): Promise<MailResult> {
  const { sink, folder } = surroundings;
  const messages = Math.max(20, Math.round(workload.messages * scale));
  return withWarmContestant(contestant, surroundings, {
    send: (port, count) => sendMail(workload, { port, messages: count, folder }),
    async measure(warm) {
      const { startedAt, cpuSeconds, failure } = await sendMail(workload, {
        port: warm.port,
        messages,
        folder,
      });
      const { count: arrived, lastAt } = await sink.arrived(messages);
      const seconds = (lastAt - startedAt) / 1000;
      const cpu = warm.cpuSeconds();
      const peak = warm.peakMemory();
      return {
        kind: "mail",
        workload: workload.name,
        contestant,
        round,
        messages,
        arrived,
        failure,
        seconds,
        perSecond: messages / seconds,
        cpuMsPerMessage: (cpu / messages) * 1000,
        clientCpuSeconds: cpuSeconds,
        peakPssMb: peak.pss / 1e6,
        peakRssMb: peak.rss / 1e6,
        ...noted(warm, cpuSeconds),
      };
    },
  });
}

/** Connections held by a process of its own. */
async function holdIdle(port: number, connections: number) {
  const command = [process.execPath, "test/bench/child/hold-idle.ts", port, connections, IDLE_PATIENCE_MS];
  const heard: unknown[] = [];
  let wake = () => {};
  const child = Bun.spawn(command.map(String), {
    cwd: root,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    ipc(message) {
      heard.push(message);
      wake();
    },
  });
  const next = async (): Promise<unknown> => {
    const told = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (heard.length === 0) await Promise.race([told, child.exited]);
    if (heard.length === 0) throw new Error(`The idle clients ended with ${child.exitCode}`);
    return heard.shift();
  };
  return {
    opened: (await next()) as IdleOpened,
    /** Closes the connections. */
    async end() {
      child.send("end");
      const { stillOpen } = (await next()) as IdleEnded;
      await child.exited;
      return { stillOpen, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6 };
    },
  };
}

function measureIdle(
  workload: IdleWorkload,
  { contestant, round }: Round,
  surroundings: Surroundings,
): Promise<IdleResult> {
  const { sink, folder } = surroundings;
  const { connections, messages } = workload;
  const plain = { message: 4096, folder };
  return withWarmContestant(contestant, surroundings, {
    send: (port, count) => sendPlain({ ...plain, port, messages: count, sessions: 20, keep: true }),
    async measure(warm) {
      const { port } = warm;
      const before = warm.memory();
      const idle = await holdIdle(port, connections);
      await Bun.sleep(HOLD_MS);
      const first = warm.memory();
      const from = performance.now();
      const once = { ...plain, sessions: 1, keep: false, patienceMs: IDLE_PATIENCE_MS };
      const { failure, cpuSeconds } = await sendPlain({ ...once, port, messages });
      const messageMs = (performance.now() - from) / messages;
      const { count: arrived } = await sink.arrived(failure === null ? messages : 0);
      const last = warm.memory();
      const ended = await idle.end();
      return {
        kind: "idle",
        workload: workload.name,
        contestant,
        round,
        messages,
        arrived,
        failure,
        connections,
        ...idle.opened,
        stillOpen: ended.stillOpen,
        cpuSeconds: warm.cpuSeconds(),
        beforePssMb: before.pss / 1e6,
        beforeRssMb: before.rss / 1e6,
        duringPssMb: Math.max(first.pss, last.pss) / 1e6,
        duringRssMb: Math.max(first.rss, last.rss) / 1e6,
        messageMs: failure === null ? messageMs : null,
        ...noted(warm, cpuSeconds + ended.cpuSeconds),
      };
    },
  });
}
