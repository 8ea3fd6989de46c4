// Whether the records of a DNS message are all there, each as long as it says (RFC 1035 §4.1): what decodes a record reads as far as the
// message goes, and a cut one would pass for a short one. Decides nothing else.

const TYPE_TXT = 16;
/** Type, class, TTL and length, behind the name. */
const FIXED_BYTES = 10;
const POINTER = 0xc0;

/**
 * True when every record counted in the header lies wholly within the message, and each TXT is of whole strings (§3.3.14). No string at
 * all is against the rule, but it is the whole of what was said: RFC 7208's suite wants it passed over.
 */
export function hasWholeRecords(message: Buffer): boolean {
  const questions = message.readUInt16BE(4);
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  let at = 12;
  for (let n = 0; n < questions; n++) at = behindName(message, at) + 4;
  for (let n = 0; n < records; n++) {
    at = behindName(message, at);
    if (at + FIXED_BYTES > message.length) return false;
    const end = at + FIXED_BYTES + message.readUInt16BE(at + 8);
    if (end > message.length) return false;
    if (message.readUInt16BE(at) === TYPE_TXT && !isStrings(message, at + FIXED_BYTES, end)) return false;
    at = end;
  }
  return true;
}

/** Behind the last octet of the message when it is cut off within the name. */
function behindName(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const length = message[at];
    if (length === undefined) return message.length + 1;
    if (length === 0) return at + 1;
    if (length >= POINTER) return at + 2;
    at += length + 1;
  }
}

function isStrings(message: Buffer, from: number, end: number): boolean {
  let at = from;
  while (at < end) at += (message[at] ?? 0) + 1;
  return at === end;
}
