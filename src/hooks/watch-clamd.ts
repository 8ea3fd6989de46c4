// Looks after the clamd daemons that mail is to be shown to: an alarm stands while one does not answer, cannot scan, or takes less than a listener does.
// Mail is then put off with 451, which no sender can mend.
import type { AlarmName } from "../observe/alarm-kinds.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import { type KeptLook, keepLooking } from "../observe/keep-looking.ts";
import { bytesInWords } from "../observe/size-words.ts";
import { pingClamd, takesSize, tryScan } from "./clamd.ts";
import { type ClamdHook, clamdName } from "./clamd-dialogue.ts";
import type { FailedScans } from "./failed-scans.ts";

const EVERY_MS = 60_000;
const REST_MS = 1000;
// A daemon that loads its signatures anew answers late; what takes longer than this is told.
const PATIENCE_MS = 10_000;

export interface WatchedClamd {
  readonly hooks: readonly ClamdHook[];
  /** Octets of the largest message a listener takes. */
  readonly largest: number;
}

type Alarms = ReadonlyMap<AlarmName, string>;

/** Starts with a look; `look` is for when the settings have changed. */
export function watchClamd(parts: {
  readonly watched: () => WatchedClamd;
  /** What came of the scans of real mail. */
  readonly scans: FailedScans;
  readonly clock: Clock;
  readonly onAlarm: OnAlarm;
}): KeptLook {
  const { watched, scans, clock, onAlarm } = parts;
  let raised: Alarms = new Map();
  return keepLooking({
    find: () => troubles(watched(), scans),
    tell(found) {
      for (const name of raised.keys()) if (!found.has(name)) onAlarm(name, null);
      raised = found;
      for (const [name, words] of found) onAlarm(name, words);
    },
    // Each daemon's failure is what was found of it.
    onFailure() {},
    clock,
    everyMs: EVERY_MS,
    restMs: REST_MS,
  });
}

async function troubles({ hooks, largest }: WatchedClamd, scans: FailedScans): Promise<Alarms> {
  const found = new Map<AlarmName, string>();
  await Promise.all(
    hooks.map(async (hook) => {
      const patient = { ...hook, timeoutMs: Math.min(hook.timeoutMs, PATIENCE_MS) };
      const tell = (words: string | null) => {
        if (words !== null) found.set(`clamd "${hook.name}"`, words);
        return words !== null;
      };
      if (tell(await unansweredWords(patient))) return;
      tell(await unscannedWords(patient, hook, scans));
      if (!(await takesSize(patient, largest).catch(() => true)))
        found.set(`clamd size "${hook.name}"`, tooSmallWords(hook, largest));
    }),
  );
  return found;
}

async function unansweredWords(hook: ClamdHook): Promise<string | null> {
  const words = await failureOf(pingClamd(hook));
  return words === null ? null : `Mail that clamd must scan is put off with 451 until it can: ${words}`;
}

/** Of a daemon that answers. */
async function unscannedWords(
  patient: ClamdHook,
  hook: ClamdHook,
  scans: FailedScans,
): Promise<string | null> {
  const words = await failureOf(tryScan(patient));
  if (words !== null)
    return `Mail that clamd must scan is put off with 451 until it can, ${CANNOT_SCAN}: ${words}`;
  const octets = scans.largest(hook);
  if (octets === null) return null;
  const large = await failureOf(tryScan(hook, octets));
  if (large !== null)
    return `Mail as large as ${bytesInWords(octets)} that clamd must scan is put off with 451 until it can, ${CANNOT_SCAN} (smaller mail is scanned): ${large}`;
  // It was that message, or it is over.
  scans.passed(hook, octets);
  return null;
}

async function failureOf(asked: Promise<void>): Promise<string | null> {
  try {
    await asked;
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const CANNOT_SCAN = "it answers and cannot scan";

/** Whether an alarm's words are of a daemon that answers, so that the trouble is its own. */
export function isOfOwnTrouble(words: string): boolean {
  return words.includes(CANNOT_SCAN);
}

function tooSmallWords(hook: ClamdHook, largest: number): string {
  return `${clamdName(hook)} takes no message of ${bytesInWords(largest)}, the most a listener takes: what is larger than its StreamMaxLength is put off with 451 for ever. Raise StreamMaxLength in its clamd.conf, or lower the largest message (max_message_bytes) of the listeners.`;
}
