// Password hashes as they are stored: argon2id, computed off the main thread. Never logs or returns a password.
import { preparePassword } from "../message/prepared-password.ts";

/** OWASP's first choice for argon2id: 19 MiB, two passes. A login is verified once and then cached by the session. */
const ARGON2ID = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** Bounds on hashes that come from outside: a crafted one must not make a login take gigabytes or minutes. */
const MAX_MEMORY_KIB = 262_144;
const MAX_TIME_COST = 12;

/** Hashes a password. */
export function hashPassword(password: string): Promise<string> {
  return Bun.password.hash(preparePassword(password), ARGON2ID);
}

/** Does the password belong to the hash? A hash that cannot be read belongs to none. */
export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const prepared = preparePassword(password);
  try {
    if (await Bun.password.verify(prepared, hash)) return true;
    // Hashes given from outside are of the password as it was written there.
    return prepared !== password && (await Bun.password.verify(password, hash));
  } catch {
    return false;
  }
}

/** Why a hash given from outside cannot be used, or null. */
export function refusePasswordHash(hash: string): string | null {
  const parts =
    /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{22,256}$/.exec(
      hash,
    );
  if (parts === null)
    return "is not an argon2 hash; give password instead, or a hash that begins with $argon2id$v=19$";
  if (Number(parts[1]) > MAX_MEMORY_KIB || Number(parts[2]) > MAX_TIME_COST || Number(parts[3]) > 16) {
    return `asks for more than ${MAX_MEMORY_KIB} KiB of memory, ${MAX_TIME_COST} passes or 16 lanes; hash the password again`;
  }
  return null;
}
