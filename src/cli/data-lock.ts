// One process owns a data directory: two would lose mail (libSQL, SQLite). The kernel's lock on the directory says who; a file with the owner's
// process id names it to people, and is the lock where the file system has none.
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { lockDirectory } from "../store/directory-lock.ts";
import { giveUpReserve } from "../store/disk-reserve.ts";
import { CommandError, EXIT, wordsOf } from "./terminal.ts";

const LOCK_FILE = "gatepost.pid";

/**
 * The start time of a process in clock ticks since boot (proc(5), field 22), or null when it does not run: one that is dead and was not
 * waited for (field 3: Z, X) holds nothing.
 */
function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return "ZX".includes(state) ? null : (fields[18] ?? null);
  } catch {
    return null;
  }
}

/** The process that holds a lock, or null when it is gone or its id now belongs to another program. */
function ownerOf(path: string): number | null {
  try {
    const [pid, ticks] = readFileSync(path, "utf8").trim().split(" ");
    const running = startTicks(Number(pid));
    return running !== null && running === ticks ? Number(pid) : null;
  } catch {
    return null;
  }
}

function occupied(directory: string, owner: number | null): CommandError {
  return new CommandError(
    EXIT.unavailable,
    `Another gateway${owner === null ? "" : ` (process ${owner})`} runs on the data directory "${directory}". Stop it first, or use another directory.`,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}

/** Gives `whole` the name `path` unless that is taken. A lock appears with its owner in it, never empty. */
function link(whole: string, path: string): boolean {
  try {
    linkSync(whole, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** False when it was gone already. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** On a full disk the reserve makes room; without one the lock of a process that is gone is written over, which needs no space. */
function writeOwn(directory: string, { own, path }: { readonly own: string; readonly path: string }): void {
  const text = `${process.pid} ${startTicks(process.pid) ?? ""}\n`;
  try {
    writeFileSync(own, text, { mode: 0o600 });
    return;
  } catch (error) {
    rmSync(own, { force: true });
    if (codeOf(error) !== "ENOSPC") throw error;
  }
  giveUpReserve(directory);
  try {
    writeFileSync(own, text, { mode: 0o600 });
  } catch (error) {
    rmSync(own, { force: true });
    if (ownerOf(path) !== null || !moved(path, own)) throw error;
    writeFileSync(own, text.padEnd(statSync(own).size), { flag: "r+" });
  }
}

function takeLock(directory: string): void {
  const path = join(directory, LOCK_FILE);
  const own = `${path}.${process.pid}`;
  const stale = `${own}.stale`;
  writeOwn(directory, { own, path });
  try {
    while (!link(own, path)) {
      const owner = ownerOf(path);
      if (owner !== null) throw occupied(directory, owner);
      // Moved before it is judged again: of two who find a stale lock, one moves it, and the other must not move that one's.
      if (!moved(path, stale)) continue;
      const other = ownerOf(stale);
      if (other === null) continue;
      link(stale, path);
      throw occupied(directory, other);
    }
  } finally {
    rmSync(own, { force: true });
    rmSync(stale, { force: true });
  }
}

/** Refuses a directory that another gateway owns, and touches nothing of it. Throws CommandError. */
export function refuseWhenOwned(directory: string): void {
  if (!existsSync(directory)) return;
  const owner = ownerOf(join(directory, LOCK_FILE));
  if (owner !== null) throw occupied(directory, owner);
  usable(directory, () => takeKernelLock(directory))();
}

/** Returns the way to give the lock back. */
function takeKernelLock(directory: string): () => void {
  const lock = lockDirectory(directory);
  if (lock.state === "held") throw occupied(directory, ownerOf(join(directory, LOCK_FILE)));
  return lock.state === "given" ? lock.release : () => {};
}

/**
 * Makes the data directory (mode 0700) and takes its locks; returns the way to give them back.
 * A lock file whose process is gone, or whose process id now belongs to another program, is taken over.
 * Throws CommandError when the directory cannot be written or another gateway owns it.
 */
export function lockDataDirectory(directory: string): () => void {
  return usable(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const release = takeKernelLock(directory);
    try {
      takeLock(directory);
    } catch (error) {
      release();
      throw error;
    }
    return () => {
      try {
        rmSync(join(directory, LOCK_FILE), { force: true });
      } catch {
        // A disk that has become read-only, or is gone: the next start finds that its owner is.
      }
      release();
    };
  });
}

function usable<T>(directory: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      EXIT.cannotCreate,
      `The data directory "${directory}" cannot be used: ${wordsOf(error)}. Make it writable for the gateway's user, or set "data" in the boot file.`,
      { cause: error },
    );
  }
}
