// DKIM of one message by mailauth, with what its strict reading leaves out: names with underscores, and keys asked for all at once.

import type { DKIMVerifyResult } from "mailauth";
import { DkimVerifier, type PreparedSignature } from "mailauth/lib/dkim/dkim-verifier";
import type { Resolve } from "./authenticate-message.ts";

type KeyLookup = (name: string, rrtype: string) => Promise<string[] | string[][]>;

export interface DkimVerification {
  readonly results: DKIMVerifyResult["results"];
  /** How many From fields mailauth counts. */
  readonly fromFields: number;
  readonly arc: DKIMVerifyResult["arc"];
}

const CHUNK_BYTES = 65_536;

/** Verifies every signature. @throws Error when mailauth fails. */
export async function verifyDkim(
  message: Buffer,
  options: { readonly resolve: Resolve; readonly sender: string },
): Promise<DkimVerification> {
  const verifier = new PatientVerifier({
    // mailauth's own type leaves MX records out, which nobody asks for here.
    resolver: keysFirst(options.resolve as KeyLookup),
    sender: options.sender,
    strict: true,
  });
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  verifier.on("finish", resolve).on("error", reject);
  for (let at = 0; at < message.length; at += CHUNK_BYTES) {
    if (verifier.write(message.subarray(at, at + CHUNK_BYTES))) continue;
    await Promise.race([done, new Promise((drained) => verifier.once("drain", drained))]);
  }
  verifier.end();
  await done;
  return verifier;
}

/** mailauth reads the first record of a selector; what else stands there (a proof of ownership, mostly) must not hide the key. */
function keysFirst(lookUp: KeyLookup): KeyLookup {
  return async (name, rrtype) => {
    const records = await lookUp(name, rrtype);
    const isKey = (record: string | readonly string[]): boolean =>
      /(?:^|;)\s*p\s*=/.test(typeof record === "string" ? record : record.join(""));
    return [...records].sort((a, b) => Number(isKey(b)) - Number(isKey(a))) as typeof records;
  };
}

class PatientVerifier extends DkimVerifier {
  /**
   * RFC 6376 §3.1 has no underscores in selectors, DNS has, and big senders use them. They are hidden while the names are judged;
   * the field itself, which is what was signed, stays as it is.
   */
  protected override prepareSignature(signature: PreparedSignature): void {
    const { s: selector, d: domain } = signature.parsed ?? {};
    const hidden = [selector, domain].flatMap((tag) => {
      const value = tag?.value;
      if (tag === undefined || typeof value !== "string" || !value.includes("_")) return [];
      tag.value = value.replaceAll("_", "x");
      return [{ tag, value }];
    });
    const identity = signature.parsed?.i;
    const whole = identity?.value;
    if (identity !== undefined && typeof whole === "string" && domain !== undefined && hidden.length > 0) {
      identity.value = whole.replaceAll("_", "x");
      hidden.push({ tag: identity, value: whole });
    }
    super.prepareSignature(signature);
    for (const { tag, value } of hidden) {
      tag.value = value;
      if (tag === selector) signature.selector = value;
      if (tag === domain) signature.signingDomain = value;
    }
  }

  /** One signature whose key comes late must not keep the look-up of the next waiting: a message has its time in all. */
  protected override async messageHeaders(headers: unknown): Promise<void> {
    await super.messageHeaders(headers);
    for (const signature of this.signatureHeaders) {
      const { type, selector, signingDomain, hashAlgo, skip, invalid } = signature;
      if (skip !== undefined || invalid !== undefined) continue;
      // Kept by mailauth for the message; a failure is told where the signature is verified.
      this.keyCache
        .get(type, `${selector}._domainkey.${signingDomain}`, undefined, { strict: true, hashAlgo })
        .catch(() => undefined);
    }
  }
}
