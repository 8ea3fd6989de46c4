// Measures what a server costs: CPU seconds of all its processes, dead ones included, and the memory of the living.
// By a cgroup (v2) where one can be made, else by walking /proc.
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../peers/run-command.ts";

/** Bytes in use by some processes together. */
export interface Memory {
  /** Pages shared by several processes are divided among them. */
  readonly pss: number;
  /** Shared pages are counted for each process. */
  readonly rss: number;
}

export interface CpuMeter {
  readonly by: "cgroup" | "proc";
  /** Put before the command that starts the server. */
  readonly launcher: readonly string[];
  /** CPU seconds so far. `roots` are the server's first processes. */
  cpuSeconds(roots: readonly number[]): number;
  memory(roots: readonly number[]): Memory;
  /** Waits until the server's processes are gone. */
  close(): Promise<void>;
}

const TICKS_PER_SECOND = 100;

function cgroupRoot(): string | null {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  return mounts.map((line) => line.split(" ")).find(([, , kind]) => kind === "cgroup2")?.[1] ?? null;
}

interface ProcessTimes {
  readonly parent: number;
  readonly seconds: number;
}

/** User and system time of a process and of its ended, awaited children; null when it is gone. (proc(5)) */
export function processTimes(pid: number): ProcessTimes | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND };
  } catch {
    return null;
  }
}

function processTree(roots: readonly number[]): ReadonlyMap<number, ProcessTimes> {
  const all = new Map<number, ProcessTimes>();
  for (const name of readdirSync("/proc")) {
    const times = /^\d+$/.test(name) ? processTimes(Number(name)) : null;
    if (times !== null) all.set(Number(name), times);
  }
  const inside = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = all.get(at)?.parent) {
      if (roots.includes(at)) return true;
    }
    return false;
  };
  return new Map([...all].filter(([pid]) => inside(pid)));
}

/** Memory of these processes. */
export function memoryOf(pids: Iterable<number>): Memory {
  const kilobytes = { pss: 0, rss: 0 };
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      kilobytes.pss += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
      kilobytes.rss += Number(/^Rss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
    } catch {
      // It ended between the listing and the look.
    }
  }
  return { pss: kilobytes.pss * 1024, rss: kilobytes.rss * 1024 };
}

const byProc: CpuMeter = {
  by: "proc",
  launcher: [],
  cpuSeconds: (roots) => [...processTree(roots).values()].reduce((sum, { seconds }) => sum + seconds, 0),
  memory: (roots) => memoryOf(processTree(roots).keys()),
  async close() {},
};

/** A meter for one server. `name` tells its group from others. */
export function createCpuMeter(name: string): CpuMeter {
  const root = cgroupRoot();
  if (root === null) return byProc;
  const group = join(root, `gatepost-bench-${process.pid}-${name}`);
  try {
    mkdirSync(group);
  } catch {
    return byProc;
  }
  const processes = () =>
    readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  return {
    by: "cgroup",
    launcher: ["sh", "-c", `echo $$ > ${group}/cgroup.procs; exec "$@"`, "sh"],
    cpuSeconds: () =>
      Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(group, "cpu.stat"), "utf8"))?.[1]) / 1e6,
    memory: () => memoryOf(processes()),
    async close() {
      await waitUntil("the server's last process ends", () => processes().length === 0);
      rmdirSync(group);
    },
  };
}
