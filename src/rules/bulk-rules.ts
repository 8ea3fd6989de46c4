// The shipped rules against unsolicited bulk of our own senders (requirement O12). `bulk.level` grows with what is unusual for the identity;
// `bulk.waited` says that it has waited as told.
import type { Direction } from "../message/envelope.ts";
import type { ShippedRule } from "./shipped-rules.ts";

const SENT: readonly Direction[] = ["outbound", "internal"];

/** By priority. */
export const BULK_RULES: readonly ShippedRule[] = [
  {
    name: "bulk-lock",
    kind: "bulk",
    description: "Stops an identity at once whose mail is unsolicited bulk beyond doubt",
    mode: "enforce",
    priority: 640,
    switchedOn: "default",
    parts: [
      {
        directions: SENT,
        when: "bulk.level >= 3",
        action: "quarantine",
        replyCode: 550,
        replyText: "Message refused: it looks like unsolicited bulk mail",
        countsAsSpam: true,
        locks: true,
      },
    ],
  },
  {
    name: "bulk-hold",
    kind: "bulk",
    description: "Holds mail in quarantine that looks like unsolicited bulk of one identity",
    mode: "enforce",
    priority: 650,
    switchedOn: "default",
    parts: [
      {
        directions: SENT,
        when: "bulk.level >= 2",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
      },
    ],
  },
  {
    name: "bulk-beyond-doubt",
    kind: "bulk",
    description:
      "Holds unsolicited bulk beyond doubt where bulk-lock and bulk-hold are off or only observe; not of a sender excepted from both",
    mode: "enforce",
    priority: 655,
    switchedOn: "always",
    notWithout: ["bulk-lock", "bulk-hold"],
    parts: [
      {
        directions: SENT,
        when: "bulk.level >= 3",
        action: "quarantine",
        replyCode: 250,
        replyText: "Message accepted",
      },
    ],
  },
  {
    name: "bulk-slow",
    kind: "bulk",
    description: "Slows an identity that sends to unusually many new recipients",
    mode: "enforce",
    priority: 660,
    switchedOn: "default",
    parts: [
      {
        directions: SENT,
        when: "bulk.level >= 1 and not bulk.waited",
        action: "tempfail",
        replyCode: 450,
        replyText: "Unusually many new recipients, please try again later",
      },
    ],
  },
];
