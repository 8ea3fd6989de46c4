// Findings about attachments: names, kinds by content, what can run, what is locked, what pretends. Decides nothing.
import type { Finding } from "../rules/fact.ts";
import { type ContentKind, contentKind, isMismatch, newDetectionBudget } from "./content-kind.ts";
import { extensionOf, extensionsOf, isDangerousExtension, isNameOfPlace, savedName } from "./file-name.ts";
import type { ScanItem } from "./scan-items.ts";

/** Collects findings while the items of one message are visited. */
export interface AttachmentSurvey {
  visit(item: ScanItem): Promise<void>;
  /** `cut`: why not all parts were looked at, or null. */
  findings(cut: string | null): readonly Finding[];
}

export const ATTACHMENT_FACTS = [
  "attachments.count",
  "attachments.names",
  "attachments.extensions",
  "attachments.types",
  "attachments.dangerous",
  "attachments.encrypted",
  "attachments.mismatched",
] as const;

const CHECK = "attachments";
const MAX_LISTED = 200;
const MAX_LABEL = 200;

/** A list of the message log: bounded, each entry once. */
export interface Listing {
  /** Returns the entry as it is shown. */
  add(entry: string): string;
  entries(): readonly string[];
}

export function listingOf(): Listing {
  const entries = new Set<string>();
  return {
    add(entry) {
      const text = shown(entry);
      if (entries.size < MAX_LISTED) entries.add(text);
      return text;
    },
    entries: () => [...entries],
  };
}

function shown(text: string): string {
  const plain = text
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "�")
    .toWellFormed();
  return plain.length > MAX_LABEL ? `${plain.slice(0, MAX_LABEL)}…` : plain;
}

/** Starts a survey of one message. */
export function surveyAttachments(): AttachmentSurvey {
  let count = 0;
  const names = listingOf();
  const extensions = listingOf();
  const types = listingOf();
  const dangerous = listingOf();
  const encrypted = listingOf();
  const mismatched = listingOf();
  const reasons: string[] = [];
  const detection = newDetectionBudget();

  function condemn(item: ScanItem, reason: string): void {
    dangerous.add(item.label);
    if (reasons.length < 5) reasons.push(`${shown(item.label)} ${reason}`);
  }

  return {
    async visit(item) {
      const content = await contentKind(item.bytes, detection);
      const { attached } = item;
      if (!attached && !content.runs) return;
      if (item.archiveDepth === 0) {
        count++;
        for (const name of item.names) names.add(savedName(name));
        types.add(content.kind === "" ? (item.declaredTypes[0] ?? content.mediaType) : content.mediaType);
      }
      if (!item.insideDocument) {
        for (const extension of item.names.flatMap(extensionsOf)) extensions.add(extension);
      }
      if (item.encrypted || isLockedDocument(item, content)) encrypted.add(item.label);
      const danger = dangerOf(item, content);
      if (danger !== null) condemn(item, danger);
      if (item.bytes.length > 0 && item.names.some((name) => isMismatch(extensionOf(name), content))) {
        mismatched.add(item.label);
      }
    },
    findings(cut) {
      if (cut !== null) {
        dangerous.add(`(${cut})`);
        reasons.push(`the message has ${cut}`);
      }
      return [
        { check: CHECK, fact: "attachments.count", value: count },
        { check: CHECK, fact: "attachments.names", value: names.entries() },
        { check: CHECK, fact: "attachments.extensions", value: extensions.entries() },
        { check: CHECK, fact: "attachments.types", value: types.entries() },
        listFinding("attachments.dangerous", dangerous.entries(), reasons.join("; ")),
        listFinding(
          "attachments.encrypted",
          encrypted.entries(),
          "nobody can look inside without the password",
        ),
        listFinding(
          "attachments.mismatched",
          mismatched.entries(),
          "the name says one thing, the content another",
        ),
      ];
    },
  };
}

function listFinding(fact: string, value: readonly string[], words: string): Finding {
  return value.length === 0 ? { check: CHECK, fact, value } : { check: CHECK, fact, value, words };
}

/** Why the item can do harm, as the end of a sentence that starts with its name; null when it seems it cannot. */
function dangerOf(item: ScanItem, content: ContentKind): string | null {
  const isText = content.kind === "" && content.mediaType === "text/plain";
  const name = item.names.find(
    (one) =>
      isDangerousExtension(extensionOf(one)) &&
      (content.runs || !isNameOfPlace(one, { text: isText, known: content.kind !== "" })),
  );
  if (name !== undefined) return `can run (.${extensionOf(name)})`;
  if (content.runs) return `is a program by its content (${content.kind})`;
  return item.problem;
}

/** Office documents with a password are OLE files that hold the encrypted package (MS-OFFCRYPTO §2.3.4.4). */
function isLockedDocument(item: ScanItem, content: ContentKind): boolean {
  if (content.kind === "pdf") return Buffer.from(item.bytes.subarray(-65_536)).includes("/Encrypt");
  const { buffer, byteOffset, byteLength } = item.bytes;
  return content.kind === "cfb" && Buffer.from(buffer, byteOffset, byteLength).includes(ENCRYPTED_PACKAGE);
}

const ENCRYPTED_PACKAGE = Buffer.from("EncryptedPackage", "utf16le");
