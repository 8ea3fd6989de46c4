// ClamAV's daemon as a check, by its INSTREAM command (clamd(8)). One connection per message. It says what it found and decides nothing.
import type { Check } from "../checks/check.ts";
import type { Finding } from "../rules/fact.ts";
import { bodyPieces } from "../store/body-file.ts";
import { askClamd, type ClamdHook, clamdName, quoted } from "./clamd-dialogue.ts";
import type { FailedScans } from "./failed-scans.ts";

/** The check in the place of a daemon whose setting cannot be read: it fails, as one that does not answer. */
export function createUnreadClamdCheck(name: string): Check {
  return {
    name: "clamd",
    facts: ["clamd.found", "clamd.signature"],
    timeoutMs: 1000,
    run: () => Promise.reject(new Error(`the stored setting of clamd "${name}" cannot be read`)),
  };
}

const SIZE_EXCEEDED = /size limit exceeded/i;

/** The check `clamd`: facts `clamd.found` and `clamd.signature`. Its run rejects when the daemon gives no clear answer. */
export function createClamdCheck(hook: ClamdHook, scans?: FailedScans): Check {
  return {
    name: "clamd",
    facts: ["clamd.found", "clamd.signature"],
    timeoutMs: hook.timeoutMs,
    async run({ raw, signal }) {
      try {
        const findings = findingsOf(await askClamd(hook, streamFrames(bodyPieces(raw)), signal), hook);
        scans?.passed(hook, raw.length);
        return findings;
      } catch (error) {
        if (!signal.aborted && !(error instanceof TooLarge)) scans?.failed(hook, raw.length);
        throw error;
      }
    },
  };
}

/** The command, the message in frames with their lengths, and the empty frame at its end. */
async function* streamFrames(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from("zINSTREAM\0");
  for await (const piece of pieces) {
    if (piece.length === 0) continue;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(piece.length);
    yield Buffer.concat([length, piece]);
  }
  yield Buffer.alloc(4);
}

/** Asks the daemon whether it is there. @throws Error that says what was tried and what is wrong. */
export async function pingClamd(hook: ClamdHook): Promise<void> {
  const reply = await askClamd(hook, [Buffer.from("zPING\0")], AbortSignal.timeout(hook.timeoutMs));
  if (reply !== "PONG")
    throw new Error(`${clamdName(hook)} answered ${quoted(reply)} to PING; is this a clamd?`);
}

/** Enough to need its temporary file. */
const SMALL_TRIAL = 4096;
// What it writes of mail is the message and its parts, so a trial has an attachment as well.
const TRIAL_HEAD = Buffer.from(
  'Subject: Trial\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="trial"\r\n\r\n--trial\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n',
);
const TRIAL_LINES = Buffer.from(`${"QUFB".repeat(19)}\r\n`.repeat(800));

function* trialOf(octets: number): Generator<Uint8Array> {
  let left = octets;
  for (let piece = TRIAL_HEAD; left > 0; piece = TRIAL_LINES) {
    yield piece.subarray(0, left);
    left -= piece.length;
  }
}

/** Has the daemon scan something harmless of that size: one whose disk is full still answers PING. @throws Error with its words when it gives no verdict. */
export async function tryScan(hook: ClamdHook, octets = SMALL_TRIAL): Promise<void> {
  const late = AbortSignal.timeout(hook.timeoutMs);
  findingsOf(await askClamd(hook, streamFrames(trialOf(octets)), late), hook);
}

/** How long a daemon has for its "too large" before it counts as taking the size. */
const SIZE_ANSWER_MS = 1000;

/**
 * Whether the daemon takes messages of so many octets: it judges a frame by its length (StreamMaxLength, clamd.conf(5)), before any of it has
 * come. @throws Error when it cannot be asked.
 */
export async function takesSize(hook: ClamdHook, octets: number): Promise<boolean> {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets);
  const late = AbortSignal.timeout(SIZE_ANSWER_MS);
  try {
    return !SIZE_EXCEEDED.test(await askClamd(hook, [Buffer.from("zINSTREAM\0"), length], late));
  } catch (error) {
    if (late.aborted) return true;
    throw error;
  }
}

class TooLarge extends Error {}

function findingsOf(reply: string, hook: ClamdHook): readonly Finding[] {
  if (reply === "stream: OK") return [{ check: "clamd", fact: "clamd.found", value: false }];
  const signature = /^stream: (.{1,200}) FOUND$/.exec(reply)?.[1];
  if (signature !== undefined) {
    return [
      { check: "clamd", fact: "clamd.found", value: true, words: `ClamAV found ${signature}` },
      { check: "clamd", fact: "clamd.signature", value: signature },
    ];
  }
  if (SIZE_EXCEEDED.test(reply)) {
    throw new TooLarge(
      `the message is larger than ${clamdName(hook)} takes; raise StreamMaxLength in its clamd.conf`,
    );
  }
  const kind = / ERROR$/.test(reply) ? " but an error of its own; its log says more" : "; is this a clamd?";
  throw new Error(`${clamdName(hook)} answered ${quoted(reply)}, which is no verdict${kind}`);
}
