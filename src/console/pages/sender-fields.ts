// The form of an outgoing sender as data: who it is first, everything else folded with what is set in it.
import { enterpriseParts } from "../../policy/enterprise-mode.ts";
import { itemKey } from "../../policy/policy-document.ts";
import type { SenderSettings } from "../../policy/schema.ts";
import type { Limits } from "../../policy/schema-sender.ts";
import type { ConsoleContext } from "../console-env.ts";
import { ownDomains } from "../domain-scope.ts";
import type { Field, FieldGroup, Option } from "../forms/field.ts";
import { heldTo } from "../lock-actions.ts";
import { count, listed } from "../words/amount.ts";
import {
  allLimitsInWords,
  identifiedBy,
  LIMITS,
  limitsInWords,
  lockInWords,
  SENDER_KINDS,
} from "../words/sender-words.ts";
import { ruleChoices } from "./rule-choices.ts";
import { sendAsGroup, stoppedGroup } from "./sender-writing-fields.ts";

type Kind = SenderSettings["kind"];

/** Field names that are not paths of a sender: `sender-input.ts` reads them. */
export const IDENTITY_HEADERS = "identity_headers";
export const CRAM_REMOVE = "cram_remove";

/** The kind a form is about: the stored sender's, else the one in the address. */
export function kindOf(c: ConsoleContext, stored: object | null): Kind {
  const kind: unknown = stored === null ? c.req.query("kind") : Reflect.get(stored, "kind");
  return kind === "ip" || kind === "domain" ? kind : "user";
}

/** A new sender’s form asks who it is; a stored one’s has every setting. */
export function senderGroups(c: ConsoleContext, stored: object | null): readonly FieldGroup[] {
  const kind = kindOf(c, stored);
  const who: FieldGroup = {
    title: SENDER_KINDS[kind].label,
    help: SENDER_KINDS[kind].words,
    fields: whoFields(c, kind, stored),
  };
  if (stored === null) return [who];
  // What the settings hold came through the schema.
  const sender = stored as SenderSettings;
  // What widens a sender's rights is for administrators of the gateway; what a form does not show stays as it is.
  const operator = ownDomains(c) === null;
  return [
    who,
    identityGroup(sender),
    lockGroup(c, sender),
    limitsGroup(c, sender),
    sendAsGroup(sender, operator),
    stoppedGroup(sender, operator),
    keepingGroup(sender),
    ...(kind === "ip" ? [] : [cramGroup(sender)]),
    ...(operator ? [rulesGroup(c, sender)] : []),
  ];
}

function whoFields(c: ConsoleContext, kind: Kind, stored: object | null): readonly Field[] {
  const domain = domainField(c, stored);
  const password: Field = {
    kind: "password",
    name: "password",
    label: "Password",
    meter: true,
    help: stored === null ? newPasswordHelp(c, kind) : "Leave empty to keep the present one.",
  };
  const enabled: Field = { kind: "switch", name: "enabled", label: "May send" };
  switch (kind) {
    case "user":
      return [
        {
          kind: "text",
          name: "login",
          label: "Login",
          placeholder: "alice@example.org",
          help: "A full mail address, or a plain name like scanner1 for a device; its addresses then stand under “May also send as”.",
        },
        domain,
        password,
        {
          kind: "choice",
          name: "verify",
          label: "Checked",
          optional: true,
          options: [
            { value: "", label: "Here, against this password" },
            { value: "mail-server", label: "By the domain’s mail server" },
          ],
        },
        enabled,
      ];
    case "ip":
      return [
        {
          kind: "text",
          name: "range",
          label: "Address or range",
          placeholder: "192.0.2.0/28",
          help: "It cannot be changed later; add another one instead.",
        },
        domain,
        enabled,
      ];
    case "domain":
      return [domain, password, enabled];
  }
}

function newPasswordHelp(c: ConsoleContext, kind: Kind): string {
  const alone = kind === "user" && c.get("services").settings.current().policy.settings.self_service;
  const kept = "Kept as an argon2id hash; nobody can read it again.";
  return alone ? `${kept} Left empty, the user sets one on the page /smtp-password.` : kept;
}

function domainField(c: ConsoleContext, stored: object | null): Field {
  const domains =
    ownDomains(c) ??
    c
      .get("services")
      .settings.current()
      .policy.domain.map((one) => one.name);
  const present: unknown = stored === null ? "" : Reflect.get(stored, "domain");
  // The domain of a stored log-in for a whole domain is its name.
  const others = stored !== null && Reflect.get(stored, "kind") === "domain" ? [] : domains;
  const names = typeof present === "string" && present !== "" ? [...new Set([present, ...others])] : domains;
  const base = { name: "domain", label: "Domain", help: "The domain this sender belongs to." };
  if (names.length === 0) return { kind: "text", ...base, placeholder: "example.org" };
  const options = names.toSorted().map((name) => ({ value: name, label: name }));
  // With several to choose from, the first of the list would be wrong for most.
  const ofLogin = stored === null && kindOf(c, stored) === "user" && names.length > 1;
  return {
    kind: "choice",
    ...base,
    options: ofLogin ? [{ value: "", label: "That of the login" }, ...options] : options,
  };
}

function identityGroup(sender: SenderSettings): FieldGroup {
  return {
    title: "Identities",
    folded: true,
    summary: identifiedBy(sender),
    help: "Who is behind a sender that many people share",
    fields: [
      {
        kind: "choice",
        name: "identify_by",
        label: "Tell people apart by",
        options: [
          ...(sender.kind === "ip" ? [] : [{ value: "authenticated-user", label: "The login" }]),
          { value: "envelope-sender", label: "The envelope sender" },
          { value: "header", label: "Header lines" },
        ],
        help: "Locks, limits and figures are kept per person behind this sender.",
      },
      {
        kind: "rows",
        name: IDENTITY_HEADERS,
        label: "Header lines",
        help: "Only when told apart by header lines. The first that gives an identity counts. A regular expression (RE2) takes a part of the value: its first group, or all that it matches.",
        add: "Add a header line",
        columns: [
          { kind: "text", name: "header", label: "Name", placeholder: "X-Client-ID" },
          { kind: "text", name: "extract", label: "Part", placeholder: "^([^;]+)", optional: true },
          {
            kind: "choice",
            name: "remove",
            label: "Sent on",
            options: [
              { value: "keep", label: "yes" },
              { value: "remove", label: "taken out" },
            ],
          },
        ],
      },
    ],
  };
}

/** What holds for the sender, with what its domain adds; `domain` is null when that is not here. */
function inForce(c: ConsoleContext, sender: SenderSettings) {
  const key = itemKey("sender", sender);
  const domain = c.get("services").settings.current().domain(sender.domain)?.outgoing ?? null;
  return {
    held: heldTo(c, { sender: key, identity: null }) ?? sender,
    parts: domain === null ? null : enterpriseParts(domain),
    domain,
  };
}

function lockGroup(c: ConsoleContext, sender: SenderSettings): FieldGroup {
  const { held, parts } = inForce(c, sender);
  const own = c.get("services").settings.current().policy.template;
  const templates: readonly Option[] = [
    { value: "lock-notice", label: "The notice that comes with the product" },
    { value: "none", label: "No mail" },
    ...own
      .filter((one) => one.name !== "lock-notice" && one.name !== "none")
      .map((one) => ({ value: one.name, label: one.name })),
  ];
  return {
    title: "Automatic lock",
    folded: true,
    summary: lockInWords(held),
    help: "Stops a hacked account within minutes, and nobody else",
    fields: [
      {
        kind: "switch",
        name: "lock.identity",
        label: "Lock the identity that sends spam",
        ...(parts?.lockIdentities === true
          ? { help: `${sender.domain} has every identity locked, whatever is set here.` }
          : {}),
      },
      {
        kind: "switch",
        name: "lock.sender",
        label: "Lock the whole sender",
        ...(sender.kind === "user"
          ? {}
          : {
              warning: `One sender of spam then stops everybody behind this ${sender.kind === "ip" ? "server" : "log-in"}. Locking the identity is nearly always enough.`,
            }),
      },
      {
        kind: "number",
        name: "lock.spam",
        label: "Spam messages that lock",
        placeholder: "5",
        optional: true,
      },
      { kind: "duration", name: "lock.window", label: "Within", placeholder: "10m", optional: true },
      {
        kind: "duration",
        name: "lock.timeout",
        label: "Ends by itself after",
        placeholder: "1h",
        optional: true,
      },
      {
        kind: "number",
        name: "lock.max_unlocks",
        label: "Ends by itself at most so many times",
        placeholder: "2",
        optional: true,
        help: "Then only a person unlocks. 0: always only a person.",
      },
      {
        kind: "choice",
        name: "lock.template",
        label: "Mail to the locked user",
        options: templates,
        help: "The administrators of the domain are alerted in any case.",
      },
    ],
  };
}

function limitsGroup(c: ConsoleContext, sender: SenderSettings): FieldGroup {
  const { held, parts, domain } = inForce(c, sender);
  const given: Partial<Limits> | null =
    parts?.limitIdentities === true ? (domain?.default_limits ?? null) : null;
  const field = (
    path: "limits" | "identity_limits",
    whose: string,
    limit: (typeof LIMITS)[number],
  ): Field => {
    const most = path === "identity_limits" ? given?.[limit.name] : undefined;
    return {
      kind: "number",
      name: `${path}.${limit.name}`,
      label: `${whose}: ${limit.label.toLowerCase()}`,
      placeholder: most == null ? "none" : `${count(most)}, its domain’s`,
      optional: true,
      ...overruled(sender, held.identity_limits, path === "identity_limits" ? limit.name : null),
    };
  };
  const summary = allLimitsInWords({ limits: sender.limits, identity_limits: held.identity_limits });
  const ofDomain = given === null ? "" : ` (${sender.domain}: ${limitsInWords(given)} for whoever has none)`;
  return {
    title: "Limits",
    folded: true,
    summary: `${summary}${ofDomain}`,
    help: "Empty is no limit. Over a limit, mail waits at the sender; nothing is lost",
    columns: true,
    fields: LIMITS.flatMap((limit) => [
      field("limits", "Sender", limit),
      field("identity_limits", "Each identity", limit),
    ]),
  };
}

/** Of a limit that is set and does not hold: which one does. */
function overruled(sender: SenderSettings, held: Limits, name: keyof Limits | null): { help?: string } {
  const own = name === null ? null : sender.identity_limits[name];
  const most = name === null ? null : held[name];
  if (own === null || most === null || own === most) return {};
  return { help: `${count(most)} holds: an administrator of the gateway has set it for ${sender.domain}.` };
}

function keepingGroup(sender: SenderSettings): FieldGroup {
  const selector =
    sender.dkim_selector === undefined ? "the domain’s DKIM key" : `DKIM key ${sender.dkim_selector}`;
  return {
    title: "Archive and signature",
    folded: true,
    summary: `${sender.archive ? "Archived" : "Not archived"}; signed with ${selector}`,
    help: "What is kept of it and how it is signed",
    fields: [
      { kind: "switch", name: "archive", label: "Keep what is sent in the archive of its domain" },
      {
        kind: "text",
        name: "dkim_selector",
        label: "DKIM selector",
        placeholder: "the domain’s",
        optional: true,
        help: "Only to sign with another key than the domain’s other senders.",
      },
    ],
  };
}

function cramGroup(sender: SenderSettings): FieldGroup {
  const set = sender.cram_password !== undefined;
  return {
    title: "CRAM-MD5",
    folded: true,
    summary: set ? "A password is set" : "Off",
    help: "Only for old programs that know no better log-in",
    fields: [
      {
        kind: "password",
        name: "cram_password",
        label: "Password for CRAM-MD5",
        help: "Must be kept in recoverable form, encrypted under the key of this appliance. Use another one than the password above. Works only on listeners that allow CRAM-MD5.",
      },
      ...(set ? [{ kind: "switch", name: CRAM_REMOVE, label: "Take this password away" } as const] : []),
    ],
  };
}

function rulesGroup(c: ConsoleContext, sender: SenderSettings): FieldGroup {
  return {
    title: "Rules",
    folded: true,
    summary: sender.rules.length === 0 ? "Those of its domain" : `Also ${listed(sender.rules, 4)}`,
    help: "Switched on for this sender besides those of the domain",
    fields: [
      {
        kind: "choices",
        name: "rules",
        label: "Switched on",
        options: ruleChoices(c.get("services").settings.current().policy),
      },
    ],
  };
}
