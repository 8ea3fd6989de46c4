// Others may use the machine too: waits for a quiet second before a measured step, and tells how busy everybody was.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

const TICKS_PER_SECOND = 100;
/** A second in which less than this share of all processors is used by others is quiet. */
const QUIET_SHARE = 0.15;
const MOST_SECONDS = 30;

/** CPU seconds used so far by everybody on this machine. (proc(5), /proc/stat) */
export function machineCpuSeconds(): number {
  const fields = /^cpu +(.*)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]?.split(" ").map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = fields;
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}

export interface Quiet {
  readonly waitedSeconds: number;
  /** The share of all processors in use in the last second of waiting. */
  readonly busyShare: number;
}

/** What others used on the machine during a step. */
export interface ForeignCpu {
  readonly foreignCpuSeconds: number;
  /** Of all processors' time. */
  readonly foreignShare: number;
}

/** True when others used so much that the figure says little. */
export function isNoisy({ foreignShare }: ForeignCpu): boolean {
  return foreignShare >= QUIET_SHARE;
}

/** Waits for a quiet second, at most 30. */
export async function waitForQuiet(): Promise<Quiet> {
  for (let waitedSeconds = 1; ; waitedSeconds++) {
    const before = machineCpuSeconds();
    await Bun.sleep(1000);
    const busyShare = (machineCpuSeconds() - before) / cpus().length;
    if (busyShare < QUIET_SHARE || waitedSeconds >= MOST_SECONDS) return { waitedSeconds, busyShare };
  }
}
