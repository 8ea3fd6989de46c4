// The kinds of load and who meets in them.
import type { ContestantName } from "./contestant.ts";
import { mimeMessage } from "./mime-message.ts";

interface Meeting {
  readonly name: string;
  readonly words: string;
  /** Ours and theirs: ratios are the first over the second. */
  readonly contestants: readonly [ContestantName, ContestantName];
}

/** Messages as fast as they are taken. */
export interface MailWorkload extends Meeting {
  readonly kind: "mail";
  readonly messages: number;
  /** Octets of a made-up text, or the text itself. */
  readonly message: number | string;
  readonly sessions: number;
  /** `kept`: connections are used again; `submission`: STARTTLS, AUTH and one message on each. */
  readonly client: "kept" | "submission";
}

/** Connections that say nothing, and a few messages meanwhile. */
export interface IdleWorkload extends Meeting {
  readonly kind: "idle";
  readonly connections: number;
  readonly messages: number;
}

/** The mail of a day of many identities, asked of outgoing control alone: there is nobody to compare with. */
export interface IdentitiesWorkload {
  readonly kind: "identities";
  readonly name: string;
  readonly words: string;
  readonly contestants: readonly ["gatepost"];
  readonly identities: number;
  /** Messages of each. */
  readonly messagesEach: number;
}

/** One user takes more than its share in a small machine; others are timed. */
export interface UnfairWorkload {
  readonly kind: "unfair";
  readonly name: string;
  readonly words: string;
  readonly contestants: readonly ["gatepost"];
}

export type Workload = MailWorkload | IdleWorkload | IdentitiesWorkload | UnfairWorkload;

/** In the order in which they are measured. */
export const WORKLOADS: readonly Workload[] = [
  {
    kind: "mail",
    name: "relay",
    words: "4 KB relayed, connections kept",
    contestants: ["gatepost", "postfix"],
    messages: 4000,
    message: 4096,
    sessions: 20,
    client: "kept",
  },
  {
    kind: "mail",
    name: "cut-through",
    words: "4 KB from outside, connections kept, the sender waits for the server behind",
    contestants: ["gatepost-cut-through", "postfix"],
    messages: 4000,
    message: 4096,
    sessions: 20,
    client: "kept",
  },
  {
    kind: "mail",
    name: "large",
    words: "100 KB relayed, connections kept",
    contestants: ["gatepost", "postfix"],
    messages: 400,
    message: 102_400,
    sessions: 20,
    client: "kept",
  },
  {
    kind: "mail",
    name: "checks",
    words: "20 KB MIME, SPF, DKIM, DMARC and attachments checked",
    contestants: ["gatepost-checks", "postfix-rspamd"],
    messages: 1000,
    message: mimeMessage(20_000),
    sessions: 20,
    client: "kept",
  },
  {
    kind: "mail",
    name: "submission",
    words: "STARTTLS (full handshake), AUTH PLAIN and one 4 KB message a connection",
    contestants: ["gatepost-submission", "postfix-dovecot"],
    messages: 1000,
    message: 4096,
    sessions: 20,
    client: "submission",
  },
  {
    kind: "idle",
    name: "idle",
    words: "2,000 connections from a trusted network that say nothing",
    contestants: ["gatepost", "postfix"],
    connections: 2000,
    messages: 20,
  },
  {
    kind: "identities",
    name: "identities",
    words: "outgoing control: a day's mail of 100,000 identities behind one sender, every limit set",
    contestants: ["gatepost"],
    identities: 100_000,
    messagesEach: 5,
  },
  {
    kind: "unfair",
    name: "unfair",
    words:
      "one user takes more than its share in a 512 MB cgroup; small mail of another is timed from its first octet to its arrival",
    contestants: ["gatepost"],
  },
];
