// All checks that parse hostile bytes, in one pass over one message. Runs inside a scan worker; no I/O.
import { displayText, eachField, rawValue, readHeaderBlock } from "../message/header-block.ts";
import type { Finding } from "../rules/fact.ts";
import { surveyAttachments } from "./attachments.ts";
import { surveyMacros } from "./macros.ts";
import { walkMime } from "./mime-walk.ts";
import { eachItem } from "./scan-items.ts";
import { structureFindings } from "./structure.ts";
import { containsEicar, containsGtube, eicarFinding, gtubeFinding } from "./test-strings.ts";

/** The checks that are answered from the message's own bytes. */
export const CONTENT_CHECKS = ["attachments", "macros", "eicar", "gtube", "structure"] as const;
export type ContentCheck = (typeof CONTENT_CHECKS)[number];

/** What each of the wanted checks found. */
export async function scanMessage(
  raw: Uint8Array,
  wanted: readonly ContentCheck[],
): Promise<ReadonlyMap<ContentCheck, readonly Finding[]>> {
  const tree = walkMime(raw);
  const survey = wanted.includes("attachments") ? surveyAttachments() : null;
  const macros = wanted.includes("macros") ? surveyMacros() : null;
  const doubts = new Set<string>();
  let eicar = containsEicar(raw) ? "the message" : null;
  let gtube = gtubeInHeaderOrRaw(raw);
  await eachItem(tree, (item) => {
    if (item.doubt !== null) doubts.add(item.doubt);
    eicar ??= containsEicar(item.bytes) ? item.label : null;
    gtube ??= item.archiveDepth === 0 && containsGtube(item.bytes) ? item.label : null;
    macros?.visit(item);
    return survey?.visit(item);
  });
  const findings = new Map<ContentCheck, readonly Finding[]>();
  for (const check of wanted) {
    switch (check) {
      case "attachments":
        findings.set(check, survey?.findings(tree.cut) ?? []);
        break;
      case "macros":
        findings.set(check, macros?.findings() ?? []);
        break;
      case "eicar":
        findings.set(check, [eicarFinding(eicar)]);
        break;
      case "gtube":
        findings.set(check, [gtubeFinding(gtube)]);
        break;
      case "structure":
        findings.set(check, structureFindings(raw, tree, doubts));
        break;
    }
  }
  return findings;
}

function gtubeInHeaderOrRaw(raw: Uint8Array): string | null {
  if (containsGtube(raw)) return "the message";
  const { text } = readHeaderBlock(raw);
  let found = false;
  eachField(text, (field) => {
    if (field.name === "subject")
      found ||= containsGtube(Buffer.from(displayText(rawValue(text, field), 4000)));
    return !found;
  });
  return found ? "the subject" : null;
}
