// The message log: every message, searchable, newest first, refreshing itself while it is looked at.
import type { LogFilter } from "../../store/message-log.ts";
import type { ConsoleContext } from "../console-env.ts";
import { chosenDomain, ownDomains } from "../domain-scope.ts";
import { consolePage, zoneOf } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { FilterForm } from "../parts/filter-form.tsx";
import { liveRegion } from "../parts/live.ts";
import { LogTable } from "../parts/log-table.tsx";
import { NoDomain } from "../parts/no-domain.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { forRoles, type Route } from "../route.ts";
import { isRecipientState, RECIPIENT_STATES, STATE_ORDER } from "../words/state.ts";
import { fromLocalField } from "../words/time.ts";

const PAGE_LINES = 50;
const MAX_TEXT = 200;
const FIELDS = [
  "q",
  "state",
  "rule",
  "sender",
  "recipient",
  "client",
  "server",
  "reply",
  "domain",
  "since",
  "until",
] as const;
type FieldName = (typeof FIELDS)[number];
type Typed = Readonly<Record<FieldName, string>>;

function typedIn(c: ConsoleContext): Typed {
  const read = (name: FieldName) => (c.req.query(name) ?? "").trim().slice(0, MAX_TEXT);
  return {
    q: read("q"),
    state: read("state"),
    rule: read("rule"),
    sender: read("sender"),
    recipient: read("recipient"),
    client: read("client"),
    server: read("server"),
    reply: read("reply"),
    domain: read("domain"),
    since: read("since"),
    until: read("until"),
  };
}

/** `domain`: undefined for all domains, which administrators alone see. */
function filterOf(typed: Typed, zone: string, before: string, domain: string | undefined): LogFilter {
  const since = fromLocalField(typed.since, zone);
  const until = fromLocalField(typed.until, zone);
  return {
    limit: PAGE_LINES + 1,
    ...(typed.q === "" ? {} : { text: typed.q }),
    ...(isRecipientState(typed.state) ? { state: typed.state } : {}),
    ...(typed.rule === "" ? {} : { rule: typed.rule }),
    ...(typed.sender === "" ? {} : { sender: typed.sender }),
    ...(typed.recipient === "" ? {} : { recipient: typed.recipient }),
    ...(typed.client === "" ? {} : { client: typed.client }),
    ...(typed.server === "" ? {} : { server: typed.server }),
    ...(typed.reply === "" ? {} : { reply: typed.reply }),
    ...(domain === undefined ? {} : { domain }),
    ...(since === null ? {} : { since }),
    ...(until === null ? {} : { until }),
    ...(before === "" ? {} : { before }),
  };
}

function addressOf(typed: Typed, before: string | null): string {
  const query = new URLSearchParams();
  for (const name of FIELDS) if (typed[name] !== "") query.set(name, typed[name]);
  if (before !== null) query.set("before", before);
  return query.size === 0 ? "/messages" : `/messages?${query}`;
}

function Filters({ typed, domains }: { readonly typed: Typed; readonly domains: readonly string[] | null }) {
  const { rule, sender, recipient, client, server, reply, since, until } = typed;
  const more = rule + sender + recipient + client + server + reply + since + until !== "";
  return (
    <FilterForm
      action="/messages"
      search={{
        name: "q",
        value: typed.q,
        placeholder: "Address, domain, client, mail server, or words of subject or reply",
        label: "Search the message log",
      }}
      more={
        <details class="filter-more" open={more}>
          <summary>More filters</summary>
          <div class="filter-grid">
            <label>
              Sender <input name="sender" value={typed.sender} placeholder="name@example.org" />
            </label>
            <label>
              Recipient <input name="recipient" value={typed.recipient} placeholder="name@example.org" />
            </label>
            <label>
              Client <input name="client" value={typed.client} placeholder="203.0.113.7 or 203.0.113.0/24" />
            </label>
            <label>
              Mail server <input name="server" value={typed.server} placeholder="mx1.example.org or its IP" />
            </label>
            <label>
              Words of a reply{" "}
              <input name="reply" value={typed.reply} placeholder="554 5.7.1, user unknown" />
            </label>
            <label>
              Rule <input name="rule" value={typed.rule} placeholder="virus" />
            </label>
            <label>
              From <input name="since" type="datetime-local" value={typed.since} />
            </label>
            <label>
              Until <input name="until" type="datetime-local" value={typed.until} />
            </label>
            <a class="button quiet" href="/messages">
              Clear
            </a>
          </div>
        </details>
      }
    >
      {domains !== null && (
        <select name="domain" aria-label="Domain">
          {domains.map((name) => (
            <option value={name} selected={name === typed.domain}>
              {name}
            </option>
          ))}
        </select>
      )}
      <select name="state" aria-label="State">
        <option value="">All states</option>
        {STATE_ORDER.map((state) => (
          <option value={state} selected={state === typed.state}>
            {RECIPIENT_STATES[state].label}
          </option>
        ))}
      </select>
      <button type="submit">Search</button>
    </FilterForm>
  );
}

async function getMessages(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  const scope = ownDomains(c);
  const asked = typedIn(c);
  const domain = chosenDomain(scope, asked.domain);
  // A domain administrator always looks at one of the own domains, whatever the address bar says.
  const typed = { ...asked, domain: domain ?? "" };
  const before = (c.req.query("before") ?? "").slice(0, 64);
  const found =
    domain === null
      ? { lines: [], cutAt: null }
      : await services.messageLog.find(filterOf(typed, zoneOf(c), before, domain));
  const lines = found.lines.slice(0, PAGE_LINES);
  const hasMore = found.lines.length > PAGE_LINES;
  const older = hasMore ? addressOf(typed, lines.at(-1)?.id ?? null) : null;
  // The log is large and the search ran out of time: it goes on from there.
  const further = hasMore || found.cutAt === null ? null : addressOf(typed, found.cutAt);
  const newest = addressOf(typed, null);
  const region = before === "" ? liveRegion({ id: "results", url: newest, seconds: 5 }) : { id: "results" };
  return consolePage(
    c,
    { title: "Message log", nav: "messages" },
    <>
      <PageHeader
        title="Message log"
        lead="Every message that came to the gateway, and why it went where it went."
      >
        {before === "" && (
          <span class="live-mark" title="New messages appear by themselves">
            <span class="live-dot" aria-hidden="true" /> Live
          </span>
        )}
      </PageHeader>
      {domain !== null && <Filters typed={typed} domains={scope} />}
      <div {...region}>
        {domain === null ? (
          <NoDomain />
        ) : lines.length === 0 ? (
          <NothingFound filtered={newest !== "/messages"} all={scope === null} further={further} />
        ) : (
          <>
            <LogTable lines={lines} />
            <Pagination
              shown={lines.length}
              noun="message"
              older={older ?? further}
              newest={before === "" ? null : newest}
              {...(further === null ? {} : { labels: { first: "Newest", next: "Search further back" } })}
            />
          </>
        )}
      </div>
    </>,
  );
}

function NothingFound(props: {
  readonly filtered: boolean;
  readonly all: boolean;
  /** Where the search goes on, when it ran out of time. */
  readonly further: string | null;
}) {
  const { filtered, all, further } = props;
  if (further !== null) {
    return (
      <EmptyState
        icon="search"
        title="Nothing found so far"
        action={{ href: further, label: "Search further back" }}
      >
        The log is large: the search stopped after a second, and older messages were not looked at yet. A mail
        address or client IP in full, or a time, makes it quicker.
      </EmptyState>
    );
  }
  return filtered ? (
    <EmptyState
      icon="search"
      title="No message fits"
      action={{ href: "/messages", label: "Clear the filters" }}
    >
      All of the log was looked at. Words are looked for in subjects, addresses, mail servers and replies, and
      each must be there: try fewer of them, other filters, or a longer time.
    </EmptyState>
  ) : (
    <EmptyState
      icon="mail"
      title="No mail yet"
      {...(all ? { action: { href: "/domains", label: "Look at the domains" } } : {})}
    >
      Send a message through one of the listeners; it appears here within seconds.
    </EmptyState>
  );
}

export const messageLogRoutes: readonly Route[] = [
  forRoles("administrator", "domain-administrator").get("/messages", getMessages),
];
