// What becomes of each recipient of a judged message: its place in the queue and its line in the log. Decides nothing about mail.
import { overTls, type WayTaken } from "../delivery/route.ts";
import { domainOf, type MailAddress } from "../message/address.ts";
import type { EnvelopeRecipient } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { AcceptedRecipient, Disposition } from "../queue/queue.ts";
import type { Verdict } from "../rules/verdict.ts";
import { type RecipientRecord, type RecipientState, refusedState } from "../store/log-record.ts";
import type { JudgedMessage } from "./accept-message.ts";
import { needsTls } from "./admit-sender.ts";
import { type Combined, type Fate, refuses } from "./combine-verdicts.ts";
import { HELD_IN_QUARANTINE, type SentMessage } from "./outgoing-message.ts";
import { isProvenSender } from "./proven-sender.ts";
import { RECIPIENT_OK_TEXT } from "./rcpt.ts";
import { refusedRecords } from "./record-refusal.ts";

/** Extra copies one message may get by rules, all recipients together. */
const MAX_COPIES = 100;

const STATES: Readonly<Record<Exclude<Fate, "refused">, RecipientState>> = {
  deliver: "queued",
  quarantine: "quarantined",
  discard: "discarded",
};

/** What becomes of the recipients: what the queue gets, what the log says. */
export interface Plan {
  readonly accepted: AcceptedRecipient[];
  readonly records: RecipientRecord[];
}

/** Recipients are numbered 0… in their order, then the copies, then those refused at RCPT. */
export function planRecipients(message: JudgedMessage, combined: Combined): Plan {
  const { transaction, verdicts } = message;
  const plan: Plan = { accepted: [], records: [] };
  const isProven = provenOnce(message);
  transaction.recipients.forEach((recipient, n) => {
    const verdict = verdicts[n];
    const fate = combined.fates[n];
    if (verdict === undefined || fate === undefined) throw new Error(`recipient ${n} has no verdict`);
    plan.records.push(recordOf(recipient, n, { state: stateOf(fate, combined), verdict }));
    const others = combined.refusal === null;
    const disposition = dispositionOf(message, recipient, { fate, verdict, others });
    if (disposition === null) return;
    const moved = disposition.kind === "deliver" && verdict.redirectTo !== null;
    const address = moved && verdict.redirectTo !== null ? verdict.redirectTo : recipient.address;
    plan.accepted.push({
      n,
      address,
      dsn: recipient.dsn,
      mayBounce: mayBounce(message, recipient, isProven),
      ...(isPassedIn(message, recipient) ? { fromOutside: true as const } : {}),
      disposition,
    });
  });
  addCopies(message, combined, plan);
  if (transaction.refused.length > 0) plan.records.push(...refusedRecords(transaction, plan.records.length));
  return plan;
}

/** Refused with a 4yz, a lock that ends by itself as well as a rule's: the client comes again. */
function stateOf(fate: Fate, { refusal }: Combined): RecipientState {
  return fate === "refused" ? refusedState(refusal?.code ?? 550) : STATES[fate];
}

function recordOf(
  recipient: Pick<EnvelopeRecipient, "address" | "direction" | "grant">,
  n: number,
  what: { readonly state: RecipientState; readonly verdict: Verdict | null },
): RecipientRecord {
  return {
    n,
    address: recipient.address,
    direction: recipient.direction,
    grant: recipient.grant,
    state: what.state,
    verdict: what.verdict,
    reply: RECIPIENT_OK_TEXT,
  };
}

function dispositionOf(
  message: JudgedMessage,
  recipient: EnvelopeRecipient,
  {
    fate,
    verdict,
    others,
  }: {
    readonly fate: Fate;
    readonly verdict: Verdict;
    /** The message as a whole was accepted: the client hears nothing of this recipient. */
    readonly others: boolean;
  },
): Disposition | null {
  switch (fate) {
    case "deliver": {
      const target = (verdict.redirectTo ?? recipient.address) as MailAddress;
      return delivery(message, { target, recipient, edits: verdict.edits });
    }
    case "quarantine":
      return {
        kind: "quarantine",
        destination: message.transaction.snapshot.destination(
          recipient.address,
          takenFrom(message, recipient),
        ),
        rule: verdict.rule ?? "",
        words: verdict.words,
        ...(others && !isOutsiders(message, recipient) && refuses(verdict)
          ? { tell: stopWords(verdict) }
          : {}),
      };
    case "discard":
      return { kind: "discard" };
    case "refused":
      return null;
  }
}

/** Replies that say nothing of the reason: the verdict's own words are told instead. */
const BARE_REPLIES = new Set(["", "Message accepted", "Message refused by policy", HELD_IN_QUARANTINE]);

/** Why the message does not go to this recipient, for its sender, who is one of our people. */
function stopWords({ rule, words, replyText }: Verdict): string {
  if (BARE_REPLIES.has(replyText)) return words;
  return rule === null ? replyText : `${replyText} (rule ${rule})`;
}

/** Mail that we send on for our own people is signed, and leaves without the fields that named its identity. */
function delivery(
  message: JudgedMessage,
  {
    target,
    recipient,
    edits,
  }: {
    readonly target: MailAddress;
    readonly recipient: EnvelopeRecipient;
    readonly edits: readonly HeaderEdit[];
  },
): Disposition {
  const { transaction, sent, sign } = message;
  const destination = transaction.snapshot.destination(target, takenFrom(message, recipient));
  if (recipient.direction === "inbound") return { kind: "deliver", destination, edits };
  // Our own servers are reached as their routes say; TLS is asked for on the way to others.
  const outside = destination.kind !== "routes";
  const plain: Disposition = {
    kind: "deliver",
    destination: sent !== null && outside && needsTls(sent.party) ? overTls(destination) : destination,
    edits: sent === null || sent.removeHeaders.length === 0 ? edits : [...removals(sent), ...edits],
  };
  return sign === null ? plain : { ...plain, sign };
}

function removals({ removeHeaders }: SentMessage): readonly HeaderEdit[] {
  return removeHeaders.map((name) => ({ kind: "remove", name }));
}

/** A client we authenticated or trust gets bounces; anybody else may have forged the reverse-path, unless it is proven. */
function mayBounce(message: JudgedMessage, recipient: EnvelopeRecipient, isProven: () => boolean): boolean {
  const { by } = recipient.grant;
  const ours = !isOutsiders(message, recipient) && by !== "allow-list" && by !== "relay-domain";
  return ours ? message.transaction.reversePath !== null : isProven();
}

/** By whose wish it goes where it goes. */
function takenFrom(message: JudgedMessage, recipient: EnvelopeRecipient): WayTaken {
  return isOutsiders(message, recipient) ? "from outside" : "to pass on";
}

function isOutsiders(message: JudgedMessage, recipient: EnvelopeRecipient): boolean {
  return recipient.direction === "inbound" || isPassedIn(message, recipient);
}

/** A second MX or a filter in front, which we trust, hands in what somebody else sends to people here. */
function isPassedIn({ transaction }: JudgedMessage, { direction, grant }: EnvelopeRecipient): boolean {
  const { reversePath, snapshot } = transaction;
  if (direction !== "internal" || grant.by !== "trusted-network") return false;
  return reversePath === null || snapshot.domain(domainOf(reversePath)) === null;
}

/** Found out when the first recipient asks: it is the same for all of them. */
function provenOnce({ transaction, findings }: JudgedMessage): () => boolean {
  let known: boolean | null = null;
  return () => {
    known ??= isProvenSender(transaction.reversePath, findings);
    return known;
  };
}

/** Copies go out beside what is delivered, each address once; their failure is nobody's bounce. */
function addCopies(message: JudgedMessage, combined: Combined, plan: Plan): void {
  const { transaction, verdicts } = message;
  const { snapshot } = transaction;
  const taken = new Set<string>();
  verdicts.forEach((verdict, i) => {
    const recipient = transaction.recipients[i];
    if (recipient === undefined || combined.fates[i] !== "deliver" || verdict.copyTo.length === 0) return;
    for (const copy of verdict.copyTo) {
      if (taken.has(copy) || taken.size >= MAX_COPIES) continue;
      taken.add(copy);
      const address = copy as MailAddress;
      const direction = snapshot.domain(domainOf(address)) === null ? "outbound" : "inbound";
      const n = plan.records.length;
      plan.records.push(
        recordOf({ address, direction, grant: recipient.grant }, n, { state: "queued", verdict }),
      );
      plan.accepted.push({
        n,
        address,
        dsn: { notify: ["NEVER"], orcpt: null },
        mayBounce: false,
        disposition: delivery(message, { target: address, recipient, edits: verdict.edits }),
      });
    }
  });
}
