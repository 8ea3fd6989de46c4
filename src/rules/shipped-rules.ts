// The rules that come with the product. A name can stand for several parts, each with its own condition, asked in this order.
// They are ordinary rules: switched on by name per domain or sender, and changed by a [[rule]] of the same name.
import type { Direction } from "../message/envelope.ts";
import { BULK_RULES } from "./bulk-rules.ts";
import { type Expression, parseExpression } from "./expression.ts";
import type { Rule, RuleKind } from "./rule.ts";
import { SUBJECT_MARKS } from "./subject-marks.ts";
import type { RuleAction } from "./verdict.ts";

/** One condition of a shipped rule. */
export interface ShippedPart {
  readonly directions: readonly Direction[];
  readonly when: string;
  readonly action: RuleAction;
  readonly replyCode: number;
  readonly replyText: string;
  /** Note for the configurable header, and the marks of the subject. */
  readonly note?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  /** The part holds only where this setting is on. */
  readonly setting?: "subject_warnings";
  /** For outgoing mail: counts toward the lock (O3). */
  readonly countsAsSpam?: true;
  /** For outgoing mail: locks the identity at once (O12). */
  readonly locks?: true;
}

export interface ShippedRule {
  readonly name: string;
  /** What it finds, for alerts and locks; left out: none of these. */
  readonly kind?: RuleKind;
  readonly description: string;
  readonly mode: "enforce" | "observe";
  readonly priority: number;
  /** `always`: holds for everybody, named or not. `default`: for domains that name no rules. */
  readonly switchedOn: "always" | "default" | "by name";
  /** A sender that is excepted from all of these by name is excepted from this one too. */
  readonly notWithout?: readonly string[];
  readonly parts: readonly ShippedPart[];
}

const RECEIVED: readonly Direction[] = ["inbound", "internal"];
const SENT: readonly Direction[] = ["outbound", "internal"];
const PROVEN = '(spf.result == "pass" and spf.aligned or dkim.result == "pass" and dkim.aligned)';

/** All shipped rules by priority. */
export const SHIPPED_RULES: readonly ShippedRule[] = [
  {
    name: "check-failed",
    description: "Puts mail off while a check is broken, so that nothing passes because something broke",
    mode: "enforce",
    priority: 100,
    switchedOn: "always",
    parts: [
      {
        directions: [],
        when: "scan.failed",
        action: "tempfail",
        replyCode: 451,
        replyText: "The message could not be checked now, please try again later",
      },
    ],
  },
  {
    name: "virus",
    kind: "virus",
    description: "Refuses mail with malware and keeps it in quarantine",
    mode: "enforce",
    priority: 200,
    switchedOn: "default",
    parts: [
      {
        directions: [],
        when: "eicar.found or clamd.found",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: it contains malware",
        countsAsSpam: true,
      },
    ],
  },
  {
    name: "spam",
    kind: "spam",
    description: "Keeps spam in quarantine; a sender of ours is told that it was refused",
    mode: "enforce",
    priority: 300,
    switchedOn: "default",
    parts: [
      {
        directions: ["inbound"],
        when: "gtube.found",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
      },
      {
        directions: ["internal"],
        when: "gtube.found",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
        countsAsSpam: true,
      },
      {
        directions: ["outbound"],
        when: "gtube.found",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: it is spam",
        countsAsSpam: true,
      },
    ],
  },
  {
    name: "dmarc",
    description:
      "Does what the domain in From asks for when DMARC fails: refuses or quarantines; puts mail off while DNS cannot tell",
    mode: "enforce",
    priority: 400,
    switchedOn: "default",
    parts: [
      {
        // What cannot be looked up now does not decide. No count of tries ends this: while the answer is missing a wrong one would lose
        // honest mail or let a forgery in, and the sender's own server tells him when it gives up.
        directions: ["inbound"],
        when: "dmarc.undecided",
        action: "tempfail",
        replyCode: 451,
        replyText: "The domain in From could not be verified now, please try again later",
      },
      {
        directions: ["inbound"],
        when: 'dmarc.result == "fail" and dmarc.policy == "reject"',
        action: "reject",
        replyCode: 550,
        replyText: "Message refused by the DMARC policy of the domain in From",
      },
      {
        directions: ["inbound"],
        when: 'dmarc.result == "fail" and dmarc.policy == "quarantine"',
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
      },
    ],
  },
  {
    // Requirement I8.
    name: "authenticated-senders-only",
    description: "Refuses mail whose From address is not proven by SPF or DKIM of the same domain",
    mode: "enforce",
    priority: 500,
    switchedOn: "by name",
    parts: [
      {
        directions: ["inbound"],
        when: `not ${PROVEN} and (spf.undecided or dkim.undecided)`,
        action: "tempfail",
        replyCode: 451,
        replyText: "The sender could not be verified now, please try again later",
      },
      {
        directions: ["inbound"],
        when: `not ${PROVEN}`,
        action: "reject",
        replyCode: 550,
        replyText: "Message refused: its From address is not proven by SPF or DKIM",
      },
    ],
  },
  {
    name: "dangerous-attachments",
    kind: "program",
    description: "Keeps mail with programs and scripts in quarantine; the own sender of such mail is told",
    mode: "enforce",
    priority: 600,
    switchedOn: "default",
    parts: [
      {
        directions: RECEIVED,
        when: "attachments.dangerous",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
        countsAsSpam: true,
      },
      {
        directions: ["outbound"],
        when: "attachments.dangerous",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: an attachment is of a dangerous kind",
        countsAsSpam: true,
      },
    ],
  },
  {
    // Requirement O8; switched on by `block` of a sender.
    name: "macros",
    kind: "program",
    description: "Refuses outgoing mail with a document that has macros",
    mode: "enforce",
    priority: 610,
    switchedOn: "by name",
    parts: [
      {
        directions: SENT,
        when: "attachments.macros",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: an attachment has macros",
        countsAsSpam: true,
      },
    ],
  },
  {
    name: "unwanted-attachments",
    kind: "program",
    description:
      "Refuses outgoing mail with attachments that can run, are locked or pretend to be something else",
    mode: "enforce",
    priority: 620,
    switchedOn: "by name",
    parts: [
      {
        directions: SENT,
        when: "attachments.dangerous",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: an attachment is of an unwanted kind",
        countsAsSpam: true,
      },
      {
        // A locked archive is unwanted here, and no sign that somebody else uses the account.
        directions: SENT,
        when: "attachments.mismatched or attachments.encrypted",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: an attachment is of an unwanted kind",
      },
    ],
  },
  {
    name: "new-domains",
    description: "Refuses outgoing mail in the name of a domain registered less than a day ago",
    mode: "enforce",
    priority: 630,
    switchedOn: "by name",
    parts: [
      {
        directions: SENT,
        when: "domain_age.known and domain_age.days < 1",
        action: "reject",
        replyCode: 550,
        replyText: "Message refused: its sender domain was registered less than a day ago",
      },
    ],
  },
  ...BULK_RULES,
  {
    name: "ambiguous-structure",
    description:
      "Watches for mail that programs read in different ways, a means of hiding things from scanners",
    mode: "observe",
    priority: 700,
    switchedOn: "by name",
    parts: [
      {
        directions: [],
        when: "structure.ambiguous",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
      },
    ],
  },
  {
    name: "subject-marks",
    description: "Marks the subject of mail whose sender is not proven, with a note in the header",
    mode: "enforce",
    priority: 800,
    switchedOn: "by name",
    parts: SUBJECT_MARKS,
  },
];

/** What holds for a domain that names no rules. */
export const DEFAULT_RULES: readonly string[] = SHIPPED_RULES.filter((r) => r.switchedOn === "default").map(
  (r) => r.name,
);

const BY_NAME: ReadonlyMap<string, ShippedRule> = new Map(SHIPPED_RULES.map((rule) => [rule.name, rule]));
const CONDITIONS = new Map<string, Expression>();

/** The shipped rule of that name, or null. */
export function shippedRule(name: string): ShippedRule | null {
  return BY_NAME.get(name) ?? null;
}

function conditionOf(when: string): Expression {
  const known = CONDITIONS.get(when);
  if (known !== undefined) return known;
  const parsed = parseExpression(when);
  if (!parsed.ok)
    throw new Error(`shipped condition ${JSON.stringify(when)} cannot be parsed: ${parsed.reason}`);
  CONDITIONS.set(when, parsed.value);
  return parsed.value;
}

/** What of the settings shapes shipped rules. */
export interface ShippedSettings {
  /** The header that takes the notes. */
  readonly note_header: string;
  readonly subject_warnings: boolean;
}

/** The parts of a shipped rule as rules. */
export function rulesOfShipped(shipped: ShippedRule, settings: ShippedSettings): readonly Rule[] {
  const parts = shipped.parts.filter(({ setting }) => setting === undefined || settings[setting]);
  return parts.map((part) => ({
    name: shipped.name,
    description: shipped.description,
    shipped: true,
    kind: shipped.kind ?? null,
    mode: shipped.mode,
    priority: shipped.priority,
    scope: { directions: part.directions, domains: [], addresses: [], senders: [] },
    when: part.when,
    condition: conditionOf(part.when),
    action: part.action,
    replyCode: part.replyCode,
    replyText: part.replyText,
    edits: [
      ...(part.prefix === undefined
        ? []
        : [{ kind: "subject" as const, prefix: part.prefix, suffix: part.suffix ?? "" }]),
      ...(part.note === undefined
        ? []
        : [{ kind: "add" as const, name: settings.note_header, value: part.note }]),
    ],
    target: null,
    countsAsSpam: part.countsAsSpam ?? false,
    locks: part.locks ?? false,
  }));
}
