// Queue ids: they sort by time and do not collide across nodes.
import { randomFillSync } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 10;
const pool = new Uint8Array(4096);
let used = pool.length;

/** A new id: 10 characters of time in milliseconds, 10 random ones (50 bits), in Crockford's base 32, lower case. */
export function newMessageId(nowMs: number): string {
  let id = "";
  let rest = nowMs;
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    id = ALPHABET.charAt(rest % 32) + id;
    rest = Math.floor(rest / 32);
  }
  if (used + RANDOM_CHARACTERS > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let i = 0; i < RANDOM_CHARACTERS; i++) id += ALPHABET.charAt((pool[used++] ?? 0) & 31);
  return id;
}
