// The DKIM-Signature fields of a message, by hand over node:crypto (RFC 6376, RFC 8463): relaxed/relaxed, the whole body, no `l=`.
// The message's octets are hashed as they are sent and never changed; a large one is read
// from its file for that.
import { createHash, type KeyObject, sign } from "node:crypto";
import { promisify } from "node:util";
import { headOf, type MessageBody } from "../message/body.ts";
import { eachField, type HeaderField, readHeaderBlock } from "../message/header-block.ts";
import { relaxedBodyHash } from "./body-hash.ts";
import type { DkimAlgorithm } from "./dkim.ts";

/** A parsed private key, ready to sign with. */
export interface SigningKey {
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly key: KeyObject;
}

// What readers see and what programs act on. Not the trace fields: every hop adds its own. (RFC 6376 §5.4.1)
const SIGNED = (
  "from sender to cc subject date message-id reply-to mime-version content-type content-transfer-encoding in-reply-to references " +
  "list-id list-help list-unsubscribe list-unsubscribe-post list-subscribe list-post list-owner list-archive"
).split(" ");
const IS_SIGNED: ReadonlySet<string> = new Set(SIGNED);
/**
 * Named once more than they stand, so that a hop that adds one, or another one, breaks the signature: mail programs show either of two,
 * and a second Content-Type makes another text of the body. (RFC 6376 §5.4.2, §8.15)
 */
const CLOSED: ReadonlySet<string> = new Set(
  SIGNED.filter(
    (name) =>
      name.startsWith("list-") ||
      "from sender to cc subject date reply-to mime-version content-type".split(" ").includes(name),
  ),
);
/** Of fields that stand more than once so many are signed, from the bottom up, as verifiers take them. */
const MAX_INSTANCES = 10;
const LINE = 76;

// With a callback the work is done in a thread of its own: an RSA signature takes half a millisecond.
const signOffThread = promisify(sign);

/** The fields, each with its CRLF, to be put on top of the message; one per key, in their order. `signedAtMs` is milliseconds UTC. */
export async function signatureFields(
  message: MessageBody,
  options: { readonly domain: string; readonly keys: readonly SigningKey[]; readonly signedAtMs: number },
): Promise<string> {
  const { text, bodyStart } = readHeaderBlock(headOf(message));
  const { names, canonical } = signedHeader(text);
  const bodyHash = await relaxedBodyHash(message, bodyStart);
  const fields = await Promise.all(
    options.keys.map(async ({ selector, algorithm, key }) => {
      const unsigned =
        `DKIM-Signature: v=1; a=${algorithm}-sha256; c=relaxed/relaxed;\r\n` +
        `\td=${options.domain}; s=${selector}; t=${Math.floor(options.signedAtMs / 1000)};\r\n` +
        `\tbh=${bodyHash};\r\n` +
        `\th=${foldedNames(names)};\r\n` +
        "\tb=";
      const colon = unsigned.indexOf(":");
      const own = relaxed("dkim-signature", unsigned.slice(colon + 1));
      const data = Buffer.from(canonical + own, "latin1");
      return `${unsigned}${foldedBase64(await signature(algorithm, key, data))}\r\n`;
    }),
  );
  return fields.join("");
}

async function signature(algorithm: DkimAlgorithm, key: KeyObject, data: Buffer): Promise<Buffer> {
  switch (algorithm) {
    case "rsa":
      return signOffThread("sha256", data, key);
    case "ed25519":
      // RFC 8463 §3: PureEdDSA over the hash. It takes microseconds.
      return sign(null, createHash("sha256").update(data).digest(), key);
  }
}

/** The names for `h=`, and the canonical fields in that order, each with its CRLF; one character per octet. */
function signedHeader(text: string): { readonly names: readonly string[]; readonly canonical: string } {
  const found = new Map<string, HeaderField[]>();
  eachField(text, (field) => {
    if (!IS_SIGNED.has(field.name)) return undefined;
    const fields = found.get(field.name);
    if (fields === undefined) found.set(field.name, [field]);
    else {
      fields.push(field);
      if (fields.length > MAX_INSTANCES) fields.shift();
    }
    return undefined;
  });
  const names: string[] = [];
  let canonical = "";
  for (const name of SIGNED) {
    const fields = found.get(name) ?? [];
    for (const field of fields.toReversed()) {
      names.push(name);
      canonical += `${relaxed(name, text.slice(field.colon + 1, field.end))}\r\n`;
    }
    if (CLOSED.has(name) && fields.length < MAX_INSTANCES) names.push(name);
  }
  return { names, canonical };
}

/** RFC 6376 §3.4.2, without the CRLF. */
function relaxed(name: string, value: string): string {
  const unfolded = value.replaceAll("\r\n", "");
  const single = /[\t ]{2}|\t/.test(unfolded) ? unfolded.replace(/[\t ]+/g, " ") : unfolded;
  const start = single.startsWith(" ") ? 1 : 0;
  const end = single.endsWith(" ") ? single.length - 1 : single.length;
  return `${name}:${single.slice(start, Math.max(start, end))}`;
}

/** The names with colons between them, folded behind colons, where verifiers expect white space. (RFC 6376 §3.5) */
function foldedNames(names: readonly string[]): string {
  let folded = "";
  let width = 4;
  for (const [index, name] of names.entries()) {
    const piece = index === names.length - 1 ? name : `${name}:`;
    if (width + piece.length > LINE) {
      folded += "\r\n\t";
      width = 1;
    }
    folded += piece;
    width += piece.length;
  }
  return folded;
}

function foldedBase64(bytes: Buffer): string {
  const text = bytes.toString("base64");
  let folded = text.slice(0, LINE - 3);
  for (let at = LINE - 3; at < text.length; at += LINE - 1)
    folded += `\r\n\t${text.slice(at, at + LINE - 1)}`;
  return folded;
}
