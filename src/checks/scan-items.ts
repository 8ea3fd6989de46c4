// Everything in a message that a person or program could open: parts decoded, archives unpacked, under budgets.
// Each item is visited once and dropped, so that memory holds one at a time.

import { extensionOf } from "./file-name.ts";
import type { MimePart, MimeTree } from "./mime-walk.ts";
import { decodeContent, uuencodedFiles } from "./transfer-encoding.ts";
import { isZip, MAX_ARCHIVE_DEPTH, newArchiveBudget, readZip } from "./zip-archive.ts";

export interface ScanItem {
  /** Every name it may be saved under; in archives one. Empty for text that is shown, not saved. */
  readonly names: readonly string[];
  /** What to call it in words: its name, with the archives around it (`a.zip › b.exe`). */
  readonly label: string;
  readonly bytes: Uint8Array;
  /** 0 is a part of the message itself, 1 a file in an attached archive, and so on. */
  readonly archiveDepth: number;
  /** Counts as an attachment: not the text of the message. */
  readonly attached: boolean;
  /** A part of the zip package a document is made of (OOXML, ODF): not a file its sender named. */
  readonly insideDocument: boolean;
  /** The label of the archive or document it was unpacked from, or null. */
  readonly within: string | null;
  readonly declaredTypes: readonly string[];
  readonly encrypted: boolean;
  /** Why it could not be looked at whole, or null. */
  readonly problem: string | null;
  /** Why other programs may see other bytes, or null. */
  readonly doubt: string | null;
}

/** Visits every item; an archive comes before what is in it, with `problem` set when it could not be opened. */
export async function eachItem(
  tree: MimeTree,
  visit: (item: ScanItem) => Promise<void> | void,
): Promise<void> {
  const budget = newArchiveBudget();
  for (const part of tree.parts) {
    for (const item of partItems(part)) await visitWithContents(item);
  }

  async function visitWithContents(item: ScanItem): Promise<void> {
    if (item.encrypted || !isArchive(item)) return visit(item);
    if (item.archiveDepth >= MAX_ARCHIVE_DEPTH) {
      return visit({ ...item, problem: `is an archive nested deeper than ${MAX_ARCHIVE_DEPTH}` });
    }
    const { bytes } = item;
    const listing = await readZip(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), budget);
    await visit({ ...item, problem: listing.problem ?? item.problem });
    if (!listing.ok) return;
    const isDocument = listing.files.some(
      (file) => file.name === "[Content_Types].xml" || file.name === "mimetype",
    );
    for (const file of listing.files) {
      await visitWithContents({
        names: [file.name],
        label: `${item.label} › ${file.name}`,
        bytes: file.bytes,
        archiveDepth: item.archiveDepth + 1,
        attached: true,
        insideDocument: isDocument,
        within: item.label,
        declaredTypes: [],
        encrypted: file.encrypted,
        problem: file.problem,
        doubt: null,
      });
    }
  }
}

function isArchive(item: ScanItem): boolean {
  // By content, and by name too: a damaged zip is still one that other programs may open.
  return (
    isZip(item.bytes) || (item.bytes.length > 0 && item.names.some((name) => extensionOf(name) === "zip"))
  );
}

function* partItems(part: MimePart): Generator<ScanItem> {
  if (part.container && part.names.length === 0 && part.disposition !== "attachment") return;
  const text = part.types.every((type) => type === "text/plain" || type === "text/html");
  const attached = part.names.length > 0 || part.disposition === "attachment" || !text;
  const label = part.names[0] ?? `unnamed ${part.types[0] ?? "part"}`;
  for (const encoding of part.encodings) {
    const { bytes, doubt } = decodeContent(part.body, encoding);
    yield {
      names: part.names,
      label,
      bytes,
      archiveDepth: 0,
      attached,
      insideDocument: false,
      within: null,
      declaredTypes: part.types,
      encrypted: false,
      problem: null,
      doubt,
    };
    if (!text) continue;
    for (const file of uuencodedFiles(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))) {
      yield {
        names: [file.name],
        label: file.name,
        bytes: file.bytes,
        archiveDepth: 0,
        attached: true,
        insideDocument: false,
        within: null,
        declaredTypes: [],
        encrypted: false,
        problem: null,
        doubt: null,
      };
    }
  }
}
