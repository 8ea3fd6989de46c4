// A challenge that costs a browser about half a second of work and a crowd of programs much more (ALTCHA, without a third party).
// Each solution counts once. Knows nothing of what it protects.
import { randomBytes } from "node:crypto";
import { type Challenge, createChallenge, verifySolution } from "altcha-lib";
import { deriveKey } from "altcha-lib/algorithms/pbkdf2";
import { z } from "zod";
import type { Clock } from "../../observe/clock.ts";

/** `busy`: so many solutions came in a short time that no more can be remembered. */
export type ChallengeResult = "solved" | "wrong" | "expired" | "spent" | "busy";

export interface WorkChallenge {
  /** A new challenge for the widget. Nothing is kept of it. */
  create(): Promise<Challenge>;
  /** Checks what the widget put into the form: base64 of JSON. Takes some 2 ms off the main thread. */
  check(payload: string): Promise<ChallengeResult>;
}

const ALGORITHM = "PBKDF2/SHA-256";
const ITERATIONS = 5000;
/** One of 256 keys begins with it: on average 256 tries. */
const KEY_PREFIX = "00";
const VALID_MS = 15 * 60_000;
const MAX_PAYLOAD = 4096;
const MAX_SPENT = 50_000;

const text = z.string().max(200);
const payloadSchema = z.object({
  challenge: z.object({
    parameters: z.strictObject({
      algorithm: z.literal(ALGORITHM),
      cost: z.literal(ITERATIONS),
      keyLength: z.number().int(),
      keyPrefix: z.literal(KEY_PREFIX),
      nonce: text,
      salt: text,
      data: z.strictObject({ until: z.number() }),
    }),
    signature: text,
  }),
  solution: z.object({ counter: z.number().int().min(0).max(0xffffffff), derivedKey: text }),
});

type Payload = z.output<typeof payloadSchema>;

function readPayload(payload: string): Payload | null {
  if (payload.length > MAX_PAYLOAD) return null;
  try {
    const parsed = payloadSchema.safeParse(JSON.parse(Buffer.from(payload, "base64").toString("utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Makes challenges under a key of its own, made at random and never stored: a restart voids those that are open. */
export function createWorkChallenge(clock: Clock): WorkChallenge {
  const hmacSignatureSecret = randomBytes(32).toString("hex");
  // Until when, by the signature of the challenge; in order of use. A solution could be used again if it were forgotten earlier.
  const spent = new Map<string, number>();

  function isFull(now: number): boolean {
    if (spent.size < MAX_SPENT) return false;
    for (const [signature, until] of spent) if (until <= now) spent.delete(signature);
    return spent.size >= MAX_SPENT;
  }

  return {
    create: () =>
      createChallenge({
        algorithm: ALGORITHM,
        cost: ITERATIONS,
        keyPrefix: KEY_PREFIX,
        deriveKey,
        hmacSignatureSecret,
        data: { until: clock.now() + VALID_MS },
      }),
    async check(payload) {
      const read = readPayload(payload);
      if (read === null) return "wrong";
      const { challenge, solution } = read;
      const { signature } = challenge;
      if (challenge.parameters.data.until <= clock.now()) return "expired";
      if (spent.has(signature)) return "spent";
      const { verified } = await verifySolution({ challenge, solution, deriveKey, hmacSignatureSecret });
      if (!verified) return "wrong";
      // Asked again: the same solution may have come twice while it was being verified.
      if (spent.has(signature)) return "spent";
      if (isFull(clock.now())) return "busy";
      spent.set(signature, challenge.parameters.data.until);
      return "solved";
    },
  };
}
