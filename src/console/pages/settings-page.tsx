// Networks, delivery and general settings: one form each over one object of the policy.
import type { PolicyProblem } from "../../policy/settings.ts";
import { alarmsOfDelivery } from "../alarm-places.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type FieldGroup, fieldsOf, type OptionalObject, pathParts } from "../forms/field.ts";
import { formOf } from "../forms/form-input.ts";
import { PolicyForm } from "../forms/policy-form.tsx";
import { savePolicyForm } from "../forms/save-policy.ts";
import { AlarmNotices } from "../parts/alarm-state.tsx";
import { consolePage } from "../parts/document.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { TLS_POLICIES } from "./domains-page.tsx";
import { SettingsHeader, type SettingsTab } from "./settings-tabs.tsx";

interface ObjectPage {
  readonly section: "networks" | "delivery" | "settings";
  readonly path: SettingsTab;
  readonly title: string;
  readonly groups: readonly FieldGroup[];
  readonly optionalObjects?: readonly OptionalObject[];
}

const NETWORKS: ObjectPage = {
  section: "networks",
  path: "/settings",
  title: "Networks",
  groups: [
    {
      title: "Trusted networks",
      help: "Your own servers and LAN. Clients in them may send to anybody without logging in, so name nothing you do not run. What they send counts for the domain that its envelope and From name, and is limited, locked and reported at the person who wrote it.",
      fields: [
        {
          kind: "lines",
          name: "trusted",
          label: "Addresses and ranges",
          rows: 6,
          placeholder: "10.0.0.0/8\n192.0.2.25",
          help: "One per line, IPv4 or IPv6.",
        },
        {
          kind: "choice",
          name: "forwards",
          label: "Mail from other authors",
          options: [
            { value: "allow", label: "Take it" },
            { value: "signed", label: "Take what its author’s domain has signed (DKIM)" },
            { value: "refuse", label: "Refuse it" },
          ],
          help: "Mail whose From is of no domain of this gateway: what mail servers forward for their users, and mail of the system itself.",
        },
        {
          kind: "lines",
          name: "excepted",
          label: "Excepted from outgoing control",
          rows: 2,
          placeholder: "10.0.0.25",
          help: "Parts of the networks above. Nothing from there is counted, limited, locked or reported: a hacked account behind such a server sends as much as it likes.",
        },
      ],
    },
  ],
};

const DELIVERY: ObjectPage = {
  section: "delivery",
  path: "/settings/delivery",
  title: "Delivery",
  optionalObjects: [{ path: "smarthost", leading: "smarthost.host", absent: "null" }],
  groups: [
    {
      title: "Smart host",
      help: "Mail to the outside goes through this server. Without one it goes straight to the servers its MX records name.",
      fields: [
        {
          kind: "text",
          name: "smarthost.host",
          label: "Host",
          placeholder: "smtp.provider.example",
          optional: true,
          help: "Empty: deliver by MX.",
        },
        { kind: "number", name: "smarthost.port", label: "Port", placeholder: "587", optional: true },
        { kind: "choice", name: "smarthost.tls", label: "Encryption", options: TLS_POLICIES, optional: true },
        { kind: "text", name: "smarthost.user", label: "User", optional: true },
        {
          kind: "password",
          name: "smarthost.password",
          label: "Password",
          help: "Never shown again. Empty: unchanged.",
        },
        {
          kind: "switch",
          name: "smarthost.allow_unverified_tls",
          label: "Send the password without a proven certificate",
          help: "Off: a server whose certificate does not prove its name gets no password and mail waits. On this machine (127.0.0.1) none is needed.",
        },
      ],
    },
    {
      title: "Delivery by MX",
      fields: [
        { kind: "choice", name: "tls", label: "Encryption", options: TLS_POLICIES },
        { kind: "number", name: "max_connections_per_destination", label: "Connections per destination" },
        {
          kind: "duration",
          name: "connect_timeout",
          label: "Give up connecting after",
          help: "Like 30s or 1m.",
        },
      ],
    },
    {
      title: "When a server does not answer",
      fields: [
        {
          kind: "duration",
          name: "cut_through_wait",
          label: "Let senders wait for a mail server's own answer",
          help: "At most so long, like 8s; then the message is kept and delivered later. 0s: switched off, no sender waits. Each domain can switch it off.",
        },
        {
          kind: "lines",
          name: "retry",
          label: "Waits between attempts",
          rows: 7,
          help: "One per line; the last repeats.",
        },
        { kind: "duration", name: "delay_notice_after", label: "Tell the sender of the delay after" },
        {
          kind: "duration",
          name: "give_up_after",
          label: "Give up after",
          help: "RFC 5321 asks for four to five days.",
        },
      ],
    },
  ],
};

const GENERAL: ObjectPage = {
  section: "settings",
  path: "/settings/general",
  title: "General",
  groups: [
    {
      title: "People",
      fields: [
        {
          kind: "text",
          name: "postmaster",
          label: "Postmaster",
          placeholder: "postmaster@example.org",
          optional: true,
          help: "Gets notices to the administrator.",
        },
        {
          kind: "text",
          name: "console_url",
          label: "Address of this console",
          placeholder: "https://gate.example.org:8443",
          optional: true,
          help: "Where links in mails lead. Empty: https:// with the gateway’s name and the console’s port.",
        },
        {
          kind: "choice",
          name: "malware_release",
          label: "Mail with malware is released by",
          options: [
            { value: "administrators", label: "Administrators of the gateway only" },
            { value: "domain-administrators", label: "Administrators of domains as well" },
          ],
        },
        {
          kind: "switch",
          name: "self_service",
          label: "Senders may set their password themselves",
          help: "On the page /smtp-password of this console, by a link in a mail to their address.",
        },
      ],
    },
    {
      title: "Keeping",
      fields: [
        { kind: "duration", name: "quarantine_keep", label: "Keep quarantined mail for", help: "Like 30d." },
        { kind: "duration", name: "log_keep", label: "Keep the message log for", help: "Like 90d." },
        {
          kind: "size",
          name: "min_free",
          label: "Refuse mail when less is free",
          placeholder: "128 MB",
          optional: true,
          help: "Like 500 MB or 2 GB, on the disk of the data directory. Empty: 128 MB, or a tenth of a smaller disk. 0: switched off, mail is taken until the disk is full.",
        },
      ],
    },
    {
      title: "Checks",
      fields: [
        {
          kind: "duration",
          name: "check_timeout",
          label: "Time for all checks of a message",
          help: "A check that takes longer counts as failed.",
        },
        {
          kind: "text",
          name: "note_header",
          label: "Header for notes",
          help: "Where marks and notes of the rules are written.",
        },
        {
          kind: "switch",
          name: "subject_warnings",
          label: "Warnings in the subject",
          help: "For domains with subject marks: mail that neither SPF nor DKIM of its author’s domain speaks for says so in the subject.",
        },
      ],
    },
    {
      title: "Age of sender domains",
      help: "For the rule new-domains. With neither, the age is unknown, and nothing is refused for it.",
      folded: true,
      fields: [
        {
          kind: "text",
          name: "domain_age.feed",
          label: "List of new domains",
          placeholder: "/var/lib/gatepost/new-domains.txt",
          help: "A text file on this machine with “example.org 2026-11-20” a line: when it was registered. Empty: none.",
        },
        {
          kind: "text",
          name: "domain_age.rdap",
          label: "RDAP service",
          placeholder: "https://rdap.org/",
          optional: true,
          help: "Asked for domains the list does not know. Empty: none.",
        },
      ],
    },
  ],
};

function show(
  c: ConsoleContext,
  page: ObjectPage,
  form: URLSearchParams,
  problems: readonly PolicyProblem[],
): Promise<Response> {
  return consolePage(
    c,
    { title: page.title, nav: "settings", status: problems.length > 0 ? 422 : 200 },
    <>
      <SettingsHeader current={page.path} />
      {page.section === "delivery" && <AlarmNotices alarms={alarmsOfDelivery(c.get("services").alarms())} />}
      <div class="form-page">
        <PolicyForm
          action={page.path}
          groups={page.groups}
          form={form}
          problems={problems}
          submit="Save changes"
        />
      </div>
    </>,
  );
}

/** Left empty is "as it comes", not "unchanged": what a section is given without stays as it was. */
function emptied(groups: readonly FieldGroup[], input: Record<string, unknown>): void {
  for (const { name } of fieldsOf(groups)) {
    const [setting = ""] = pathParts(name);
    if (input[setting] === undefined) input[setting] = null;
  }
}

async function save(c: ConsoleContext, page: ObjectPage): Promise<Response> {
  const result = await savePolicyForm(c, {
    section: page.section,
    groups: page.groups,
    ...(page.optionalObjects === undefined ? {} : { optionalObjects: page.optionalObjects }),
    key: "",
    filled: (now) => formOf(page.groups, now),
    finish: (input) => {
      emptied(page.groups, input);
      return [];
    },
  });
  if (result.kind === "again") return show(c, page, result.form, result.problems);
  leaveNotice(c, result.notice.tone, result.notice.text);
  return c.redirect(page.path, 303);
}

function routesOf(page: ObjectPage): readonly Route[] {
  const stored = (c: ConsoleContext) => c.get("services").settings.current().policy[page.section];
  return [
    forAdministrator.get(page.path, (c) => show(c, page, formOf(page.groups, stored(c)), [])),
    forAdministrator.post(page.path, (c) => save(c, page)),
  ];
}

export const settingsRoutes: readonly Route[] = [NETWORKS, DELIVERY, GENERAL].flatMap(routesOf);
