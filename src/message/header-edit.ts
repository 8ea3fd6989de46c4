// Changes to the header of a stored message, applied when a copy is delivered. No I/O.
import { headOf, type MessageBody, withHead } from "./body.ts";
import { encodeText, foldField, needsEncoding } from "./encoded-word.ts";
import { eachField, type HeaderField, readHeaderBlock } from "./header-block.ts";

// RFC 5322 §2.1.1, without the CRLF.
const MAX_LINE = 998;

/** A change to the header of one recipient's copy, applied when it is delivered. The stored original stays as it came. */
export type HeaderEdit =
  | { readonly kind: "add"; readonly name: string; readonly value: string }
  | { readonly kind: "subject"; readonly prefix: string; readonly suffix: string }
  /** Every field of that name is taken out, our own trace fields excepted. */
  | { readonly kind: "remove"; readonly name: string };

/**
 * The message with the edits made; the same object when there are none. Added fields stand below our trace fields, on top of the
 * original header. Later subject marks stand outside of earlier ones. Every Subject field is marked, so that the mark shows whichever
 * of them a reader picks; a message without one gets one. Removed fields go with their continuation lines; what is added under
 * the same name stays. The body is untouched.
 * @throws Error when an added field's name is none.
 */
export function applyEdits(message: Uint8Array, edits: readonly HeaderEdit[]): Uint8Array;
export function applyEdits(message: MessageBody, edits: readonly HeaderEdit[]): MessageBody;
export function applyEdits(body: MessageBody, edits: readonly HeaderEdit[]): MessageBody {
  if (edits.length === 0) return body;
  const message = headOf(body);
  const { text, bodyStart } = readHeaderBlock(message);
  let added = "";
  let prefix = "";
  let suffix = "";
  const removed = new Set<string>();
  for (const edit of edits) {
    switch (edit.kind) {
      case "add":
        added += addedField(edit.name, edit.value);
        break;
      case "subject":
        prefix = joinMarks(edit.prefix, prefix);
        suffix = joinMarks(suffix, edit.suffix);
        break;
      case "remove":
        removed.add(edit.name.trim().toLowerCase());
        break;
    }
  }
  // A line that is no field has no name: it is never meant.
  removed.delete("");
  const marked = prefix !== "" || suffix !== "";
  const { traceEnd, touched } = landmarks(text, { removed, marked });
  if (marked && touched.every((field) => removed.has(field.name))) {
    added += foldField(`Subject: ${encodeText(marksAlone(prefix, suffix))}`);
  }
  // A message that starts with the empty line, or has no line end at its end, still gets a header of its own.
  if (traceEnd === 0 && text === "" && bodyStart === 0 && added !== "") added += "\r\n";
  const pieces: Uint8Array[] = [message.subarray(0, traceEnd), Buffer.from(added)];
  let from = traceEnd;
  for (const field of touched) {
    pieces.push(message.subarray(from, field.start));
    if (!removed.has(field.name)) pieces.push(markSubject(text, field, prefix, suffix));
    from = field.end;
  }
  pieces.push(message.subarray(from));
  return withHead(body, Buffer.concat(pieces));
}

function addedField(name: string, value: string): string {
  if (!/^[!-9;-~]{1,76}$/.test(name)) {
    throw new Error(
      `cannot add the header field "${name.slice(0, 80)}": a name has letters, digits and dashes only`,
    );
  }
  return foldField(`${name}: ${encodeText(value).trim()}`);
}

function joinMarks(left: string, right: string): string {
  if (left === "" || right === "") return left + right;
  return /\s$/.test(left) || /^\s/.test(right) ? left + right : `${left} ${right}`;
}

/** The marks of a subject that says nothing: one space between them, none at the end (RFC 5322 §2.2). */
function marksAlone(prefix: string, suffix: string): string {
  return [prefix.trim(), suffix.trim()].filter((mark) => mark !== "").join(" ");
}

/** Where our trace fields (Received, Authentication-Results, note) end, and the fields below that are removed or marked, in order. */
function landmarks(
  text: string,
  wanted: { readonly removed: ReadonlySet<string>; readonly marked: boolean },
): { readonly traceEnd: number; readonly touched: readonly HeaderField[] } {
  let traceEnd = 0;
  let index = 0;
  const touched: HeaderField[] = [];
  eachField(text, (field) => {
    const ours =
      index < 3 &&
      ((index === 0 && field.name === "received") ||
        (index > 0 && traceEnd === field.start && isResultOrNote(field.name)));
    if (ours) traceEnd = field.end;
    else if (wanted.removed.has(field.name) || (wanted.marked && field.name === "subject"))
      touched.push(field);
    index++;
    return undefined;
  });
  return { traceEnd, touched };
}

function isResultOrNote(name: string): boolean {
  return name === "authentication-results" || name.startsWith("x-gatepost");
}

/** Where the value ends before white space and line end. A loop: a pattern would look at each space of a long run anew. */
function endOfValue(text: string, field: HeaderField): number {
  let end = field.end;
  while (end > field.colon + 1 && /[\r\n\t ]/.test(text.charAt(end - 1))) end--;
  return end;
}

/** The field with the marks around its value, whose octets (folds and encoded words too) stay as they are. */
function markSubject(text: string, field: HeaderField, prefix: string, suffix: string): Uint8Array {
  const value = text.slice(field.colon + 1, endOfValue(text, field)).replace(/^(?:\r\n)?[\t ]+/, "");
  if (value === "") {
    const name = text.slice(field.start, field.colon).trim();
    return Buffer.from(foldField(`${name}: ${encodeText(marksAlone(prefix, suffix))}`));
  }
  const before = encodedMark(prefix, "before");
  const after = encodedMark(suffix, "after");
  const line = text.slice(field.start, field.colon);
  const lastLine = value.length - (value.lastIndexOf("\n") + 1);
  const gap = after === "" ? "" : lastLine + after.length > 70 ? "\r\n" : "";
  const firstLine = value.indexOf("\r\n") < 0 ? value.length : value.indexOf("\r\n");
  const tooLong = before !== "" && line.length + 2 + before.length + firstLine > MAX_LINE;
  const start = tooLong ? `${before.trimEnd()}\r\n ` : before;
  return Buffer.from(`${line}: ${start}${value}${gap}${after}\r\n`, "latin1");
}

/**
 * A mark as it stands next to the value, with the space between. A reader drops the space between two encoded words (RFC 2047 §6.2),
 * so there it is encoded with the mark.
 */
function encodedMark(mark: string, side: "before" | "after"): string {
  const bare = mark.trim();
  if (bare === "") return "";
  if (!needsEncoding(bare)) return side === "before" ? `${bare} ` : ` ${bare}`;
  return side === "before" ? `${encodeText(`${bare} `)} ` : ` ${encodeText(` ${bare}`)}`;
}
