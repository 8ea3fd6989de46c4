// The parts of a sender's form on what it may write and what is stopped of it. What widens its rights is for administrators of the
// gateway; what a form does not show stays as it is.
import type { SenderSettings } from "../../policy/schema.ts";
import { SHIPPED_RULES } from "../../rules/shipped-rules.ts";
import type { Field, FieldGroup, Option } from "../forms/field.ts";
import { listed } from "../words/amount.ts";
import { BLOCKS, stoppedInWords } from "../words/sender-words.ts";

const FORWARDS: readonly Option[] = [
  { value: "", label: "Take what its author’s domain has signed (DKIM)" },
  { value: "allow", label: "Take it, whoever is in From" },
  { value: "refuse", label: "Refuse it" },
];

/** What the servers of a range write: their domains, and what they send on for their users. */
function serverFields(): readonly Field[] {
  return [
    {
      kind: "lines",
      name: "domains",
      label: "Further domains its servers write for",
      placeholder: "example.net\nexample.org",
      help: "One per line, besides the domain above and the hosts below each. Each is signed with its own DKIM key. Other domains of this gateway are always refused.",
    },
    {
      kind: "choice",
      name: "forwards",
      label: "Mail from other authors, as the server’s users forward it",
      options: FORWARDS,
      optional: true,
      help: "Mail whose From is of no domain of this gateway. Notices of the server itself (bounces) pass in any case.",
    },
  ];
}

/** Which addresses it may use. `operator`: whoever looks at the form administers the gateway. */
export function sendAsGroup(sender: SenderSettings, operator: boolean): FieldGroup {
  const own =
    sender.kind === "user"
      ? "its own address"
      : sender.kind === "domain"
        ? "all addresses of its domain"
        : `all addresses of ${listed([sender.domain, ...sender.domains], 3)}`;
  const reauthentication: Field =
    sender.kind === "ip"
      ? {
          kind: "text",
          name: "reauthenticate_as",
          label: "Treat its mail as coming from the user",
          placeholder: "alice@example.org",
          optional: true,
          help: "The log shows both. That user must permit it.",
        }
      : {
          kind: "switch",
          name: "reauthentication_permitted",
          label: "Authorised servers may send on behalf of it",
          help: "Address ranges that are set to be treated as this sender.",
        };
  return {
    title: "May send as",
    folded: true,
    summary: sender.send_as.length === 0 ? `Only ${own}` : `Also ${listed(sender.send_as, 3)}`,
    help: "Which From addresses it may use",
    fields: [
      ...(sender.kind === "ip" && operator ? serverFields() : []),
      {
        kind: "lines",
        name: "send_as",
        label: "Further addresses",
        placeholder: "info@example.org\n@example.org",
        help: "Addresses or @domains, one per line, besides the sender’s own.",
      },
      reauthentication,
    ],
  };
}

/** The rules a sender can be excepted from here: those of bulk recognition, and what it is excepted from already. */
function exceptionField({ except_rules }: SenderSettings): Field {
  const bulk = SHIPPED_RULES.filter(({ kind, switchedOn }) => kind === "bulk" && switchedOn !== "always").map(
    ({ name, description }) => ({ value: name, label: name, help: description }),
  );
  const others = except_rules.filter((name) => !bulk.some(({ value }) => value === name));
  return {
    kind: "choices",
    name: "except_rules",
    label: "Not for this sender",
    options: [...bulk, ...others.map((name) => ({ value: name, label: name }))],
    help: "For newsletters and other mail to many that is wanted. Locks and limits go on holding.",
  };
}

/** What is stopped of it, and how that is answered. */
export function stoppedGroup(sender: SenderSettings, operator: boolean): FieldGroup {
  return {
    title: "What is stopped",
    folded: true,
    summary: stoppedInWords(sender),
    help: "And what the sending server hears of it",
    fields: [
      {
        kind: "choice",
        name: "quarantine_response",
        label: "When a message goes to the quarantine",
        options: [
          { value: "rejected", label: "Refuse it (550): the sender hears of it" },
          { value: "accepted", label: "Accept it (250): in silence" },
        ],
      },
      { kind: "choices", name: "block", label: "Also stop", options: BLOCKS },
      ...(operator ? [exceptionField(sender)] : []),
    ],
  };
}
