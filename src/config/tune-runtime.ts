// The runtime's settings for a mail server. They are read from the environment before any code runs, so the program
// starts itself once more under the same process id.
import { dlopen } from "bun:ffi";

/**
 * JavaScriptCore's last compiler tier (FTL) pays off only for code that is truly hot. At its own threshold it spends 0.2 ms of CPU per message
 * on the first ten thousand messages (measured with `bun run bench`: a quarter of everything) for a few percent later on.
 * mimalloc gives free pages back to the kernel after a moment and takes them again for the next message; a second (in
 * milliseconds here) saves 2 to 5 % of the CPU with checks and costs no memory in the peak.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000",
  MIMALLOC_PURGE_DELAY: "1000",
};

const SIGHUP = 1;
const SIG_IGN = 1;

/** The program that is started has no handler in its first moment; what is ignored stays so over execve(2), what is caught does not. */
function ignoreHangUp(): void {
  try {
    dlopen("libc.so.6", { signal: { args: ["int", "usize"], returns: "usize" } }).symbols.signal(
      SIGHUP,
      SIG_IGN,
    );
  } catch {
    // Another libc: SIGHUP in that moment ends the start.
  }
}

/** The arguments that start this very program again: a compiled one has its code inside, otherwise the script is named. */
function ownArguments(): readonly string[] {
  const script = Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
  return [process.execPath, ...script, ...Bun.argv.slice(2)];
}

/** Replaces this process by one with the settings, unless they are there already. Where that is impossible it returns and nothing is lost but speed. */
export function tuneRuntime(): void {
  const missing = Object.keys(SETTINGS).some((name) => process.env[name] === undefined);
  if (!missing || process.execve === undefined) return;
  ignoreHangUp();
  try {
    process.execve(process.execPath, [...ownArguments()], { ...process.env, ...SETTINGS });
  } catch {
    // The kernel refused: go on as we are.
  }
}
