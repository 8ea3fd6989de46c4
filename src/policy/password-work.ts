// What costs time about the passwords of a document: proving them to be the stored ones, hashing new ones. Each is done once, so that it
// can be done before a change has its turn and others wait for it. No I/O.
import { hashPassword, passwordMatches } from "./password-hash.ts";

export interface PasswordWork {
  matches(password: string, storedHash: string): Promise<boolean>;
  /** A hash for `key`; two with one password have two salts. */
  hash(password: string, key: string): Promise<string>;
}

/** Work that remembers what it has done; for one document. */
export function passwordWork(): PasswordWork {
  const proven = new Map<string, boolean>();
  const hashes = new Map<string, string>();
  return {
    async matches(password, storedHash) {
      const name = JSON.stringify([password, storedHash]);
      const known = proven.get(name) ?? (await passwordMatches(password, storedHash));
      proven.set(name, known);
      return known;
    },
    async hash(password, key) {
      const name = JSON.stringify([password, key]);
      const known = hashes.get(name) ?? (await hashPassword(password));
      hashes.set(name, known);
      return known;
    },
  };
}

/** Has a sender of the document a password? Without one there is nothing that takes long. */
export function namesPasswords(document: unknown): boolean {
  const senders: unknown =
    typeof document === "object" && document !== null ? Reflect.get(document, "sender") : undefined;
  return (
    Array.isArray(senders) &&
    senders.some((one: unknown) => typeof one === "object" && one !== null && "password" in one)
  );
}
