// The two agreed test contents: the EICAR anti-virus test file and the GTUBE spam test text. No I/O.
import type { Finding } from "../rules/fact.ts";

// Written in two pieces, so that this program is not itself taken for the test file.
const EICAR = Buffer.from(
  ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].join(""),
);
const GTUBE = Buffer.from(
  ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join(""),
);

export function containsEicar(bytes: Uint8Array): boolean {
  return asBuffer(bytes).includes(EICAR);
}

export function containsGtube(bytes: Uint8Array): boolean {
  return asBuffer(bytes).includes(GTUBE);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** `where`: what it was found in, or null when it was not. */
export function eicarFinding(where: string | null): Finding {
  const finding = { check: "eicar", fact: "eicar.found", value: where !== null };
  return where === null ? finding : { ...finding, words: `the EICAR test file is in ${where}` };
}

/** `where`: what it was found in, or null when it was not. */
export function gtubeFinding(where: string | null): Finding {
  const finding = { check: "gtube", fact: "gtube.found", value: where !== null };
  return where === null ? finding : { ...finding, words: `the GTUBE test text is in ${where}` };
}
