// What a far server answered, made fit for the log. Replies are hostile text: nothing here trusts them. No I/O.

/** A reply of the far side. `code` is null when it was no SMTP reply at all. */
export interface RemoteReply {
  readonly code: number | null;
  /** `5.1.1`, or null when there was none or its class contradicts the code. */
  readonly enhanced: string | null;
  /** One line, control characters replaced, at most `MAX_REPLY_LENGTH` characters. */
  readonly text: string;
}

/** Characters of a reply that are kept. */
const MAX_REPLY_LENGTH = 1000;

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const ALL_CONTROL = new RegExp(CONTROL, "g");
const REPLY_LINE = /^([2-5]\d\d)(?:[ -]|$)(?:([245]\.\d{1,3}\.\d{1,3})(?= |$))?/;

/** Replaces control characters and directional marks and caps the length, so that text of the far side cannot forge log lines. */
export function cleanText(text: string): string {
  const capped = text.length > MAX_REPLY_LENGTH ? `${text.slice(0, MAX_REPLY_LENGTH - 1)}…` : text;
  return CONTROL.test(capped) ? capped.replace(ALL_CONTROL, "�") : capped;
}

/** Drops `550-5.1.1 ` in front of a further line that repeats the first one's. */
function continuation(line: string): string {
  return line.replace(/^\d{3}[ -]/, "").replace(/^[245]\.\d{1,3}\.\d{1,3} /, "");
}

/** Reads a whole reply; its lines are joined with spaces. (RFC 5321 §4.2, RFC 2034 §4) */
export function parseReply(raw: string): RemoteReply {
  const whole = raw.length > 4 * MAX_REPLY_LENGTH ? raw.slice(0, 4 * MAX_REPLY_LENGTH) : raw;
  const lines = whole.includes("\n") ? whole.split(/\r?\n/) : [whole];
  const first = lines[0] ?? "";
  const match = REPLY_LINE.exec(first);
  const code = match?.[1] === undefined ? null : Number(match[1]);
  const enhanced = match?.[2] !== undefined && match[2].charAt(0) === first.charAt(0) ? match[2] : null;
  const head = lines.length > 1 && first.charAt(3) === "-" ? `${first.slice(0, 3)} ${first.slice(4)}` : first;
  const text = lines.length > 1 ? [head, ...lines.slice(1).map(continuation)].join(" ") : head;
  return { code, enhanced, text: cleanText(text) };
}

/** The class of a reply by its first digit: 2 … 5, or 0 when it is none. Cheap: for the hot path. */
export function replyClass(raw: string): number {
  const digit = raw.charCodeAt(0) - 0x30;
  return digit >= 2 && digit <= 5 ? digit : 0;
}
