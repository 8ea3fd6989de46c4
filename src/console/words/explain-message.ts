// The answer to "why?": what became of a message and what decided it, in one sentence. Pure.
import type { Grant } from "../../message/envelope.ts";
import type { Verdict } from "../../rules/verdict.ts";
import {
  type MessageRecord,
  type RecipientRecord,
  type RecipientState,
  refusedState,
} from "../../store/log-record.ts";
import type { LogMessage } from "../../store/message-log.ts";
import { counted, listed } from "./amount.ts";
import { RECIPIENT_STATES, STATE_ORDER, type Tone } from "./state.ts";

export interface Explanation {
  readonly tone: Tone;
  readonly sentence: string;
  /** The rule that decided for at least one recipient, most severe first. */
  readonly rules: readonly string[];
}

/** A recipient of the record with where it stands now. */
export interface RecipientNow {
  readonly n: number;
  readonly address: string;
  readonly state: RecipientState;
  readonly rule: string | null;
  readonly why: string;
}

/** Recipients with their present states; the record's own state where the log has nothing newer. */
export function recipientsNow(message: LogMessage): readonly RecipientNow[] {
  return message.record.recipients.map((recipient) => {
    const now = message.states.find((state) => state.n === recipient.n);
    return {
      n: recipient.n,
      address: recipient.address,
      state: now?.state ?? recipient.state,
      rule: recipient.verdict?.rule ?? null,
      why: recipient.verdict === null ? "" : reasonOf(recipient.verdict),
    };
  });
}

/** What made the deciding rule match; the verdict's own sentence names action and rule again. */
function reasonOf({ rule, words, outcomes }: Verdict): string {
  return outcomes.find((outcome) => outcome.applied && outcome.rule === rule)?.words ?? words;
}

const SEVERITY: readonly RecipientState[] = [
  "failed",
  "refused",
  "put-off",
  "quarantined",
  "held",
  "queued",
  "dropped",
  "discarded",
  "released",
  "delivered",
];

function because(message: LogMessage, group: readonly RecipientNow[], state: RecipientState): string {
  const first = group[0];
  if (first === undefined) return "";
  switch (state) {
    case "delivered":
    case "released":
      return deliveredTo(message, group);
    case "queued":
    case "held":
    case "failed":
      return lastReply(message, group);
    case "quarantined":
      return isUndeliverable(first, message) ? lastReply(message, group) : ruleWords(first, message);
    case "refused":
    case "put-off":
      return serverRefusal(first, message) ?? ruleWords(first, message);
    case "discarded":
    case "dropped":
      return ruleWords(first, message);
  }
}

/** What the mail server said while the sender waited; null: it was not asked about this recipient's copy. */
function serverRefusal({ n }: RecipientNow, { attempts }: LogMessage): string | null {
  const outcome = attempts
    .flatMap(({ outcomes }) => outcomes)
    .findLast((one) => one.n === n && one.result === "failed");
  return outcome === undefined
    ? null
    : ` by ${outcome.server ?? "the mail server"} while the sender waited: “${outcome.text}”`;
}

/** No rule put it there: the log says what the server said. */
function isUndeliverable({ n, rule }: RecipientNow, message: LogMessage): boolean {
  const verdict = message.record.recipients.find((one) => one.n === n)?.verdict;
  const stopped = rule !== null && (verdict?.action === "quarantine" || verdict?.action === "reject");
  const attempted = message.attempts.some(({ outcomes }) => outcomes.some((one) => one.n === n));
  return attempted || !stopped;
}

function ruleWords(recipient: RecipientNow, message: LogMessage): string {
  if (recipient.rule !== null)
    return ` by rule “${recipient.rule}”${recipient.why === "" ? "" : `: ${recipient.why}`}`;
  const { recipients, cause, reply } = message.record;
  const answered = recipients.find(({ n }) => n === recipient.n)?.reply ?? "";
  // The cause belongs to the answer of the whole; who was refused at RCPT beside it has an answer of its own.
  if (/^[45]/.test(answered) && answered !== reply) return `: ${answered}`;
  if (cause !== null) return `: ${cause}`;
  if (/^[45]/.test(answered)) return `: ${answered}`;
  return recipient.why === "" ? "" : `: ${recipient.why}`;
}

function deliveredTo(message: LogMessage, group: readonly RecipientNow[]): string {
  const numbers = new Set(group.map((recipient) => recipient.n));
  for (const attempt of message.attempts.toReversed()) {
    const outcome = attempt.outcomes.find((one) => numbers.has(one.n) && one.result === "delivered");
    if (outcome?.server)
      return ` to ${outcome.server}${outcome.tls === null ? " without TLS" : ` over ${outcome.tls.protocol}`}`;
  }
  return "";
}

function lastReply(message: LogMessage, group: readonly RecipientNow[]): string {
  const numbers = new Set(group.map((recipient) => recipient.n));
  for (const attempt of message.attempts.toReversed()) {
    const outcome = attempt.outcomes.find((one) => numbers.has(one.n) && one.result !== "delivered");
    if (outcome !== undefined)
      return `: ${outcome.server === null ? "" : `${outcome.server} said `}“${outcome.text}”`;
  }
  const words = message.states.find((state) => numbers.has(state.n))?.words ?? "";
  return words === "" ? "" : `: ${words}`;
}

/** One sentence on the whole message, the tone of its worst recipient, and the deciding rules. */
export function explainMessage(message: LogMessage): Explanation {
  const recipients = recipientsNow(message);
  if (recipients.length === 0) {
    const { cause, reply } = message.record;
    const { tone, label } = RECIPIENT_STATES[refusedState(Number.parseInt(reply, 10))];
    const sentence = endedSentence(`${label} before any recipient was accepted: ${cause ?? reply}`);
    return { tone, sentence, rules: [] };
  }
  const states = SEVERITY.filter((state) => recipients.some((recipient) => recipient.state === state));
  const parts = STATE_ORDER.filter((state) => states.includes(state)).map((state) => {
    const group = recipients.filter((recipient) => recipient.state === state);
    const whom =
      recipients.length === 1 || states.length === 1
        ? recipients.length > 1 && states.length === 1
          ? ` for all ${recipients.length} recipients`
          : ""
        : ` for ${listed(
            group.map((recipient) => recipient.address),
            2,
          )}`;
    return `${RECIPIENT_STATES[state].label}${whom}${because(message, group, state)}`;
  });
  const worst = states[0] ?? "delivered";
  const sentence = parts
    .map((part, i) => (i === 0 ? part : part.charAt(0).toLowerCase() + part.slice(1)))
    .join("; ");
  const ranked = recipients.toSorted((a, b) => SEVERITY.indexOf(a.state) - SEVERITY.indexOf(b.state));
  const rules = [
    ...new Set(ranked.flatMap((recipient) => (recipient.rule === null ? [] : [recipient.rule]))),
  ];
  return { tone: RECIPIENT_STATES[worst].tone, sentence: endedSentence(sentence), rules };
}

function endedSentence(sentence: string): string {
  return /[.!?”]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** What stands under the head when no rule decided. True of what happened, whatever is missing in the record. */
export function noRuleInWords({ record, attempts, states }: LogMessage): string {
  if (isOwnMail(record)) return "Written by the gateway itself; no rule is asked about that.";
  const now = recipientsNow({ record, attempts, states }).map(({ state }) => state);
  if (now.some((state) => state !== "refused" && state !== "put-off"))
    return "No rule decided; what no rule stops is accepted.";
  if (attempts.length > 0)
    return "No rule objected; the message was handed to the mail server while the sender waited, and its answer was ours.";
  const [state = refusedState(Number.parseInt(record.reply, 10))] = now.toSorted().reverse();
  const what = RECIPIENT_STATES[state].label;
  return record.size === 0
    ? `${what} in the SMTP dialogue, before any rule was asked`
    : `${what} in the SMTP dialogue; no rule decided that`;
}

/** Bounces, alerts and reports: no client handed them in, and nobody was answered. */
export function isOwnMail({ envelope }: Pick<MessageRecord, "envelope">): boolean {
  return envelope.listener === "" && envelope.client.ip === "";
}

/** Why a recipient was let in, or what it was that brought it that far (L2). */
export function letInBecause({ grant, direction, address }: RecipientRecord): string {
  // Who was refused at RCPT has no grant; the domain is ours all the same.
  if (grant === null && direction === "inbound" && address.includes("@"))
    return grantInWords({
      by: "relay-domain",
      domain: address.slice(address.lastIndexOf("@") + 1).toLowerCase(),
    });
  return grantInWords(grant);
}

/** Why this client was allowed to send to this recipient (L2). */
function grantInWords(grant: Grant | null): string {
  if (grant === null) return "No permission to relay was given.";
  switch (grant.by) {
    case "relay-domain":
      return `${grant.domain} is a domain of this gateway.`;
    case "authenticated-sender":
      return `The client logged in as ${grant.sender}.`;
    case "trusted-network":
      return `The client is in the trusted network ${grant.network}.`;
    case "ip-sender":
      return grant.as === undefined
        ? `The client's address belongs to the sender ${grant.sender}.`
        : `The client's address belongs to the sender ${grant.sender}, which is treated as ${grant.as}.`;
    case "pop-before-smtp":
      return `${grant.sender} read mail from this address in the last minutes.`;
    case "allow-list":
      return `The allow list has ${grant.entry}.`;
  }
}

/** `3 recipients: 2 delivered, 1 quarantined`. */
export function recipientSummary(recipients: readonly { readonly state: RecipientState }[]): string {
  const parts = STATE_ORDER.flatMap((state) => {
    const n = recipients.filter((recipient) => recipient.state === state).length;
    return n === 0 ? [] : [`${n} ${RECIPIENT_STATES[state].label.toLowerCase()}`];
  });
  return `${counted(recipients.length, "recipient")}: ${parts.join(", ")}`;
}
