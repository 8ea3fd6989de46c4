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
/**
 * Three digits decide what a line is; what follows them need not be a space. A fourth digit makes it no reply, unless an enhanced
 * code stands there without a space.
 */
const REPLY_LINE = /^([2-5]\d\d)(?:(-)|[ \t]|(?!\d)|(?=[245]\.\d{1,3}\.\d{1,3}(?:\s|$)))/;
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3})(?=\s|$)/;

/** One line of a reply. */
export interface ReplyLine {
  /** `250`. */
  readonly code: string;
  /** A hyphen follows the code: more lines come. */
  readonly more: boolean;
  readonly text: string;
}

/** Reads a line without its end; null when it is no line of a reply. (RFC 5321 §4.2) */
export function readReplyLine(line: string): ReplyLine | null {
  const match = REPLY_LINE.exec(line);
  if (match?.[1] === undefined) return null;
  return { code: match[1], more: match[2] !== undefined, text: line.slice(match[0].length) };
}

/**
 * A whole reply in one form, whatever the server's: each line is the code, a space, the text. The last line's code is the reply's
 * (RFC 5321 §4.2.1 wants them all equal). What is no reply stays as it is.
 */
export function usualForm(lines: readonly string[]): string {
  const last = lines.length === 0 ? null : readReplyLine(lines.at(-1) ?? "");
  if (last === null) return lines.join("\n");
  return lines.map((line) => `${last.code} ${readReplyLine(line)?.text ?? line}`).join("\n");
}

/** Replaces control characters and directional marks and caps the length, so that text of the far side cannot forge log lines. */
export function cleanText(text: string): string {
  const capped = text.length > MAX_REPLY_LENGTH ? `${text.slice(0, MAX_REPLY_LENGTH - 1)}…` : text;
  return CONTROL.test(capped) ? capped.replace(ALL_CONTROL, "�") : capped;
}

/** Reads a whole reply; its lines are joined with spaces. (RFC 5321 §4.2, RFC 2034 §4) */
export function parseReply(raw: string): RemoteReply {
  const whole = raw.length > 4 * MAX_REPLY_LENGTH ? raw.slice(0, 4 * MAX_REPLY_LENGTH) : raw;
  const lines = whole.includes("\n") ? whole.split(/\r?\n/) : [whole];
  const first = readReplyLine(lines[0] ?? "");
  if (first === null) return { code: null, enhanced: null, text: cleanText(lines.join(" ")) };
  const status = ENHANCED.exec(first.text)?.[1];
  const enhanced = status !== undefined && status.charAt(0) === first.code.charAt(0) ? status : null;
  const texts = [first.text, ...lines.slice(1).map(continuation)];
  return {
    code: Number(first.code),
    enhanced,
    text: cleanText(`${first.code} ${texts.join(" ")}`.trimEnd()),
  };
}

/** A further line without its code, and without the enhanced code that repeats the first line's. */
function continuation(line: string): string {
  return (readReplyLine(line)?.text ?? line).replace(/^[245]\.\d{1,3}\.\d{1,3} /, "");
}

/** The class of a reply in its usual form by its first digit: 2 … 5, or 0 when it is none. Cheap: for the hot path. */
export function replyClass(raw: string): number {
  const [first, second, third] = [digitAt(raw, 0), digitAt(raw, 1), digitAt(raw, 2)];
  return first >= 2 && first <= 5 && second >= 0 && third >= 0 && digitAt(raw, 3) < 0 ? first : 0;
}

function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
