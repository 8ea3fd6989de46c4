// What is set for an outgoing sender, in a few words each: for the folded parts of its form and for lists. Pure.
import type { Limits, SenderSettings } from "../../policy/schema-sender.ts";
import { count, counted, listed } from "./amount.ts";

export const SENDER_KINDS: Readonly<
  Record<SenderSettings["kind"], { readonly label: string; readonly add: string; readonly words: string }>
> = {
  user: {
    label: "User",
    add: "Add user",
    words: "A person or program that logs in with an address and a password.",
  },
  ip: {
    label: "Address range",
    add: "Add address range",
    words: "A server that sends from known addresses without logging in.",
  },
  domain: {
    label: "Domain",
    add: "Add domain",
    words: "One log-in for all of a domain, for a server that many people send through.",
  },
};

type LimitName = keyof Limits;

const connections =
  (per: string) =>
  (most: number): string =>
    `${count(most)} ${per}`;

interface LimitWords {
  readonly name: LimitName;
  readonly label: string;
  /** `60 a minute`. */
  readonly words: (most: number) => string;
}

/** The windows of limits, in the order they are shown. */
export const LIMITS: readonly LimitWords[] = [
  { name: "per_minute", label: "Connections a minute", words: connections("a minute") },
  { name: "per_hour", label: "Connections an hour", words: connections("an hour") },
  { name: "per_day", label: "Connections a day", words: connections("a day") },
  { name: "per_week", label: "Connections a week", words: connections("a week") },
  { name: "per_month", label: "Connections in 30 days", words: connections("in 30 days") },
  {
    name: "recipients_per_day",
    label: "Recipients a day",
    words: (most) => `${counted(most, "recipient")} a day`,
  },
];

/** The name of a limit for people. */
export function limitLabel(name: LimitName): string {
  return LIMITS.find((limit) => limit.name === name)?.label ?? name;
}

/** `60 an hour and 500 recipients a day`; "" without any. */
export function limitsInWords(limits: Partial<Limits>): string {
  return listed(
    LIMITS.flatMap(({ name, words }) => {
      const most = limits[name] ?? null;
      return most === null ? [] : [words(most)];
    }),
    4,
  );
}

/** What holds for each identity of a sender: `each identity: 60 an hour`; "" without any. */
export function eachIdentityInWords(limits: Limits): string {
  const words = limitsInWords(limits);
  return words === "" ? "" : `each identity: ${words}`;
}

/** Both sets of limits: `sender: 600 an hour; each identity: 60 an hour`. */
export function allLimitsInWords(sender: Pick<SenderSettings, "limits" | "identity_limits">): string {
  const parts = [
    ["the sender", limitsInWords(sender.limits)],
    ["each identity", limitsInWords(sender.identity_limits)],
  ].filter(([, words]) => words !== "");
  if (parts.length === 0) return "No limits of its own";
  const text = parts.map(([who, words]) => `${who}: ${words}`).join("; ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** How the people behind a sender are told apart. */
export function identifiedBy({ identify_by: by }: Pick<SenderSettings, "identify_by">): string {
  if (by === "authenticated-user") return "By the login";
  if (by === "envelope-sender") return "By the envelope sender";
  const headers = Array.isArray(by) ? by : [by];
  return `By the header ${listed(
    headers.map((one) => one.header),
    4,
  )}`;
}

/** `5 spam messages in 10m lock the identity for 1h`. */
export function lockInWords({ lock }: Pick<SenderSettings, "lock">): string {
  const whom = [...(lock.identity ? ["the identity"] : []), ...(lock.sender ? ["the whole sender"] : [])];
  if (whom.length === 0) return "Off";
  const spam = `${counted(lock.spam, "spam message")} in ${lock.window} ${lock.spam === 1 ? "locks" : "lock"}`;
  return `${spam} ${listed(whom)} for ${lock.timeout}`;
}

export const BLOCKS = [
  { value: "macros", label: "Office documents with macros" },
  {
    value: "unwanted-attachments",
    label: "Potentially unwanted attachments",
    help: "Programs, scripts and what hides in archives.",
  },
  {
    value: "new-domains",
    label: "A From domain registered less than a day ago",
    help: "Where the age can be found out.",
  },
] as const;

/** What is stopped, and how the sending server hears of it. */
export function stoppedInWords(sender: Pick<SenderSettings, "block" | "quarantine_response">): string {
  const reply =
    sender.quarantine_response === "rejected"
      ? "quarantined and refused (550)"
      : "quarantined in silence (250)";
  const also = sender.block.map((block) => block.replaceAll("-", " "));
  return also.length === 0 ? `Spam and viruses are ${reply}` : `Also ${listed(also, 4)}; ${reply}`;
}
