// The outgoing users: who may send through this gateway, how much of their limits is used, and who is locked.
import type { LimitUse } from "../../outgoing/outgoing.ts";
import { identityLimits } from "../../outgoing/sending-plan.ts";
import type { SendingState } from "../../outgoing/sending-state.ts";
import { enterpriseParts } from "../../policy/enterprise-mode.ts";
import { itemKey } from "../../policy/policy-document.ts";
import type { SenderSettings } from "../../policy/schema.ts";
import type { ConsoleContext } from "../console-env.ts";
import { chosenDomain, inScope, ownDomains } from "../domain-scope.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { FilterForm } from "../parts/filter-form.tsx";
import { Address } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { NoDomain } from "../parts/no-domain.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { SendingBadge } from "../parts/sending-badge.tsx";
import { MostUsedLimit } from "../parts/usage-bar.tsx";
import { forRoles, type Route } from "../route.ts";
import { counted } from "../words/amount.ts";
import { eachIdentityInWords, limitsInWords, SENDER_KINDS } from "../words/sender-words.ts";
import { identityUrl } from "./identity-address.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { kindOf, senderGroups } from "./sender-fields.ts";
import { fillSender, finishSender } from "./sender-input.ts";

const PAGE_SENDERS = 50;
const MAX_TEXT = 254;
/** Domains whose limits are named where a sender is added. */
const MOST_LIMITED = 3;

interface Line {
  readonly key: string;
  readonly sender: SenderSettings;
  readonly sending: SendingState;
  /** It is not for whoever looks to change. */
  readonly fixed: boolean;
  readonly limits: readonly LimitUse[];
  /** What holds for each of its identities, in words. */
  readonly each: string;
}

function LoginWords({ sender }: { readonly sender: SenderSettings }) {
  if (sender.kind === "ip") return <>without log-in</>;
  if (sender.verify === "mail-server") return <>the mail server’s password</>;
  return sender.password_hash === undefined ? <Badge tone="warn">no password yet</Badge> : <>own password</>;
}

const COLUMNS: readonly Column<Line>[] = [
  {
    label: "Sender",
    kind: "main",
    cell: ({ key, sender }) => (
      <>
        <a class="row-title" href={identityUrl({ sender: key, identity: null })}>
          <Address text={key} />
        </a>
        {!key.endsWith(`@${sender.domain}`) && <span class="under muted">of {sender.domain}</span>}
      </>
    ),
  },
  {
    label: "Kind",
    kind: "tight",
    extra: true,
    cell: ({ sender }) => (
      <>
        {SENDER_KINDS[sender.kind].label}
        <span class="under muted">
          <LoginWords sender={sender} />
        </span>
      </>
    ),
  },
  { label: "State", kind: "tight", cell: ({ sending }) => <SendingBadge state={sending} /> },
  {
    label: "Limits",
    kind: "wide",
    cell: ({ limits, each }) => <MostUsedLimit limits={limits} each={each} />,
  },
  {
    label: "Actions",
    kind: "actions",
    cell: ({ key, sender, fixed }) => (
      <RowLinks base="/senders" itemKey={key} fixed={fixed}>
        {(sender.kind !== "user" || sender.identify_by !== "authenticated-user") && (
          <a class="button quiet small" href={`/identities?${new URLSearchParams({ sender: key })}`}>
            <Icon name="identity" size={15} /> Identities<span class="visually-hidden"> of {key}</span>
          </a>
        )}
      </RowLinks>
    ),
  },
];

interface Asked {
  readonly q: string;
  readonly domain: string | undefined | null;
  readonly offset: number;
}

function askedFor(c: ConsoleContext): Asked {
  const offset = c.req.query("offset") ?? "";
  return {
    q: (c.req.query("q") ?? "").trim().slice(0, MAX_TEXT).toLowerCase(),
    domain: chosenDomain(ownDomains(c), (c.req.query("domain") ?? "").slice(0, MAX_TEXT)),
    offset: /^\d{1,7}$/.test(offset) ? Number(offset) : 0,
  };
}

function addressOf({ q, domain }: Asked, offset: number): string {
  const query = new URLSearchParams();
  if (q !== "") query.set("q", q);
  if (typeof domain === "string") query.set("domain", domain);
  if (offset > 0) query.set("offset", String(offset));
  return query.size === 0 ? "/senders" : `/senders?${query}`;
}

function sendersOf(c: ConsoleContext, { q, domain }: Asked): readonly SenderSettings[] {
  if (domain === null) return [];
  return c
    .get("services")
    .settings.current()
    .policy.sender.filter(
      (sender) =>
        (domain === undefined || sender.domain === domain) &&
        (q === "" || itemKey("sender", sender).includes(q) || sender.domain.includes(q)),
    );
}

function Filters(props: {
  readonly asked: Asked;
  readonly domains: readonly string[];
  readonly all: boolean;
}) {
  const { asked } = props;
  return (
    <FilterForm
      action="/senders"
      search={{
        name: "q",
        value: asked.q,
        placeholder: "Address, range or domain",
        label: "Search the senders",
      }}
    >
      <select name="domain" aria-label="Domain">
        {props.all && <option value="">All domains</option>}
        {props.domains.map((name) => (
          <option value={name} selected={name === asked.domain}>
            {name}
          </option>
        ))}
      </select>
      <button type="submit">Search</button>
    </FilterForm>
  );
}

function AddButtons({ ranges }: { readonly ranges: boolean }) {
  return (
    <>
      <a class="button quiet" href="/senders/new?kind=domain">
        {SENDER_KINDS.domain.add}
      </a>
      {ranges && (
        <a class="button quiet" href="/senders/new?kind=ip">
          {SENDER_KINDS.ip.add}
        </a>
      )}
      <a class="button" href="/senders/new?kind=user">
        <Icon name="plus" /> {SENDER_KINDS.user.add}
      </a>
    </>
  );
}

/** The senders on the page, with whether they may send and what is used of their limits. */
function linesOf(c: ConsoleContext, senders: readonly SenderSettings[]): readonly Line[] {
  const keys = senders.map((sender) => itemKey("sender", sender));
  const { outgoing, settings } = c.get("services");
  const now = outgoing.senders(keys);
  const snapshot = settings.current();
  const fixed = ownDomains(c) !== null;
  return senders.flatMap((sender, i) => {
    const [key, state] = [keys[i], now[i]];
    if (key === undefined || state === undefined) return [];
    const party = snapshot.partyOfKey(key);
    const each = party === null ? "" : eachIdentityInWords(identityLimits(party));
    return [{ key, sender, fixed: fixed && sender.kind === "ip", each, ...state }];
  });
}

async function getSenders(c: ConsoleContext): Promise<Response> {
  const scope = ownDomains(c);
  const asked = askedFor(c);
  const { policy } = c.get("services").settings.current();
  const found = sendersOf(c, asked);
  const lines = linesOf(c, found.slice(asked.offset, asked.offset + PAGE_SENDERS));
  const next = asked.offset + PAGE_SENDERS;
  const domains = scope ?? policy.domain.map(({ name }) => name);
  return consolePage(
    c,
    { title: "Senders", nav: "senders" },
    <>
      <PageHeader title="Senders" lead="Who may send through this gateway, and how much.">
        {asked.domain !== null && <AddButtons ranges={scope === null} />}
      </PageHeader>
      {asked.domain !== null && <Filters asked={asked} domains={domains} all={scope === null} />}
      <div id="results">
        {asked.domain === null ? (
          <NoDomain />
        ) : lines.length === 0 ? (
          <NoSender filtered={asked.q !== "" || (scope === null && asked.domain !== undefined)} />
        ) : (
          <>
            <p class="muted">{counted(found.length, "sender")}</p>
            <DataTable caption="Senders" columns={COLUMNS} rows={lines} rowId={({ key }) => `s-${key}`} />
            <Pagination
              shown={lines.length}
              noun="sender"
              older={next < found.length ? addressOf(asked, next) : null}
              newest={asked.offset === 0 ? null : addressOf(asked, 0)}
              labels={{ first: "First", next: "Next" }}
            />
          </>
        )}
      </div>
    </>,
  );
}

function NoSender({ filtered }: { readonly filtered: boolean }) {
  return (
    <EmptyState
      icon="sender"
      title={filtered ? "No sender fits" : "No sender yet"}
      action={{ href: "/senders/new?kind=user", label: filtered ? "Add user" : "Add the first user" }}
    >
      Users log in to send; address ranges may send without. Trusted networks are in the settings.
    </EmptyState>
  );
}

function EditLead({ sender }: { readonly sender: string }) {
  return (
    <>
      Limits and locks hold at once, also on open connections; the rest from the next transaction on. What it
      does: <a href={identityUrl({ sender, identity: null })}>volume and locks</a>,{" "}
      <a href={`/identities?${new URLSearchParams({ sender })}`}>identities</a>.
    </>
  );
}

/** What else a new sender meets: the limits of the domains it can belong to. */
function alsoLimited(c: ConsoleContext): string {
  const scope = ownDomains(c);
  const { policy } = c.get("services").settings.current();
  const limited = policy.domain.filter(
    ({ name, outgoing }) => inScope(scope, name) && enterpriseParts(outgoing).limitIdentities,
  );
  if (limited.length === 0) return "nothing else is limited";
  const words = limited
    .slice(0, MOST_LIMITED)
    .map(({ name, outgoing }) => `in ${name} each identity has ${limitsInWords(outgoing.default_limits)}`);
  const more = limited.length - words.length;
  if (more > 0) words.push(`${counted(more, "more domain")} limit identities too`);
  return words.join("; ");
}

/** The domain a new sender will belong to when there is just one to choose from. */
function onlyDomain(c: ConsoleContext): string {
  const domains =
    ownDomains(c) ??
    c
      .get("services")
      .settings.current()
      .policy.domain.map(({ name }) => name);
  return domains.length === 1 ? (domains[0] ?? "") : "";
}

const keepers = forRoles("administrator", "domain-administrator");

export const senderRoutes: readonly Route[] = [
  keepers.get("/senders", getSenders),
  ...itemRoutes({
    section: "sender",
    base: "/senders",
    nav: "senders",
    noun: "sender",
    listTitle: "Senders",
    routes: keepers,
    visible: (c, item) => inScope(ownDomains(c), String(Reflect.get(item, "domain"))),
    refuse: (c, item) =>
      ownDomains(c) !== null && Reflect.get(item, "kind") === "ip"
        ? "Address ranges are added, changed and removed by an administrator of the gateway."
        : null,
    configure: "Add & configure",
    groups: senderGroups,
    keyFields: ["login", "range"],
    lead: (stored, c) =>
      stored === null ? (
        `This is all it needs. Identities that send spam are locked by themselves; ${alsoLimited(c)}.`
      ) : (
        <EditLead sender={itemKey("sender", stored)} />
      ),
    blank: (c) => ({ domain: onlyDomain(c), kind: kindOf(c, null), enabled: true }),
    fill: fillSender,
    finish: finishSender,
    removeWords: "From then on it can no longer send. Mail it handed in before is still delivered.",
  }),
];
