// The fields of a domain's outgoing control as data. No markup, no requests; between form and settings is `domain-outgoing-input.ts`.
import type { DkimKey } from "../../dkim/dkim.ts";
import type { OutgoingSettings } from "../../policy/schema-outgoing.ts";
import type { Field, FieldGroup, Option } from "../forms/field.ts";
import { PARTS, type Part } from "./enterprise-parts.ts";

function partField({ name, label, help }: Part, enterprise: boolean): Field {
  return {
    kind: "choice",
    name: `outgoing.${name}`,
    label,
    help,
    options: [
      { value: "", label: `As enterprise mode says (${enterprise ? "on" : "off"} now)` },
      { value: "on", label: "On" },
      { value: "off", label: "Off" },
    ],
  };
}

function enterpriseGroup(outgoing: OutgoingSettings): FieldGroup {
  return {
    title: "Enterprise mode",
    help: "One switch for the strict set. Each part can be set on its own as well. It holds for all mail of this domain (envelope sender, From, Sender, Resent-From or Resent-Sender), whichever sender of whichever domain hands it in; of several domains the strictest holds. Not for networks that are excepted from outgoing control.",
    fields: [
      {
        kind: "switch",
        name: "outgoing.enterprise",
        label: "Enterprise mode",
        help: "Switches on: From must exist, known identities only, TLS only, limits and automatic lock for every identity.",
      },
      ...PARTS.map((part) => partField(part, outgoing.enterprise)),
    ],
  };
}

const LIMITS: FieldGroup = {
  title: "Default limits",
  folded: true,
  help: "For identities without limits of their own, while “Limits for every identity” is on",
  fields: [
    { kind: "number", name: "outgoing.default_limits.per_minute", label: "Connections a minute" },
    { kind: "number", name: "outgoing.default_limits.per_hour", label: "Connections an hour" },
    { kind: "number", name: "outgoing.default_limits.recipients_per_day", label: "Recipients in 24 hours" },
  ],
};

const LINKED: FieldGroup = {
  title: "Sending as one another",
  folded: true,
  help: "Linked by the same password",
  fields: [
    {
      kind: "switch",
      name: "outgoing.link_same_password",
      label: "Users with the same password may send as one another",
      help: "For one person with several addresses. Grants on the sender’s own page are the better way.",
      warning:
        "Whoever may send as somebody else then knows that person’s password: it is the same. With common passwords strangers are linked too.",
    },
  ],
};

const THRESHOLD = "Empty: no alert for these. A lock always alerts.";

const ALERTS: FieldGroup = {
  title: "Alerts",
  help: "Told at once when spam, malware or bulk mail comes from this domain, and of every lock.",
  fields: [
    {
      kind: "lines",
      name: "outgoing.alerts.mail",
      label: "By mail to",
      placeholder: "admin@example.org",
      help: "Addresses, one per line.",
    },
    {
      kind: "number",
      name: "outgoing.alerts.thresholds.spam",
      label: "After so many spam messages",
      optional: true,
      help: THRESHOLD,
    },
    {
      kind: "number",
      name: "outgoing.alerts.thresholds.virus",
      label: "After so many messages with malware",
      optional: true,
    },
    {
      kind: "number",
      name: "outgoing.alerts.thresholds.bulk",
      label: "After so many messages that look like bulk",
      optional: true,
    },
    {
      kind: "number",
      name: "outgoing.alerts.thresholds.undeliverable",
      label: "After so many undeliverable messages",
      optional: true,
      help: "Accepted mail for or from this domain that no server takes. A list of it comes once a day in any case.",
    },
    {
      kind: "number",
      name: "outgoing.alerts.thresholds.program",
      label: "After so many messages with programs or macros",
      optional: true,
    },
    {
      kind: "duration",
      name: "outgoing.alerts.thresholds.window",
      label: "Within",
      help: "Like 10m or 1h.",
    },
  ],
};

function hookGroup(outgoing: OutgoingSettings): FieldGroup {
  const { webhook, sms } = outgoing.alerts;
  const set = [webhook === null ? "" : "web hook", sms === null ? "" : "SMS"].filter((one) => one !== "");
  return {
    title: "Alerts by web hook and SMS",
    folded: true,
    help: "For a chat, a ticket system or a phone",
    ...(set.length === 0 ? {} : { summary: `${set.join(" and ")} set` }),
    fields: [
      {
        kind: "text",
        name: "outgoing.alerts.webhook.url",
        label: "Web hook",
        placeholder: "https://hooks.example.org/gatepost",
        optional: true,
        help: "Gets JSON by POST. Empty: none.",
      },
      {
        kind: "password",
        name: "outgoing.alerts.webhook.secret",
        label: "Secret of the web hook",
        help: `Signs each call: X-Gatepost-Signature is the HMAC-SHA-256 of the body. At least 16 characters. ${
          webhook?.secret === undefined ? "None is set." : "One is set; empty: unchanged."
        }`,
      },
      {
        kind: "text",
        name: "outgoing.alerts.sms.url",
        label: "SMS gateway",
        placeholder: "https://sms.example.org/send?to={to}&text={text}",
        optional: true,
        help: "{text} and {to} are filled in. Empty: none.",
      },
      {
        kind: "text",
        name: "outgoing.alerts.sms.to",
        label: "Phone number",
        placeholder: "+43 1 234567",
        optional: true,
      },
      {
        kind: "choice",
        name: "outgoing.alerts.sms.method",
        label: "Called by",
        options: [
          { value: "GET", label: "GET" },
          { value: "POST", label: "POST" },
        ],
      },
    ],
  };
}

const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** All zones with the name of a place, and the one that is set. */
function zoneOptions(present: string): readonly Option[] {
  const places = Intl.supportedValuesOf("timeZone").filter((zone) => !zone.startsWith("Etc/"));
  const zones = new Set(["UTC", ...places, present]);
  return [...zones].map((zone) => ({ value: zone, label: zone.replaceAll("_", " ") }));
}

function reportGroup(outgoing: OutgoingSettings): FieldGroup {
  const { every, weekday, hour, timezone } = outgoing.report;
  // Its hour is of its own time zone, the rest of the console in UTC.
  const when = `${every === "weekly" ? `on ${capital(weekday)} ` : ""}at ${String(hour).padStart(2, "0")}:00 (${timezone})`;
  return {
    title: "Abuse contact and report",
    folded: true,
    help: "Who hears of what was stopped",
    ...(outgoing.abuse_contact === null && every === "off"
      ? {}
      : {
          summary: [
            outgoing.abuse_contact ?? "no abuse contact",
            every === "off" ? "no report" : `${every} report ${when}`,
          ].join(", "),
        }),
    fields: [
      {
        kind: "text",
        name: "outgoing.abuse_contact",
        label: "Abuse contact",
        placeholder: "abuse@example.org",
        optional: true,
        help: "Gets an abuse report (ARF) for what goes to the outgoing quarantine: at most one per identity and hour.",
      },
      {
        kind: "choice",
        name: "outgoing.report.every",
        label: "Report of the outgoing quarantine",
        options: [
          { value: "off", label: "None" },
          { value: "daily", label: "Every day" },
          { value: "weekly", label: "Every week" },
        ],
      },
      {
        kind: "choice",
        name: "outgoing.report.weekday",
        label: "Weekday",
        help: "For the weekly report.",
        options: WEEKDAYS.map((day) => ({ value: day, label: capital(day) })),
      },
      {
        kind: "choice",
        name: "outgoing.report.hour",
        label: "Hour",
        options: Array.from({ length: 24 }, (_, i) => ({
          value: String(i),
          label: `${String(i).padStart(2, "0")}:00`,
        })),
      },
      {
        kind: "choice",
        name: "outgoing.report.timezone",
        label: "Time zone",
        options: zoneOptions(outgoing.report.timezone),
      },
      {
        kind: "lines",
        name: "outgoing.report.to",
        label: "Report goes to",
        rows: 2,
        help: "One address per line. Empty: those who get the alerts.",
      },
    ],
  };
}

const PASSWORD_SERVER: FieldGroup = {
  title: "Passwords of the mail server",
  folded: true,
  help: "For senders whose password is checked there",
  fields: [
    {
      kind: "text",
      name: "outgoing.password_server.host",
      label: "Server",
      placeholder: "imap.example.org",
      optional: true,
      help: "Empty: none. Passwords only ever go to it over TLS and are never kept.",
    },
    {
      kind: "choice",
      name: "outgoing.password_server.protocol",
      label: "Protocol",
      options: [
        { value: "imap", label: "IMAP" },
        { value: "pop3", label: "POP3" },
        { value: "smtp", label: "SMTP" },
      ],
    },
    {
      kind: "choice",
      name: "outgoing.password_server.tls",
      label: "Encryption",
      options: [
        { value: "implicit", label: "From the first byte (implicit)" },
        { value: "starttls", label: "STARTTLS, required" },
      ],
    },
    {
      kind: "number",
      name: "outgoing.password_server.port",
      label: "Port",
      optional: true,
      help: "Empty: the usual one.",
    },
    {
      kind: "switch",
      name: "outgoing.password_server.verify_certificate",
      label: "Verify its certificate",
      help: "Off only inside your own network: then a self-signed one will do.",
    },
    {
      kind: "duration",
      name: "outgoing.password_server.cache",
      label: "Ask again after",
      help: "How long a password that was right is not asked for again. Like 5m.",
    },
  ],
};

function dkimGroup(outgoing: OutgoingSettings, keys: readonly DkimKey[]): FieldGroup {
  const selectors = new Map(keys.map((key) => [key.selector, `${key.selector} (${key.state})`]));
  const chosen = outgoing.dkim_selector;
  if (chosen !== null && !selectors.has(chosen)) selectors.set(chosen, `${chosen} (there is no such key)`);
  return {
    title: "DKIM",
    folded: true,
    help: "Which key signs",
    fields: [
      {
        kind: "choice",
        name: "outgoing.dkim_selector",
        label: "Sign with",
        optional: true,
        help: "Only an active key signs. A sender may name another one.",
        options: [
          { value: "", label: "Every active key" },
          ...[...selectors].map(([value, label]) => ({ value, label })),
        ],
      },
    ],
  };
}

/** The form. `administrator`: with what only the operator of the gateway may change. */
export function outgoingGroups(
  outgoing: OutgoingSettings,
  options: { readonly keys: readonly DkimKey[]; readonly administrator: boolean },
): readonly FieldGroup[] {
  const { keys, administrator } = options;
  const sending: FieldGroup = {
    title: "Sending",
    fields: [
      {
        kind: "switch",
        name: "outgoing.barred",
        label: "Barred: nothing may be sent from this domain",
        warning: "Every message of this domain’s senders is refused.",
      },
    ],
  };
  return [
    ...(administrator ? [sending] : []),
    enterpriseGroup(outgoing),
    LIMITS,
    ALERTS,
    // The gateway calls these addresses from inside the firewall.
    ...(administrator ? [hookGroup(outgoing)] : []),
    reportGroup(outgoing),
    LINKED,
    ...(administrator ? [PASSWORD_SERVER] : []),
    dkimGroup(outgoing, keys),
  ];
}
