// Outgoing control in the dialogue: who is behind a message of a sender, what its stop is answered with, what is counted and told.
// Asks `outgoing`, decides nothing itself.
import type { MailAddress } from "../message/address.ts";
import type { OutgoingMessage, OutgoingResult } from "../outgoing/outgoing.ts";
import { isVirusFact } from "../policy/compile-rules.ts";
import type { OutgoingParty, PolicySnapshot } from "../policy/snapshot.ts";
import type { Facts, Finding } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { Combined, Fate } from "./combine-verdicts.ts";
import type { SessionServices } from "./services.ts";
import { outgoingConnection, type Session, type Transaction } from "./session.ts";

/** A message of an outgoing sender, from the end of DATA on. */
export interface SentMessage {
  readonly party: OutgoingParty;
  readonly message: OutgoingMessage;
  /** Lower-case names of header fields that named the identity and do not go out. */
  readonly removeHeaders: readonly string[];
  /** The header section as it came. */
  readonly header: Uint8Array;
}

/** What the client hears of outgoing mail in the quarantine when the rule has no words of its own. */
export const HELD_IN_QUARANTINE = "Message refused: it is held in quarantine";
const NO_HEADER = new Uint8Array(0);
/** Octets of a stopped message's header that are told on, for the abuse report. */
const MAX_TOLD_HEADER = 65_536;

/** Finds the identity behind the message. `header` is its raw header section. */
export function identifySent(
  session: Session,
  what: { readonly transaction: Transaction; readonly party: OutgoingParty; readonly header: Uint8Array },
  services: Pick<SessionServices, "outgoing">,
): SentMessage {
  const { transaction, party, header } = what;
  const { identity, removeHeaders } = services.outgoing.identify(party, transaction.writer, header);
  const recipients = transaction.recipients.map(({ address }) => address);
  const connection = outgoingConnection(session);
  return {
    party,
    message: { id: transaction.id, party, identity, connection, recipients },
    removeHeaders,
    header,
  };
}

/** For the log of what was refused before the facts were found: which sender, which identity. */
export function whoFindings(party: OutgoingParty, identity: string | null): readonly Finding[] {
  const words =
    party.via === null
      ? `Counted for the sender ${party.key}`
      : `Counted for the sender ${party.key}, as whom ${party.via} is re-authenticated`;
  const sender: Finding = { check: "identity", fact: "identity.sender", value: party.key, words };
  return identity === null
    ? [sender]
    : [{ check: "identity", fact: "identity.name", value: identity }, sender];
}

/** The same for a transaction whose header was never seen. */
export function whoBegan(
  { party, writer }: Pick<Transaction, "party" | "writer">,
  services: Pick<SessionServices, "outgoing">,
): readonly Finding[] {
  if (party === null) return [];
  return whoFindings(party, services.outgoing.identify(party, writer, NO_HEADER).identity);
}

/** Does a [[rule]] of that name say with which code it answers? Then the sender's own setting does not count. */
function hasOwnCode(snapshot: PolicySnapshot, rule: string | null): boolean {
  return snapshot.policy.rule.some(({ name, code }) => name === rule && code !== undefined);
}

/** Requirement O6: what goes to the outgoing quarantine is answered as the sender is set to be answered. */
export function answeredAsSet(
  verdicts: readonly Verdict[],
  { sender }: OutgoingParty,
  snapshot: PolicySnapshot,
): readonly Verdict[] {
  if (!verdicts.some(({ action }) => action === "quarantine")) return verdicts;
  return verdicts.map((verdict) => {
    if (verdict.action !== "quarantine" || hasOwnCode(snapshot, verdict.rule)) return verdict;
    if (sender.quarantine_response === "accepted")
      return { ...verdict, replyCode: 250, replyText: "Message accepted" };
    if (verdict.replyCode >= 500) return verdict;
    return { ...verdict, replyCode: 550, replyText: HELD_IN_QUARANTINE };
  });
}

/** The verdict that says most about the message: what puts it off, then what stops it, spam first. */
function tellingVerdict(verdicts: readonly Verdict[]): Verdict | null {
  return (
    verdicts.find(({ action }) => action === "tempfail") ??
    verdicts.find((verdict) => verdict.action !== "accept" && verdict.spam === true) ??
    verdicts.find(({ action }) => action !== "accept") ??
    null
  );
}

function kindOf({ kind, spam }: Verdict, facts: Facts): OutgoingResult["kind"] {
  if (kind === "bulk") return "bulk";
  // Whatever rule decided: malware is malware, whichever engine found it.
  if (Object.keys(facts).some((fact) => facts[fact] === true && isVirusFact(fact))) return "virus";
  return kind ?? (spam === true ? "spam" : null);
}

/** What `settleSent` looks at. */
export interface SentJudgement {
  readonly sent: SentMessage;
  readonly verdicts: readonly Verdict[];
  readonly combined: Combined;
  readonly facts: Facts;
}

/**
 * Counts the message. When it brought a lock, that is what the client hears: nothing of it is delivered then, what was to be
 * quarantined still is.
 */
export function settleSent(
  { sent, verdicts, combined, facts }: SentJudgement,
  services: Pick<SessionServices, "outgoing">,
): Combined {
  const { message } = sent;
  const telling = tellingVerdict(verdicts);
  const putOff = telling?.action === "tempfail";
  const counted: MailAddress[] = [];
  if (combined.refusal === null)
    message.recipients.forEach((address, n) => {
      const fate = combined.fates[n];
      if (fate === "deliver" || fate === "quarantine") counted.push(address);
    });
  // What is put off comes again and is judged then.
  const instead = services.outgoing.settle(message, {
    spam: !putOff && telling?.spam === true,
    lock: !putOff && verdicts.some(({ lock }) => lock === true),
    kind: telling === null ? null : kindOf(telling, facts),
    rule: telling?.rule ?? null,
    words: telling?.words ?? "",
    counted,
  });
  if (instead === null) return combined;
  const fates = combined.fates.map((fate): Fate => (fate === "quarantine" ? "quarantine" : "refused"));
  return { refusal: instead, keep: fates.includes("quarantine"), fates };
}

/** Tells of a message that a rule stopped, for some of its recipients at least (O6, O12). */
export function tellStopped(
  { sent, verdicts, combined, facts }: SentJudgement,
  what: { readonly transaction: Transaction; readonly clientIp: string },
  services: Pick<SessionServices, "onStopped" | "clock">,
): void {
  if (verdicts.some(({ action }) => action === "tempfail")) return;
  const stops = verdicts.flatMap((verdict, n) =>
    verdict.action === "quarantine" || verdict.action === "reject" ? [{ verdict, n }] : [],
  );
  const first = stops.find(({ verdict }) => verdict.spam === true) ?? stops[0];
  if (first === undefined) return;
  const { message, party, header } = sent;
  services.onStopped({
    messageId: message.id,
    at: services.clock.now(),
    domain: party.sender.domain,
    sender: party.key,
    identity: message.identity,
    kind: kindOf(first.verdict, facts),
    quarantined: combined.fates.includes("quarantine"),
    rule: first.verdict.rule ?? "",
    words: first.verdict.words,
    reversePath: what.transaction.reversePath ?? "",
    recipients: stops.flatMap(({ n }) => message.recipients[n] ?? []),
    clientIp: what.clientIp,
    // A copy: the message's memory is given back when it is answered.
    header: Uint8Array.from(header.subarray(0, MAX_TOLD_HEADER)),
  });
}
