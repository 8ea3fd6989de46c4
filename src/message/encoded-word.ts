// Encoded words of RFC 2047, both ways. No I/O.
import libmime from "libmime";

/** Decodes every encoded word; what cannot be decoded stays as it stands. */
export function decodeWords(text: string): string {
  if (!text.includes("=?")) return text;
  try {
    return libmime.decodeWords(text);
  } catch {
    return text;
  }
}

// RFC 2047 §2: an encoded word has at most 75 characters.
const MAX_ENCODED_WORD = 75;

/**
 * Text as it may stand in an unstructured header field: printable ASCII stays, anything else becomes encoded words separated by
 * spaces. Text that would itself be read as an encoded word is encoded too. Line breaks and other controls become spaces.
 */
export function encodeText(text: string): string {
  const clean = text.replace(/[\u0000-\u001f\u007f]+/g, " ").toWellFormed();
  if (/^[\x20-\x7e]*$/.test(clean) && !clean.includes("=?")) return clean;
  return libmime.encodeWord(clean, "B", MAX_ENCODED_WORD);
}

/** True when `encodeText` would have to encode it. */
export function needsEncoding(text: string): boolean {
  return !/^[\x20-\x7e]*$/.test(text) || text.includes("=?");
}

// RFC 5322 §2.1.1, without the CRLF.
const WANTED_LINE = 78;
const MAX_WORD = 900;

/**
 * Folds a header field (`Name: value`, printable ASCII) at spaces into lines of 78 characters where it can and never over 998,
 * and ends it with CRLF.
 */
export function foldField(field: string): string {
  if (field.length <= WANTED_LINE) return `${field}\r\n`;
  let folded = "";
  let line = "";
  for (const word of field.split(" ").flatMap(hardBreak)) {
    // A continuation line must not be white space alone, so a line is only ended when it holds something.
    if (line.trim() !== "" && word !== "" && line.length + 1 + word.length > WANTED_LINE) {
      folded += `${line}\r\n`;
      line = ` ${word}`;
    } else {
      line = line === "" && folded === "" ? word : `${line} ${word}`;
    }
  }
  return `${folded}${line}\r\n`;
}

function hardBreak(word: string): string[] {
  if (word.length <= MAX_WORD) return [word];
  const pieces: string[] = [];
  for (let at = 0; at < word.length; at += MAX_WORD) pieces.push(word.slice(at, at + MAX_WORD));
  return pieces;
}
