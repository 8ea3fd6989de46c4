// The relay domains: whom we receive for, where their mail goes, which recipients exist, which rules hold.
import { itemKey } from "../../policy/policy-document.ts";
import { type DomainSettings, domainSchema } from "../../policy/schema.ts";
import { DEFAULT_RULES } from "../../rules/shipped-rules.ts";
import { alarmsByDomain, alarmsOfDomain, type DomainPart } from "../alarm-places.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { inScope, ownDomains } from "../domain-scope.ts";
import type { FieldGroup, Option } from "../forms/field.ts";
import { AlarmNotices, AlarmState } from "../parts/alarm-state.tsx";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Icon } from "../parts/icon.tsx";
import { NoDomain } from "../parts/no-domain.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forRoles, type Route } from "../route.ts";
import type { Alarm } from "../services.ts";
import { counted } from "../words/amount.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { ruleChoices } from "./rule-choices.ts";

const WHEN_DOWN: readonly Option[] = [
  { value: "tempfail", label: "Put the mail off: the sender tries again (450)" },
  { value: "accept", label: "Take the mail and keep it until the server answers" },
];

const VERIFY: readonly Option[] = [
  { value: "callout", label: "Ask the mail server (call-out)" },
  { value: "list", label: "By the list below" },
  { value: "ldap", label: "By LDAP or Active Directory" },
  { value: "catch-all", label: "Take every address" },
];

export const TLS_POLICIES: readonly Option[] = [
  { value: "opportunistic", label: "When offered" },
  { value: "required", label: "Required" },
  { value: "verified", label: "Required, certificate verified" },
  { value: "implicit", label: "From the first byte (implicit)" },
  { value: "none", label: "Never" },
];

function groups(c: ConsoleContext): readonly FieldGroup[] {
  return [
    {
      title: "Domain",
      fields: [
        {
          kind: "text",
          name: "name",
          label: "Domain name",
          placeholder: "example.org",
          help: "The part after the @. Umlauts and other scripts are fine.",
        },
        {
          kind: "switch",
          name: "enabled",
          label: "Receive and send mail for this domain",
          help: "Off: its mail is refused, and its senders can neither log in nor send.",
        },
      ],
    },
    {
      title: "Mail servers",
      help: "Where mail for this domain is delivered. Lower priority first; equal ones share the load.",
      fields: [
        {
          kind: "rows",
          name: "routes",
          label: "Routes",
          add: "Add a server",
          columns: [
            { kind: "text", name: "host", label: "Host or address", placeholder: "mail.example.org" },
            { kind: "number", name: "port", label: "Port", placeholder: "25", optional: true },
            { kind: "number", name: "priority", label: "Priority", placeholder: "10", optional: true },
            { kind: "choice", name: "tls", label: "Encryption", options: TLS_POLICIES },
          ],
        },
      ],
    },
    {
      title: "Recipients",
      help: "Mail for addresses that do not exist is refused at once, so nobody gets a bounce for forged mail.",
      fields: [
        { kind: "choice", name: "recipients.verify", label: "How recipients are checked", options: VERIFY },
        {
          kind: "lines",
          name: "recipients.list",
          label: "Known addresses",
          rows: 4,
          placeholder: "info@example.org\nsales@example.org",
          help: "One per line; used when recipients are checked by the list.",
        },
        {
          kind: "text",
          name: "recipient_delimiter",
          label: "Tag in addresses begins with",
          placeholder: "+",
          help: "With + mail for info+orders@ is taken when info@ is known, and alice may send as alice+orders@. Empty: no tags.",
        },
        {
          kind: "duration",
          name: "recipients.cache",
          label: "Remember answers for",
          help: "Like 30s, 10m, 4h or 5d. 0s: switched off, each is asked for anew.",
        },
        {
          kind: "choice",
          name: "recipients.when_down",
          label: "While the mail server gives no clear answer",
          options: WHEN_DOWN,
          help: "For recipients it has not confirmed in the last weeks; those it has are always taken.",
        },
        {
          kind: "switch",
          name: "cut_through",
          label: "Answer with the mail server's own word",
          help: "A sender from outside waits a few seconds until the mail server has taken or refused the message, and hears that. Off: mail is kept first; so it is where the recipients differ in mail server or verdict, and while that server has no place free or is known to be away.",
        },
      ],
    },
    {
      title: "Rules",
      folded: true,
      help: "What is done with mail for this domain; rules that always hold are not listed",
      fields: [
        {
          kind: "choice",
          name: "rules_from",
          label: "Rules of this domain",
          options: [
            { value: "default", label: `The shipped set: ${DEFAULT_RULES.join(", ")}` },
            { value: "chosen", label: "Those ticked below" },
          ],
        },
        {
          kind: "choices",
          name: "rules",
          label: "Switched on",
          options: ruleChoices(c.get("services").settings.current().policy),
        },
      ],
    },
  ];
}

function rulesOf(item: object): readonly string[] | null {
  const rules: unknown = Reflect.get(item, "rules");
  return Array.isArray(rules) ? rules.map(String) : null;
}

const VERIFY_WORDS: Readonly<Record<DomainSettings["recipients"]["verify"], string>> = {
  callout: "asked of the mail server",
  list: "by list",
  ldap: "by LDAP",
  "catch-all": "every address",
};

function urlOf(domain: DomainSettings, rest: string): string {
  return `/domains/${encodeURIComponent(domain.name)}/${rest}`;
}

function OutgoingState(row: Row) {
  const { domain } = row;
  const { barred, enterprise } = domain.outgoing;
  return (
    <>
      <span class="links">
        <a href={urlOf(domain, "outgoing")}>
          Settings<span class="visually-hidden"> for outgoing mail of {domain.name}</span>
        </a>
        <a href={urlOf(domain, "dkim")}>
          DKIM<span class="visually-hidden"> keys of {domain.name}</span>
        </a>
        <a href={`/senders?${new URLSearchParams({ domain: domain.name })}`}>
          Senders<span class="visually-hidden"> of {domain.name}</span>
        </a>
      </span>
      {barred && <Badge tone="bad">Barred</Badge>}
      {!barred && enterprise && <span class="under muted">enterprise mode</span>}
      <Trouble row={row} part="outgoing" />
      <Trouble row={row} part="dkim" />
    </>
  );
}

interface Row {
  readonly domain: DomainSettings;
  /** The alarms that stand for a part of it. */
  readonly troubles: (part: DomainPart) => readonly Alarm[];
}

function rowsOf(c: ConsoleContext, domains: readonly DomainSettings[]): readonly Row[] {
  const { settings, alarms } = c.get("services");
  const standing = alarmsByDomain(alarms(), settings.current().policy);
  return domains.map((domain) => ({
    domain,
    troubles: (part) => standing({ domain: domain.name, part }),
  }));
}

function Trouble({ row: { domain, troubles }, part }: { readonly row: Row; readonly part: DomainPart }) {
  if (!domain.enabled) return null;
  return (
    <>
      {troubles(part).map((alarm) => (
        <AlarmState label="Trouble" alarm={alarm} places={[]} />
      ))}
    </>
  );
}

function MailServers({ domain }: Row) {
  if (domain.routes.length === 0) return <Badge tone="warn">None</Badge>;
  return (
    <ul class="plain-list">
      {domain.routes.map((route) => (
        <li>
          <span class="mono">
            {route.host}:{route.port}
          </span>{" "}
          <span class="muted">
            {route.priority}, TLS {route.tls}
          </span>
        </li>
      ))}
    </ul>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  {
    label: "State",
    kind: "tight",
    cell: ({ domain }) => (domain.enabled ? <Badge tone="good">On</Badge> : <Badge tone="quiet">Off</Badge>),
  },
  {
    label: "Mail servers",
    cell: (row) => (
      <>
        <MailServers {...row} />
        <Trouble row={row} part="edit" />
      </>
    ),
  },
  {
    label: "Recipients",
    extra: true,
    cell: ({ domain }) =>
      domain.recipients.verify === "list"
        ? counted(domain.recipients.list.length, "address", "addresses")
        : VERIFY_WORDS[domain.recipients.verify],
  },
  {
    label: "Rules",
    extra: true,
    cell: ({ domain }) => (
      <span class="badges">
        {domain.rules === null ? (
          <span class="muted">shipped set</span>
        ) : (
          domain.rules.map((rule) => <code class="chip">{rule}</code>)
        )}
      </span>
    ),
  },
  { label: "Outgoing mail", kind: "tight", cell: (row) => <OutgoingState {...row} /> },
];

/** Domain administrators see their own domains; what they may change is on the page for outgoing mail. */
function columnsFor(administrator: boolean): readonly Column<Row>[] {
  const name: Column<Row> = {
    label: "Domain",
    kind: "main",
    cell: ({ domain }) => (
      <a class="row-title" href={urlOf(domain, administrator ? "edit" : "outgoing")}>
        {domain.name}
      </a>
    ),
  };
  const actions: Column<Row> = {
    label: "Actions",
    kind: "actions",
    cell: ({ domain }) => <RowLinks base="/domains" itemKey={domain.name} />,
  };
  return administrator ? [name, ...COLUMNS, actions] : [name, ...COLUMNS];
}

function EditLead({ name }: { readonly name: string }) {
  const url = `/domains/${encodeURIComponent(name)}`;
  return (
    <>
      Changes hold from the next message on. What it sends: <a href={`${url}/outgoing`}>outgoing mail</a>,{" "}
      <a href={`${url}/dkim`}>DKIM keys</a>.
    </>
  );
}

function getDomains(c: ConsoleContext): Promise<Response> {
  const administrator = accountOf(c).role === "administrator";
  const scope = ownDomains(c);
  const domain = c
    .get("services")
    .settings.current()
    .policy.domain.filter((one) => inScope(scope, one.name));
  return consolePage(
    c,
    { title: "Domains", nav: "domains" },
    <>
      <PageHeader
        title="Domains"
        lead={
          administrator
            ? "The domains this gateway receives mail for. Mail for any other domain from outside is refused."
            : "Your domains, and what holds for the mail they send."
        }
      >
        {administrator && (
          <a class="button" href="/domains/new">
            <Icon name="plus" /> Add domain
          </a>
        )}
      </PageHeader>
      {domain.length === 0 && !administrator ? (
        <NoDomain />
      ) : domain.length === 0 ? (
        <EmptyState
          icon="domain"
          title="No domain yet"
          action={{ href: "/domains/new", label: "Add your first domain" }}
        >
          Name the domain and its mail server; then point the domain’s MX record at this gateway.
        </EmptyState>
      ) : (
        <DataTable
          caption="Domains"
          columns={columnsFor(administrator)}
          rows={rowsOf(c, domain)}
          rowId={(row) => `d-${row.domain.name}`}
        />
      )}
    </>,
  );
}

export const domainRoutes: readonly Route[] = [
  forRoles("administrator", "domain-administrator").get("/domains", getDomains),
  ...itemRoutes({
    section: "domain",
    base: "/domains",
    nav: "domains",
    noun: "domain",
    listTitle: "Domains",
    groups,
    keyFields: ["name"],
    blank: () => ({ ...domainSchema.parse({ name: "example.test" }), name: "" }),
    fill(form, item) {
      const rules = rulesOf(item);
      form.set("rules_from", rules === null ? "default" : "chosen");
      if (rules === null) for (const name of DEFAULT_RULES) form.append("rules", name);
    },
    finish(input) {
      if (input.rules_from !== "chosen") input.rules = null;
      delete input.rules_from;
      return [];
    },
    lead: (stored) =>
      stored === null ? (
        "Mail for this domain will be taken in, checked and delivered to its mail servers."
      ) : (
        <EditLead name={itemKey("domain", stored)} />
      ),
    state: (c, item) => {
      const key = { domain: itemKey("domain", item), part: "edit" } as const;
      const { settings, alarms } = c.get("services");
      return <AlarmNotices alarms={alarmsOfDomain(alarms(), settings.current().policy, key)} />;
    },
    removeWords:
      "From then on mail for it is refused, its people can no longer log in to send, and who of other domains may send in its name (send as, address ranges that write for it) may not any more. Its messages stay in the log and the quarantine.",
  }),
];
