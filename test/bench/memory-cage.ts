// A memory cgroup of one process tree, for what must do with little; nothing where none can be made.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIMIT_BYTES = 512 * 1024 * 1024;

/** A cgroup with the limit; null where none can be made. */
export interface Cage {
  readonly launcher: readonly string[];
  peakBytes(): number;
  killed(): boolean;
  remove(): void;
}

export function openCage(): Cage | null {
  const name = `gatepost-cage-${process.pid}`;
  const second = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const folder = join(second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", name);
  const files = second
    ? { limit: "memory.max", peak: "memory.peak", kills: "memory.events" }
    : { limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes", kills: "memory.oom_control" };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, files.limit), String(LIMIT_BYTES));
  } catch {
    return null;
  }
  return {
    launcher: ["sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"],
    peakBytes: () => Number(readFileSync(join(folder, files.peak), "utf8")),
    killed: () => /oom_kill [1-9]/.test(readFileSync(join(folder, files.kills), "utf8")),
    remove: () => rmdirSync(folder),
  };
}
