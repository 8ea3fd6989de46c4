// The appliance key: encrypts what must be kept recoverable (DKIM private keys, CRAM-MD5 passwords) so that a copy of the database alone
// gives nothing away. One file in the data directory; whoever loses it makes those secrets anew.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Seals and opens short secrets. `purpose` binds a sealed text to its use: it opens for that purpose only. */
export interface ApplianceKey {
  /** `sealed:` and base64: AES-256-GCM under the key, a nonce of its own each time. */
  seal(secret: string, purpose: string): string;
  /** The secret, or null when it was sealed by another key, for another purpose, or was changed. */
  open(sealed: string, purpose: string): string | null;
}

const PREFIX = "sealed:";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Reads `appliance.key` in the folder or makes it (0600). Throws a readable error when it is there and cannot be used. */
export function loadOrMakeApplianceKey(folder: string): ApplianceKey {
  const path = join(folder, "appliance.key");
  const key = readKey(path) ?? makeKey(folder, path);
  return {
    seal(secret, purpose) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(purpose));
      const body = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64");
    },
    open(sealed, purpose) {
      if (!sealed.startsWith(PREFIX)) return null;
      const bytes = Buffer.from(sealed.slice(PREFIX.length), "base64");
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce)
        .setAAD(Buffer.from(purpose))
        .setAuthTag(tag);
      try {
        const body = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
        return Buffer.concat([body, decipher.final()]).toString("utf8");
      } catch {
        return null;
      }
    },
  };
}

function readKey(path: string): Buffer | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new Error(`The appliance key ${path} cannot be read: ${String(error)}. Make it readable again.`, {
      cause: error,
    });
  }
  const key = Buffer.from(text.trim(), "base64");
  if (key.length === KEY_BYTES) return key;
  throw new Error(
    `The appliance key ${path} is damaged: it holds ${key.length} octets, not ${KEY_BYTES}. Restore it from a backup; without it the DKIM keys and CRAM-MD5 passwords must be made anew, then remove the file.`,
  );
}

/** Written under another name first: a crash in between leaves no half key. */
function makeKey(folder: string, path: string): Buffer {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = randomBytes(KEY_BYTES);
  const half = `${path}.new`;
  rmSync(half, { force: true });
  writeFileSync(half, `${key.toString("base64")}\n`, { mode: 0o600, flush: true });
  chmodSync(half, 0o600);
  linkSync(half, path);
  rmSync(half);
  return key;
}
