// Every fact a rule may name, with its kind and one line for people. The console lists them; the parser refuses all others.
import { nearestName } from "./nearest-name.ts";

/** `bytes` is a number of octets, written with a size such as `10 MB`. */
export type FactKind = "boolean" | "number" | "bytes" | "text" | "list";

export interface KnownFact {
  readonly name: string;
  readonly kind: FactKind;
  readonly description: string;
  /** All values a text fact can have, when they are few. */
  readonly values?: readonly string[];
  /** A fact that says more; shown beside this one when it explains a decision. */
  readonly detail?: string;
}

/** Names of the checks; each writes `NAME.failed` when it broke. */
const CHECKS = [
  "spf",
  "dkim",
  "dmarc",
  "arc",
  "attachments",
  "eicar",
  "gtube",
  "structure",
  "clamd",
] as const;

const SPF_RESULTS = ["none", "neutral", "pass", "softfail", "fail", "temperror", "permerror"] as const;

/** The facts, in the order the console shows them. */
export const KNOWN_FACTS: readonly KnownFact[] = [
  { name: "client.ip", kind: "text", description: "Address of the client that handed the message in" },
  { name: "client.helo", kind: "text", description: "Name the client gave with EHLO or HELO" },
  {
    name: "client.hostname",
    kind: "text",
    description: "Verified reverse name of the client; absent without one",
  },
  { name: "client.tls", kind: "boolean", description: "The message came over TLS" },
  {
    name: "client.authenticated",
    kind: "boolean",
    description: "The client logged in",
    detail: "client.login",
  },
  {
    name: "client.trusted",
    kind: "boolean",
    description: "The client is in a trusted network or an IP sender",
  },
  { name: "client.login", kind: "text", description: "Login of the client; absent when it did not log in" },
  { name: "listener.name", kind: "text", description: "Listener the message came in by" },
  { name: "message.size", kind: "bytes", description: "Size of the message as received" },
  { name: "message.recipients", kind: "number", description: "Number of recipients in the envelope" },
  {
    name: "message.direction",
    kind: "text",
    values: ["inbound", "outbound", "internal"],
    description: "inbound: from outside to us; outbound: from us to the outside; internal: from us to us",
  },
  { name: "sender.address", kind: "text", description: "Envelope sender; empty for bounces" },
  { name: "sender.domain", kind: "text", description: "Domain of the envelope sender; empty for bounces" },
  { name: "recipient.address", kind: "text", description: "Recipient whose copy is being judged" },
  { name: "recipient.domain", kind: "text", description: "Domain of that recipient" },
  {
    name: "spf.result",
    kind: "text",
    values: SPF_RESULTS,
    detail: "spf.domain",
    description: "Result of SPF",
  },
  { name: "spf.domain", kind: "text", description: "Domain SPF was checked for" },
  {
    name: "spf.aligned",
    kind: "boolean",
    description: "SPF speaks for the domain of the From address (relaxed)",
  },
  {
    name: "spf.differs",
    kind: "boolean",
    description: "The envelope sender and the From address belong to different organisations",
  },
  {
    name: "spf.undecided",
    kind: "boolean",
    description: "SPF could speak for the From domain, but cannot be looked up now",
  },
  {
    name: "dkim.result",
    kind: "text",
    values: ["none", "pass", "fail", "invalid", "temperror", "permerror", "policy"],
    description:
      "Best result of the DKIM signatures: pass when any passes; policy when one holds and yet proves nothing; permerror when too long to be examined",
  },
  { name: "dkim.domains", kind: "list", description: "Domains whose DKIM signature passes" },
  {
    name: "dkim.aligned",
    kind: "boolean",
    description: "A passing DKIM signature is of the From domain (relaxed)",
  },
  {
    name: "dkim.undecided",
    kind: "boolean",
    description: "The key of a signature of the From domain cannot be looked up now",
  },
  {
    name: "dkim.signatures",
    kind: "list",
    description: "Each signature: result, domain, selector, algorithm and its first characters",
  },
  {
    name: "dmarc.result",
    kind: "text",
    values: ["none", "pass", "fail", "temperror", "permerror"],
    detail: "dmarc.domain",
    description: "Result of DMARC; none when the From domain has no DMARC record",
  },
  {
    name: "dmarc.policy",
    kind: "text",
    values: ["absent", "none", "quarantine", "reject", "unknown"],
    description:
      "What the From domain asks for when DMARC fails; absent when it has no record, unknown when that cannot be looked up now",
  },
  { name: "dmarc.domain", kind: "text", description: "The From domain DMARC was checked for" },
  {
    name: "dmarc.undecided",
    kind: "boolean",
    description: "A look-up that failed for now could turn what DMARC decides",
  },
  {
    name: "arc.result",
    kind: "text",
    values: ["none", "pass", "fail"],
    description: "Result of the ARC chain of forwarders",
  },
  {
    name: "arc.sealer",
    kind: "text",
    description: "Domain of the forwarder that sealed last; empty without one",
  },
  { name: "arc.instance", kind: "number", description: "How many forwarders sealed; 0 without any" },
  { name: "attachments.count", kind: "number", description: "Number of attachments" },
  { name: "attachments.names", kind: "list", description: "File names of the attachments" },
  {
    name: "attachments.extensions",
    kind: "list",
    description: "Extensions of the attachments, without the dot",
  },
  {
    name: "attachments.types",
    kind: "list",
    description: "Media types of the attachments, judged by their content",
  },
  {
    name: "attachments.dangerous",
    kind: "list",
    description: "Attachments that can run: programs, scripts, and what hides in archives",
  },
  {
    name: "attachments.encrypted",
    kind: "list",
    description: "Attachments nobody can look into without a password",
  },
  {
    name: "attachments.mismatched",
    kind: "list",
    description: "Attachments whose name says one thing, content another",
  },
  {
    name: "attachments.macros",
    kind: "list",
    description: "Office documents with macros, also in archives",
  },
  {
    name: "identity.name",
    kind: "text",
    description: "Who is behind outgoing mail; absent when nobody could be found",
  },
  { name: "identity.sender", kind: "text", description: "The outgoing sender: login, range or @domain" },
  {
    name: "identity.found",
    kind: "boolean",
    description: "An identity was found behind outgoing mail",
    detail: "identity.name",
  },
  {
    name: "bulk.level",
    kind: "number",
    description:
      "How much outgoing mail looks like unsolicited bulk: 0 not, 1 unusual, 2 suspicious, 3 beyond doubt",
    detail: "bulk.reasons",
  },
  { name: "bulk.reasons", kind: "list", description: "What is unusual about the identity’s mail now" },
  {
    name: "bulk.waited",
    kind: "boolean",
    description: "The identity has waited as it was told; this message may pass",
  },
  {
    name: "bulk.recipients_hour",
    kind: "number",
    description: "Recipients of the identity in the last hour, this message included",
  },
  {
    name: "bulk.new_recipients_hour",
    kind: "number",
    description: "Those of them it never wrote to, nor they to it",
  },
  {
    name: "bulk.usual_hour",
    kind: "number",
    description: "Recipients of a busy hour in the identity’s own past",
  },
  {
    name: "bulk.unknown_percent",
    kind: "number",
    description: "Share of recipients of the last day that do not exist",
  },
  {
    name: "bulk.refused_percent",
    kind: "number",
    description: "Share of recipients of the last day the far side refused",
  },
  {
    name: "domain_age.known",
    kind: "boolean",
    description: "It is known when the domain in From was registered",
  },
  {
    name: "domain_age.days",
    kind: "number",
    description: "Age of the domain in From in days; absent when unknown",
  },
  { name: "eicar.found", kind: "boolean", description: "The EICAR anti-virus test file is in the message" },
  { name: "gtube.found", kind: "boolean", description: "The GTUBE spam test text is in the message" },
  {
    name: "structure.ambiguous",
    kind: "list",
    description:
      "Why programs may read this message differently: two From lines, two boundaries, bad encodings",
  },
  { name: "structure.parts", kind: "number", description: "Number of MIME parts" },
  { name: "clamd.found", kind: "boolean", detail: "clamd.signature", description: "ClamAV found malware" },
  { name: "clamd.signature", kind: "text", description: "Name ClamAV gives to what it found" },
  {
    name: "scan.failed",
    kind: "boolean",
    detail: "scan.failures",
    description: "A check broke or ran out of time",
  },
  { name: "scan.failures", kind: "list", description: "Names of the checks that broke" },
  ...CHECKS.map(
    (check): KnownFact => ({
      name: `${check}.failed`,
      kind: "boolean",
      description: `The check ${check} broke or ran out of time`,
    }),
  ),
];

const BY_NAME: ReadonlyMap<string, KnownFact> = new Map(KNOWN_FACTS.map((fact) => [fact.name, fact]));

/** The fact of that name, or null. */
export function knownFact(name: string): KnownFact | null {
  return BY_NAME.get(name) ?? null;
}

/** The known fact people most likely meant by `name`, or null when none is near. */
export function nearestFact(name: string): string | null {
  return nearestName(name, BY_NAME.keys());
}
