// The form of a rule of one's own, and the help beside it: how conditions are written and which facts there are.
import { KNOWN_FACTS } from "../../rules/known-facts.ts";
import type { FieldGroup, OptionalObject } from "../forms/field.ts";
import { Card } from "../parts/page-header.tsx";

/** Parts of a rule that exist only when their first field is filled in. */
export const RULE_OBJECTS: readonly OptionalObject[] = [
  { path: "header", leading: "header.name", absent: "omit" },
];

/** Switches of which "off" is the same as not said, so that an untouched form changes nothing. */
export function finishRule(input: Record<string, unknown>, stored: object | null): void {
  for (const name of ["counts_as_spam", "lock_identity"])
    if (input[name] === false && (stored === null || Reflect.get(stored, name) !== false)) delete input[name];
}

export function ruleGroups(): readonly FieldGroup[] {
  return [
    {
      title: "Rule",
      fields: [
        {
          kind: "text",
          name: "name",
          label: "Name",
          placeholder: "no-invoices-from-strangers",
          help: "Lower-case letters, digits, dot and dash. It stands in the log.",
        },
        {
          kind: "text",
          name: "description",
          label: "What it is for",
          placeholder: "Invoices only from senders we know",
        },
        {
          kind: "choice",
          name: "mode",
          label: "Mode",
          options: [
            { value: "observe", label: "Observe: only note in the log what it would do" },
            { value: "enforce", label: "Enforce" },
            { value: "off", label: "Off" },
          ],
        },
      ],
    },
    {
      title: "When",
      fields: [
        {
          kind: "area",
          name: "when",
          label: "Condition",
          rows: 4,
          placeholder: "attachments.count > 0 and not spf.aligned",
          help: "Facts, comparisons, and, or, not, brackets. The facts are listed beside the form.",
        },
      ],
    },
    {
      title: "Then",
      fields: [
        {
          kind: "choice",
          name: "action",
          label: "Action",
          options: [
            { value: "quarantine", label: "Quarantine" },
            { value: "reject", label: "Reject with 5xx" },
            { value: "tempfail", label: "Put off with 4xx" },
            { value: "mark", label: "Mark the subject or add a header" },
            { value: "redirect", label: "Redirect to another address" },
            { value: "copy", label: "Send a copy" },
            { value: "discard", label: "Accept and throw away" },
            { value: "accept", label: "Accept and ask no further rule" },
          ],
        },
        {
          kind: "number",
          name: "code",
          label: "Reply code",
          placeholder: "550",
          optional: true,
          help: "Quarantine: 250 or 550. Reject: 5xx. Put off: 4xx. Empty takes the usual one.",
        },
        {
          kind: "text",
          name: "reply",
          label: "Reply text",
          optional: true,
          help: "What the sending server is told. Say nothing an attacker can use.",
        },
        {
          kind: "text",
          name: "to",
          label: "Address",
          placeholder: "abuse@example.org",
          optional: true,
          help: "For redirect and copy.",
        },
        {
          kind: "text",
          name: "subject.prefix",
          label: "Before the subject",
          placeholder: "[suspicious] ",
          optional: true,
          verbatim: true,
          help: "For mark. A space at its end belongs to it.",
        },
        {
          kind: "text",
          name: "subject.suffix",
          label: "After the subject",
          optional: true,
          verbatim: true,
        },
        {
          kind: "text",
          name: "header.name",
          label: "Header to add",
          placeholder: "X-Note",
          optional: true,
          help: "For mark.",
        },
        { kind: "text", name: "header.value", label: "Its value", optional: true },
      ],
    },
    {
      title: "Outgoing mail",
      folded: true,
      help: "What it means for the sender",
      fields: [
        {
          kind: "switch",
          name: "counts_as_spam",
          label: "Counts toward the lock",
          help: "When this rule stops a message, it counts as spam of its sender and identity.",
        },
        {
          kind: "switch",
          name: "lock_identity",
          label: "Locks the identity at once",
          help: "When this rule stops a message, whoever is behind it cannot send until the lock ends.",
          warning: "One message is enough. Watch the rule in “observe” first.",
        },
      ],
    },
    {
      title: "Where and in which order",
      folded: true,
      help: "Everywhere, unless you say otherwise",
      fields: [
        {
          kind: "choices",
          name: "scope.directions",
          label: "Directions",
          options: [
            { value: "inbound", label: "Inbound", help: "from outside to us" },
            { value: "outbound", label: "Outbound", help: "from us to the outside" },
            { value: "internal", label: "Internal", help: "from us to us" },
          ],
          help: "None ticked: all.",
        },
        {
          kind: "lines",
          name: "scope.domains",
          label: "Domains",
          placeholder: "example.org",
          help: "One per line; empty: all.",
        },
        {
          kind: "lines",
          name: "scope.addresses",
          label: "Recipients",
          placeholder: "board@example.org",
          help: "One per line; empty: all.",
        },
        {
          kind: "lines",
          name: "scope.senders",
          label: "Senders",
          placeholder: "alice@example.org",
          help: "Logins, one per line; empty: all.",
        },
        {
          kind: "number",
          name: "priority",
          label: "Order",
          help: "Lower runs first. Shipped rules are at 100 to 800.",
        },
      ],
    },
  ];
}

const EXAMPLES: readonly (readonly [string, string])[] = [
  ['spf.result == "fail" and not dkim.aligned', "forged, as far as SPF and DKIM can tell"],
  ['attachments.extensions any ["iso", "img"]', "disk images attached"],
  ["message.size > 10 MB", "large messages"],
  ['sender.domain in ["example.org", "example.test"]', "from one of two domains"],
  ['client.hostname matches "*.dyn.*"', "from a dial-up line"],
];

/** How to write a condition, and every fact there is. */
export function ConditionHelp() {
  const groups = Map.groupBy(KNOWN_FACTS, (fact) => fact.name.split(".")[0] ?? "");
  return (
    <Card title="Conditions">
      <ul class="examples">
        {EXAMPLES.map(([code, words]) => (
          <li>
            <code>{code}</code>
            <span class="muted">{words}</span>
          </li>
        ))}
      </ul>
      <h3>Facts</h3>
      {[...groups].map(([group, facts]) => (
        <details class="fact-help">
          <summary>
            {group} <span class="muted">{facts.length}</span>
          </summary>
          <dl>
            {facts.map((fact) => (
              <div>
                <dt>
                  <code>{fact.name}</code> <span class="muted">{fact.kind}</span>
                </dt>
                <dd>
                  {fact.description}
                  {fact.values && <span class="muted">: {fact.values.join(", ")}</span>}
                </dd>
              </div>
            ))}
          </dl>
        </details>
      ))}
    </Card>
  );
}
