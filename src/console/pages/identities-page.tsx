// Who is behind the senders: every identity with its traffic of the last day and its lock, newest first.
import type { IdentitySummary } from "../../outgoing/outgoing.ts";
import { itemKey } from "../../policy/policy-document.ts";
import type { ConsoleContext } from "../console-env.ts";
import { chosenDomain, inScope, ownDomains } from "../domain-scope.ts";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { FilterForm } from "../parts/filter-form.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { liveRegion } from "../parts/live.ts";
import { Moment } from "../parts/moment.tsx";
import { NoDomain } from "../parts/no-domain.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { SendingBadge } from "../parts/sending-badge.tsx";
import { forRoles, type Route } from "../route.ts";
import { count, counted } from "../words/amount.ts";
import { identityUrl } from "./identity-address.ts";

const PAGE_IDENTITIES = 50;
const MAX_TEXT = 254;
const MAX_SENDERS = 500;

interface Asked {
  readonly q: string;
  readonly sender: string;
  readonly domain: string | undefined | null;
  readonly locked: boolean;
  readonly offset: number;
}

function askedFor(c: ConsoleContext): Asked {
  const read = (name: string) => (c.req.query(name) ?? "").trim().slice(0, MAX_TEXT);
  const offset = read("offset");
  return {
    q: read("q"),
    sender: read("sender"),
    domain: chosenDomain(ownDomains(c), read("domain")),
    locked: read("locked") === "yes",
    offset: /^\d{1,7}$/.test(offset) ? Number(offset) : 0,
  };
}

function addressOf({ q, sender, domain, locked }: Asked, offset: number): string {
  const query = new URLSearchParams();
  if (q !== "") query.set("q", q);
  if (sender !== "") query.set("sender", sender);
  if (typeof domain === "string") query.set("domain", domain);
  if (locked) query.set("locked", "yes");
  if (offset > 0) query.set("offset", String(offset));
  return query.size === 0 ? "/identities" : `/identities?${query}`;
}

function Who({ line }: { readonly line: IdentitySummary }) {
  const { sender, name } = line;
  const whole = name === "";
  return (
    <div class="log-message">
      <a class="log-subject" href={identityUrl({ sender, identity: whole ? null : name })}>
        <Foreign text={whole ? sender : name} max={90} />
      </a>
      {whole ? (
        <div class="log-route">the whole sender</div>
      ) : (
        name !== sender && (
          <div class="log-route">
            by <Address text={sender} />
          </div>
        )
      )}
    </div>
  );
}

const COLUMNS: readonly Column<IdentitySummary>[] = [
  { label: "Identity", kind: "main", cell: (one) => <Who line={one} /> },
  { label: "State", kind: "tight", cell: ({ sending }) => <SendingBadge state={sending} /> },
  { label: "Messages", kind: "number", cell: (one) => count(one.messagesDay) },
  { label: "Recipients", kind: "number", cell: (one) => count(one.recipientsDay) },
  {
    label: "Spam",
    kind: "number",
    cell: (one) => (one.spamDay === 0 ? <span class="muted">0</span> : <strong>{count(one.spamDay)}</strong>),
  },
  {
    label: "Domain",
    kind: "tight",
    extra: true,
    cell: ({ domain }) => (domain === "" ? <span class="muted">none</span> : domain),
  },
  { label: "Last sent", kind: "tight", cell: (one) => <Moment at={one.lastSeen} /> },
];

function Filters(props: {
  readonly asked: Asked;
  readonly senders: readonly string[];
  readonly domains: readonly string[];
  readonly all: boolean;
}) {
  const { asked } = props;
  return (
    <FilterForm
      action="/identities"
      search={{
        name: "q",
        value: asked.q,
        placeholder: "Part of the identity",
        label: "Search the identities",
      }}
    >
      <input
        name="sender"
        class="medium"
        value={asked.sender}
        placeholder="Sender"
        aria-label="Sender"
        list="sender-names"
        autocomplete="off"
      />
      <datalist id="sender-names">
        {props.senders.slice(0, MAX_SENDERS).map((key) => (
          <option value={key} />
        ))}
      </datalist>
      <select name="domain" aria-label="Domain">
        {props.all && <option value="">All domains</option>}
        {props.domains.map((name) => (
          <option value={name} selected={name === asked.domain}>
            {name}
          </option>
        ))}
      </select>
      <select name="locked" aria-label="State">
        <option value="">Locked or not</option>
        <option value="yes" selected={asked.locked}>
          Locked
        </option>
      </select>
      <button type="submit">Search</button>
    </FilterForm>
  );
}

async function identitiesOf(
  c: ConsoleContext,
  asked: Asked,
): Promise<{ readonly items: readonly IdentitySummary[]; readonly total: number }> {
  if (asked.domain === null) return { items: [], total: 0 };
  const scope = ownDomains(c);
  const found = await c.get("services").outgoing.identities({
    limit: PAGE_IDENTITIES,
    offset: asked.offset,
    ...(asked.domain === undefined ? {} : { domain: asked.domain }),
    ...(asked.sender === "" ? {} : { sender: asked.sender }),
    ...(asked.q === "" ? {} : { search: asked.q }),
    // A sender that is locked as a whole belongs to what is locked; else this page is about who is behind the senders.
    ...(asked.locked ? { locked: true } : { only: "identities" as const }),
  });
  return { items: found.items.filter((one) => inScope(scope, one.domain)), total: found.total };
}

async function getIdentities(c: ConsoleContext): Promise<Response> {
  const scope = ownDomains(c);
  const asked = askedFor(c);
  const { policy } = c.get("services").settings.current();
  const { items, total } = await identitiesOf(c, asked);
  const next = asked.offset + PAGE_IDENTITIES;
  const filtered =
    asked.q !== "" || asked.sender !== "" || asked.locked || (scope === null && asked.domain !== undefined);
  const url = addressOf(asked, asked.offset);
  return consolePage(
    c,
    { title: "Identities", nav: "identities" },
    <>
      <PageHeader
        title="Identities"
        lead="Who is behind what is sent. Each one is counted, limited and locked apart from all others."
      />
      {asked.domain !== null && (
        <Filters
          asked={asked}
          senders={policy.sender
            .filter((one) => inScope(scope, one.domain))
            .map((one) => itemKey("sender", one))}
          domains={scope ?? policy.domain.map(({ name }) => name)}
          all={scope === null}
        />
      )}
      <div {...liveRegion({ id: "results", url, seconds: 10 })}>
        {asked.domain === null ? (
          <NoDomain />
        ) : items.length === 0 ? (
          <EmptyState icon="identity" title={filtered ? "No identity fits" : "No identity yet"}>
            {asked.locked ? "Nobody is locked who fits." : "An identity appears here with its first message."}
          </EmptyState>
        ) : (
          <>
            <p class="muted">
              {counted(total, "identity", "identities")}, last seen first; figures of the last 24 hours
            </p>
            <DataTable
              caption="Identities, last seen first"
              columns={COLUMNS}
              rows={items}
              rowId={(one) => `i-${encodeURIComponent(one.sender)}-${encodeURIComponent(one.name)}`}
            />
            <Pagination
              shown={items.length}
              noun="line"
              older={next < total ? addressOf(asked, next) : null}
              newest={asked.offset === 0 ? null : addressOf(asked, 0)}
              labels={{ first: "First", next: "Next" }}
            />
          </>
        )}
      </div>
    </>,
  );
}

export const identitiesRoutes: readonly Route[] = [
  forRoles("administrator", "domain-administrator").get("/identities", getIdentities),
];
