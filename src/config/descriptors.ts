// How many files and sockets this process may have open at a time. The soft limit is raised to the hard one: distributions leave it at 1,024
// for programs that cannot count further. What is shared by connections, deliveries and files is cut from this number.
import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

/** RLIMIT_NOFILE of getrlimit(2) on Linux. */
const NUMBER_OF_FILES = 7;
/** What POSIX programs may count on where the limit cannot be read. */
const USUAL = 1024;
/** RLIM_INFINITY and other absurd numbers mean this. */
const ENOUGH = 1_048_576;

let known: number | null = null;

/** The limit in force. The first call raises it if it can. */
export function descriptorLimit(): number {
  known ??= raised();
  return known;
}

/** True when this process, or the machine, can open nothing more now. Connections do not say so themselves: the runtime calls it "refused". */
export function noDescriptorLeft(): boolean {
  try {
    closeSync(openSync("/", "r"));
    return false;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    return code === "EMFILE" || code === "ENFILE";
  }
}

function raised(): number {
  try {
    const libc = dlopen("libc.so.6", {
      getrlimit: { args: ["int", "ptr"], returns: "int" },
      setrlimit: { args: ["int", "ptr"], returns: "int" },
    });
    const limits = new BigUint64Array(2);
    if (libc.symbols.getrlimit(NUMBER_OF_FILES, ptr(limits)) !== 0) return USUAL;
    const [soft = 0n, hard = 0n] = limits;
    const wanted = new BigUint64Array([hard, hard]);
    const isRaised = soft < hard && libc.symbols.setrlimit(NUMBER_OF_FILES, ptr(wanted)) === 0;
    const limit = isRaised ? hard : soft;
    return limit > BigInt(ENOUGH) ? ENOUGH : Number(limit);
  } catch {
    return USUAL;
  }
}
