// The outgoing users: who may send through this gateway, and as whom.
import { itemKey } from "../../policy/policy-document.ts";
import type { SenderSettings } from "../../policy/schema.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { Field, FieldGroup } from "../forms/field.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Address } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { counted } from "../words/amount.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { ruleChoices } from "./rule-choices.ts";

type Kind = SenderSettings["kind"];

const KINDS: Readonly<
  Record<Kind, { readonly label: string; readonly add: string; readonly words: string }>
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
  domain: { label: "Domain", add: "Add domain", words: "All mail that leaves for one of your domains." },
};

function kindOf(text: unknown): Kind {
  return text === "ip" || text === "domain" ? text : "user";
}

function identityFields(): readonly Field[] {
  return [
    {
      kind: "choice",
      name: "identify_by",
      label: "Tell people apart by",
      options: [
        { value: "authenticated-user", label: "The login" },
        { value: "envelope-sender", label: "The envelope sender" },
        { value: "header", label: "A header line" },
      ],
      help: "Locks, limits and figures are kept per person behind this sender.",
    },
    {
      kind: "text",
      name: "identify_header",
      label: "Header line",
      placeholder: "X-Client-ID",
      optional: true,
      help: "Only when told apart by a header line.",
    },
    {
      kind: "text",
      name: "identify_extract",
      label: "Part of its value",
      placeholder: "^([^;]+)",
      optional: true,
      help: "A regular expression with one group; empty takes the whole value.",
    },
    { kind: "switch", name: "identify_remove", label: "Take the header line out before sending" },
  ];
}

function whoFields(kind: Kind, stored: boolean): readonly Field[] {
  const domain: Field = {
    kind: "text",
    name: "domain",
    label: "Domain",
    placeholder: "example.org",
    help: "The domain this sender belongs to.",
  };
  switch (kind) {
    case "user":
      return [
        {
          kind: "text",
          name: "login",
          label: "Login",
          placeholder: "alice@example.org",
          help: "A full mail address.",
        },
        domain,
        {
          kind: "password",
          name: "password",
          label: "Password",
          meter: true,
          help: stored
            ? "Leave empty to keep the present one."
            : "Kept as an argon2id hash; nobody can read it again.",
        },
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
      ];
    case "domain":
      return [domain];
  }
}

function groups(c: ConsoleContext, stored: object | null): readonly FieldGroup[] {
  const kind = kindOf(stored === null ? c.req.query("kind") : Reflect.get(stored, "kind"));
  return [
    {
      title: KINDS[kind].label,
      help: KINDS[kind].words,
      fields: [...whoFields(kind, stored !== null), { kind: "switch", name: "enabled", label: "May send" }],
    },
    {
      title: "May send as",
      fields: [
        {
          kind: "lines",
          name: "send_as",
          label: "Further addresses",
          placeholder: "info@example.org\n@example.org",
          help: "Addresses or @domains, one per line, besides the sender’s own.",
        },
      ],
    },
    {
      title: "Rules",
      folded: true,
      help: "Switched on for this sender besides those of the domain",
      fields: [
        {
          kind: "choices",
          name: "rules",
          label: "Switched on",
          options: ruleChoices(c.get("services").settings.current().policy),
        },
      ],
    },
    {
      title: "Identities",
      folded: true,
      help: "Who is behind a sender that many people share",
      fields: identityFields(),
    },
  ];
}

function fill(form: URLSearchParams, item: object): void {
  const by: unknown = Reflect.get(item, "identify_by");
  if (typeof by !== "object" || by === null) return;
  form.set("identify_by", "header");
  form.set("identify_header", String(Reflect.get(by, "header") ?? ""));
  form.set("identify_extract", String(Reflect.get(by, "extract") ?? ""));
  if (Reflect.get(by, "remove") === true) form.set("identify_remove", "on");
}

function finish(input: Record<string, unknown>, c: ConsoleContext) {
  const { identify_header, identify_extract, identify_remove } = input;
  for (const name of ["identify_header", "identify_extract", "identify_remove"]) delete input[name];
  input.kind = kindOf(input.kind ?? c.req.query("kind"));
  if (input.identify_by !== "header") return [];
  input.identify_by = {
    header: identify_header ?? "",
    ...(identify_extract === undefined ? {} : { extract: identify_extract }),
    remove: identify_remove === true,
  };
  return identify_header === undefined
    ? [{ path: "identify_header", message: "name the header line, like X-Client-ID" }]
    : [];
}

const COLUMNS: readonly Column<SenderSettings>[] = [
  {
    label: "Sender",
    kind: "main",
    cell: (sender) => (
      <a class="row-title" href={`/senders/${encodeURIComponent(itemKey("sender", sender))}/edit`}>
        <Address text={itemKey("sender", sender)} />
      </a>
    ),
  },
  { label: "Kind", kind: "tight", cell: (sender) => KINDS[sender.kind].label },
  {
    label: "State",
    kind: "tight",
    cell: (sender) =>
      sender.enabled ? <Badge tone="good">May send</Badge> : <Badge tone="quiet">Off</Badge>,
  },
  { label: "Domain", extra: true, cell: (sender) => sender.domain },
  { label: "Logs in by", cell: (sender) => <LoginWords sender={sender} /> },
  {
    label: "May send as",
    extra: true,
    cell: (sender) =>
      sender.send_as.length === 0 ? (
        <span class="muted">own address</span>
      ) : (
        <Address text={sender.send_as.slice(0, 3).join(", ")} />
      ),
  },
  {
    label: "Actions",
    kind: "actions",
    cell: (sender) => <RowLinks base="/senders" itemKey={itemKey("sender", sender)} />,
  },
];

function LoginWords({ sender }: { readonly sender: SenderSettings }) {
  if (sender.kind !== "user") return <span class="muted">no log-in</span>;
  if (sender.verify === "mail-server") return <>the mail server’s password</>;
  return sender.password_hash === undefined ? <Badge tone="warn">no password yet</Badge> : <>its password</>;
}

function getSenders(c: ConsoleContext): Promise<Response> {
  const { sender } = c.get("services").settings.current().policy;
  return consolePage(
    c,
    { title: "Senders", nav: "senders" },
    <>
      <PageHeader
        title="Senders"
        lead={
          sender.length === 0
            ? "Who may send through this gateway."
            : `${counted(sender.length, "sender")} may send through this gateway.`
        }
      >
        <a class="button quiet" href="/senders/new?kind=domain">
          Add domain
        </a>
        <a class="button quiet" href="/senders/new?kind=ip">
          Add address range
        </a>
        <a class="button" href="/senders/new?kind=user">
          <Icon name="plus" /> Add user
        </a>
      </PageHeader>
      {sender.length === 0 ? (
        <EmptyState
          icon="sender"
          title="No sender yet"
          action={{ href: "/senders/new?kind=user", label: "Add the first user" }}
        >
          Users log in to send; address ranges may send without. Trusted networks are in the settings.
        </EmptyState>
      ) : (
        <DataTable
          caption="Senders"
          columns={COLUMNS}
          rows={sender}
          rowId={(one) => `s-${itemKey("sender", one)}`}
        />
      )}
    </>,
  );
}

/** The domain a new sender will belong to when there is just one to choose from. */
function onlyDomain(c: ConsoleContext): string {
  const { domain } = c.get("services").settings.current().policy;
  return domain.length === 1 ? (domain[0]?.name ?? "") : "";
}

export const senderRoutes: readonly Route[] = [
  forAdministrator.get("/senders", getSenders),
  ...itemRoutes({
    section: "sender",
    base: "/senders",
    nav: "senders",
    noun: "sender",
    listTitle: "Senders",
    groups,
    keyFields: ["login", "range"],
    lead: (stored) => (stored === null ? "" : "Changes hold from the next log-in on."),
    blank: (c) => ({
      domain: onlyDomain(c),
      kind: kindOf(c.req.query("kind")),
      identify_by: "authenticated-user",
      send_as: [],
      rules: [],
      enabled: true,
    }),
    fill,
    finish,
    removeWords: "From then on it can no longer send. Mail it handed in before is still delivered.",
  }),
];
