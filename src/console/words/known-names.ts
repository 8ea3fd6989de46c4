// The checks' names and what they look at, for headings of the facts table. Unknown names are shown as they are.

const CHECKS: Readonly<Record<string, string>> = {
  spf: "SPF: may this server send for the envelope sender's domain?",
  dkim: "DKIM: do the signatures hold?",
  dmarc: "DMARC: does the From domain stand behind this message?",
  arc: "ARC: what earlier relays vouched for",
  attachments: "Attachments, by name and by content",
  eicar: "EICAR test file",
  gtube: "GTUBE test string",
  structure: "Structure of the message",
  clamd: "ClamAV",
  scan: "Scanning as a whole",
  client: "The client",
  listener: "The listener",
  sender: "The envelope sender",
  message: "The message",
  identity: "Who is behind it",
  bulk: "Bulk mail: how this compares with the identity’s own past",
  domain_age: "Age of the From domain",
};

/** A heading for a check's findings. */
export function checkInWords(name: string): string {
  return CHECKS[name] ?? name;
}
