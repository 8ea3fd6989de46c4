// Makes DKIM key pairs and reads private keys back. Their bytes leave this file as text only: what is kept is sealed by the caller.
import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import type { DkimAlgorithm } from "./dkim.ts";

/** `publicKey`: what stands behind `p=`. `privateKey`: PKCS #8 in base64. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

// RFC 8301 §3.2 asks for 2048 bits at least, and longer records do not fit a UDP answer.
const RSA_BITS = 2048;
// An Ed25519 key in DER (RFC 8410 §4) ends with its 32 octets; the record holds those alone (RFC 8463 §4).
const ED25519_BYTES = 32;
const makePair = promisify(generateKeyPair);

/** Makes a pair, off the main thread. */
export async function makeKeyPair(algorithm: DkimAlgorithm): Promise<KeyPair> {
  switch (algorithm) {
    case "rsa": {
      const pair = await makePair("rsa", { modulusLength: RSA_BITS });
      return textOf(pair, (spki) => spki);
    }
    case "ed25519": {
      const pair = await makePair("ed25519");
      return textOf(pair, (spki) => spki.subarray(-ED25519_BYTES));
    }
  }
}

function textOf(
  pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  published: (spki: Buffer) => Buffer,
): KeyPair {
  const spki = pair.publicKey.export({ type: "spki", format: "der" });
  const pkcs8 = pair.privateKey.export({ type: "pkcs8", format: "der" });
  return { publicKey: published(spki).toString("base64"), privateKey: pkcs8.toString("base64") };
}

/** The private key to sign with. @throws Error when the text is no key. */
export function readPrivateKey(privateKey: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(privateKey, "base64"), format: "der", type: "pkcs8" });
}
