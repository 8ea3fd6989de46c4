// Proves passwords: argon2id once, then a keyed in-memory cache, so that a login costs microseconds. Keeps no password.
import { createHmac, randomBytes } from "node:crypto";
import { personsNetwork } from "../message/client-network.ts";
import type { Clock } from "../observe/clock.ts";
import { FairQueue } from "../observe/fair-queue.ts";
import { hashPassword, passwordMatches } from "../policy/password-hash.ts";

/** `busy`: too many logins wait already. */
export type PasswordResult = "ok" | "wrong" | "busy";

interface PasswordQuestion {
  readonly login: string;
  readonly password: string;
  /** The stored argon2id hash, null for an unknown login: it takes the same time. */
  readonly hash: string | null;
  /** The client's address: one client must not take all the places to wait. */
  readonly client: string;
}

export interface PasswordCheck {
  check(question: PasswordQuestion): Promise<PasswordResult>;
}

const MAX_RUNNING = 2;
const MAX_WAITING = 64;
const MAX_OF_ONE_CLIENT = 32;
const MAX_CACHED = 10_000;
const CACHE_MS = 3_600_000;

interface Proof {
  readonly hash: string;
  readonly until: number;
}

/** Makes a check with an empty cache under a key of its own, made at random and never stored. */
export function createPasswordCheck(clock: Clock): PasswordCheck {
  const key = randomBytes(32);
  const proofs = new Map<string, Proof>();
  const verify = createVerifier();
  let dummy: Promise<string> | null = null;
  return {
    async check({ login, password, hash, client }) {
      const id = createHmac("sha256", key).update(login).update("\0").update(password).digest("base64");
      const proof = proofs.get(id);
      // A changed password has another hash: what the old one proved is void.
      if (proof !== undefined && proof.hash === hash && proof.until > clock.now()) return "ok";
      // Of the same cost as the stored ones: a login that does not exist must not be told by the time it takes.
      dummy ??= hashPassword(randomBytes(16).toString("hex"));
      const result = await verify({ password, hash: hash ?? (await dummy), client });
      if (result !== "ok" || hash === null) return result === "busy" ? "busy" : "wrong";
      remember(proofs, id, { hash, until: clock.now() + CACHE_MS });
      return "ok";
    },
  };
}

/** The oldest proof goes when there are too many. */
function remember(proofs: Map<string, Proof>, id: string, proof: Proof): void {
  proofs.delete(id);
  if (proofs.size >= MAX_CACHED) {
    const oldest = proofs.keys().next();
    if (oldest.done !== true) proofs.delete(oldest.value);
  }
  proofs.set(id, proof);
}

/** Argon2 takes 40 ms and much memory: at most `MAX_RUNNING` side by side, a bounded number waits. */
function createVerifier(): (asked: {
  readonly password: string;
  readonly hash: string;
  readonly client: string;
}) => Promise<PasswordResult> {
  let running = 0;
  const waiting = new FairQueue<() => void>();
  const clients = new Map<string, number>();

  async function inTurn(password: string, hash: string, user: string): Promise<PasswordResult> {
    if (running >= MAX_RUNNING) {
      if (waiting.length >= MAX_WAITING) return "busy";
      await new Promise<void>((resolve) => waiting.push(user, resolve));
    } else running++;
    try {
      return (await passwordMatches(password, hash)) ? "ok" : "wrong";
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  return async ({ password, hash, client: ip }) => {
    // Neighbours count as one, and whoever waits takes turns with them.
    const client = personsNetwork(ip);
    const ofClient = clients.get(client) ?? 0;
    if (ofClient >= MAX_OF_ONE_CLIENT) return "busy";
    clients.set(client, ofClient + 1);
    try {
      return await inTurn(password, hash, client);
    } finally {
      const left = (clients.get(client) ?? 1) - 1;
      if (left === 0) clients.delete(client);
      else clients.set(client, left);
    }
  };
}
