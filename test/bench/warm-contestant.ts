// One contestant, started fresh, warmed up as every other is, and the machine quiet: the state in which a measured step begins.
import { cpus } from "node:os";
import { type ContestantName, startContestant } from "./contestant.ts";
import type { CountingSink } from "./counting-sink.ts";
import { createCpuMeter, type Memory } from "./cpu-meter.ts";
import type { MailLoad } from "./mail-load.ts";
import { type ForeignCpu, machineCpuSeconds, type Quiet, waitForQuiet } from "./quiet-machine.ts";

/** Sent to every contestant before it is measured. */
const WARM_UP_MESSAGES = 200;
/** How often the memory is looked at. */
const MEMORY_EVERY_MS = 500;

/** What the steps of a run share. */
export interface Surroundings {
  readonly sink: CountingSink;
  /** `host:port` of the resolver. */
  readonly dns: string;
  /** A scratch folder. */
  readonly folder: string;
  /** The built gateway. */
  readonly binary: string;
}

export interface WarmContestant {
  readonly port: number;
  readonly meter: "cgroup" | "proc";
  readonly quiet: Quiet;
  /** CPU seconds of the contestant since the step began. */
  cpuSeconds(): number;
  /** What everybody but the contestant, the sink, this process and `clientCpuSeconds` has used since the step began. */
  foreign(clientCpuSeconds: number): ForeignCpu;
  memory(): Memory;
  /** The most at any time since it was started. */
  peakMemory(): Memory;
}

/** Starts a contestant, sends the warm-up with `send`, waits for a quiet second, and stops it after `step`. */
export async function withWarmContestant<T>(
  name: ContestantName,
  surroundings: Surroundings,
  steps: {
    send(port: number, messages: number): Promise<MailLoad>;
    measure(contestant: WarmContestant): Promise<T>;
  },
): Promise<T> {
  const { sink, dns, binary } = surroundings;
  const meter = createCpuMeter(name);
  const server = await startContestant(name, { sinkPort: sink.port, meter, dns, binary });
  const peak = { pss: 0, rss: 0 };
  const look = (): Memory => {
    const now = meter.memory(server.pids());
    peak.pss = Math.max(peak.pss, now.pss);
    peak.rss = Math.max(peak.rss, now.rss);
    return now;
  };
  const watch = setInterval(look, MEMORY_EVERY_MS);
  try {
    sink.reset();
    const { failure } = await steps.send(server.port, WARM_UP_MESSAGES);
    const { count } = await sink.arrived(WARM_UP_MESSAGES);
    if (failure !== null || count !== WARM_UP_MESSAGES)
      throw new Error(`Warming up ${name}: ${failure ?? `${count} of ${WARM_UP_MESSAGES} messages arrived`}`);
    const quiet = await waitForQuiet();
    sink.reset();
    const others = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6 + sink.cpuSeconds();
    const cpu = () => meter.cpuSeconds(server.pids());
    const begun = { at: performance.now(), machine: machineCpuSeconds(), cpu: cpu(), others: others() };
    const cpuSeconds = () => cpu() - begun.cpu;
    return await steps.measure({
      port: server.port,
      meter: meter.by,
      quiet,
      cpuSeconds,
      foreign(clientCpuSeconds) {
        const known = cpuSeconds() + others() - begun.others + clientCpuSeconds;
        const foreignCpuSeconds = Math.max(0, machineCpuSeconds() - begun.machine - known);
        const wallSeconds = (performance.now() - begun.at) / 1000;
        return { foreignCpuSeconds, foreignShare: foreignCpuSeconds / wallSeconds / cpus().length };
      },
      memory: look,
      peakMemory: () => peak,
    });
  } finally {
    clearInterval(watch);
    await server.dispose();
    await meter.close();
  }
}
