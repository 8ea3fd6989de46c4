// A kernel lock on a directory (flock(2)): it holds across containers and bind mounts, goes with its process however that ends, and
// leaves nothing behind. Some network file systems and other libcs have none.
import { dlopen, read } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

const LOCK_EXCLUSIVE_AT_ONCE = 2 | 4;
/** EBADF, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP: the file system locks no directories. */
const NO_LOCKS = new Set([9, 22, 37, 38, 95]);

/** A lock that was tried: given, held by another process, or not to be had on this file system. */
export type DirectoryLock =
  | { readonly state: "given"; readonly release: () => void }
  | { readonly state: "held" | "unknown" };

/** Tries to lock an existing directory, without waiting. Throws when it cannot be opened. */
export function lockDirectory(directory: string): DirectoryLock {
  const file = openSync(directory, "r");
  const errno = flock(file);
  if (errno === 0) return { state: "given", release: () => closeSync(file) };
  closeSync(file);
  return { state: errno === null || NO_LOCKS.has(errno) ? "unknown" : "held" };
}

/** 0, the error's number, or null where the call is not to be had. */
function flock(file: number): number | null {
  try {
    const libc = dlopen("libc.so.6", {
      flock: { args: ["int", "int"], returns: "int" },
      __errno_location: { args: [], returns: "ptr" },
    });
    const place = libc.symbols.__errno_location();
    if (libc.symbols.flock(file, LOCK_EXCLUSIVE_AT_ONCE) === 0) return 0;
    return place === null ? null : read.i32(place);
  } catch {
    return null;
  }
}
