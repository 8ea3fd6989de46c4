// Verifying and hashing passwords in turn. Bounded: a flood of log-ins must not eat the memory or the processor.
import { hashPassword, passwordMatches } from "../../policy/password-hash.ts";

export interface PasswordCheck {
  /**
   * Does the password belong to the hash? With `null` (no such account) a hash of the same cost is verified and the answer is
   * false, so that time tells nothing. `busy`: too many are waiting already.
   */
  verify(password: string, hash: string | null): Promise<boolean | "busy">;
  /** An argon2id hash in PHC form. */
  hash(password: string): Promise<string>;
}

/** Each argon2id run takes 19 MiB and tens of milliseconds of one core. */
const MAX_RUNNING = 2;
const MAX_WAITING = 32;

export function createPasswordCheck(): PasswordCheck {
  let running = 0;
  const waiting: (() => void)[] = [];
  let decoy: Promise<string> | null = null;

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= MAX_RUNNING) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }
  const hash = (password: string) => inTurn(() => hashPassword(password));

  return {
    async verify(password, known) {
      if (waiting.length >= MAX_WAITING) return "busy";
      decoy ??= hash(crypto.randomUUID());
      const target = known ?? (await decoy);
      const matches = await inTurn(() => passwordMatches(password, target));
      return known !== null && matches;
    },
    hash,
  };
}
