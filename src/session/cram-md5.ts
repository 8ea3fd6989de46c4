// CRAM-MD5 (RFC 2195): the client proves that it knows the password without sending it. For senders whose password is kept
// recoverable under the appliance key; an unknown login costs the same as a known one. No I/O.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Log } from "../observe/log.ts";
import type { SenderSettings } from "../policy/schema.ts";
import { CRAM_PURPOSE } from "../policy/sealed-password.ts";
import type { ApplianceKey } from "../vault/appliance-key.ts";

export interface CramPasswords {
  /** The password of the sender, or null: no such sender, or none kept for it. Takes the same time either way. */
  of(sender: SenderSettings | null): string | null;
}

/** Opens sealed passwords. */
export function createCramPasswords(key: Pick<ApplianceKey, "seal" | "open">, log: Log): CramPasswords {
  // Opened for those who have none.
  const decoy = key.seal(randomBytes(12).toString("base64"), CRAM_PURPOSE);
  return {
    of(sender) {
      const sealed = sender?.cram_password;
      const password = key.open(sealed ?? decoy, CRAM_PURPOSE);
      if (sender === null || sealed === undefined) return null;
      if (password === null)
        log.error(
          { sender: sender.login ?? sender.domain },
          "the CRAM-MD5 password cannot be opened with this appliance key; set it anew",
        );
      return password;
    },
  };
}

/** A challenge that comes once: `<random.time@host>` (RFC 2195 §2). */
export function cramChallenge(hostname: string, nowMs: number): string {
  return `<${randomBytes(12).toString("hex")}.${nowMs}@${hostname}>`;
}

/** What the client answers: its login, a space, the digest in hex. null: it is not that. */
export function readCramResponse(text: string): { readonly login: string; readonly digest: string } | null {
  const [, login, digest] = /^([^\0]+) ([0-9a-f]{32})$/i.exec(text) ?? [];
  return login === undefined || digest === undefined ? null : { login, digest: digest.toLowerCase() };
}

/** Is it the digest of the challenge under the password? Compared in constant time; null (nobody) never matches. */
export function cramMatches(challenge: string, digest: string, password: string | null): boolean {
  const secret = password ?? randomBytes(12).toString("base64");
  const expected = createHmac("md5", secret).update(challenge).digest();
  const given = Buffer.from(digest, "hex");
  return given.length === expected.length && timingSafeEqual(expected, given) && password !== null;
}
