// The quarantine as a list: filter, release or delete one or many.
import type { QuarantineFilter, QuarantineItem } from "../../store/quarantine-item.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { Badge, RuleName } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { cursorOf, cursorText, deleteItem, itemOf, releaseItem } from "../quarantine-actions.ts";
import { forRoles, type Route } from "../route.ts";
import { bytesInWords, counted } from "../words/amount.ts";
import type { Tone } from "../words/state.ts";
import { errorPage } from "./error-page.tsx";

const PAGE_ITEMS = 50;
const MAX_BULK = 200;
const MAX_TEXT = 254;

type ItemState = QuarantineItem["state"];

export const ITEM_STATES: Readonly<Record<ItemState, { readonly label: string; readonly tone: Tone }>> = {
  kept: { label: "Kept", tone: "warn" },
  released: { label: "Released", tone: "good" },
  deleted: { label: "Deleted", tone: "quiet" },
  expired: { label: "Expired", tone: "quiet" },
};

function isItemState(text: string): text is ItemState {
  return Object.hasOwn(ITEM_STATES, text);
}

interface Typed {
  readonly recipient: string;
  readonly domain: string;
  readonly rule: string;
  readonly state: string;
}

function typedIn(c: ConsoleContext): Typed {
  const read = (name: string) => (c.req.query(name) ?? "").trim().slice(0, MAX_TEXT);
  const domain = read("domain").toLowerCase();
  const account = accountOf(c);
  const own = account.role === "administrator" || account.domains.includes(domain);
  return {
    recipient: read("recipient"),
    // A domain administrator always looks at one of the own domains, whatever the address bar says.
    domain: own ? domain : (account.domains[0] ?? ""),
    rule: read("rule"),
    state: c.req.query("state") === undefined ? "kept" : read("state"),
  };
}

function filterOf(typed: Typed, before: QuarantineFilter["before"]): QuarantineFilter {
  return {
    limit: PAGE_ITEMS + 1,
    ...(typed.recipient === "" ? {} : { recipient: typed.recipient }),
    ...(typed.domain === "" ? {} : { domain: typed.domain }),
    ...(typed.rule === "" ? {} : { rule: typed.rule }),
    ...(isItemState(typed.state) ? { state: typed.state } : {}),
    ...(before === undefined ? {} : { before }),
  };
}

function addressOf(typed: Typed, before: QuarantineItem | null): string {
  const query = new URLSearchParams({ state: typed.state });
  for (const name of ["recipient", "domain", "rule"] as const)
    if (typed[name] !== "") query.set(name, typed[name]);
  if (before !== null) query.set("before", cursorText(before));
  return `/quarantine?${query}`;
}

function Filters({ typed, domains }: { readonly typed: Typed; readonly domains: readonly string[] | null }) {
  return (
    <search>
      <form
        class="filters"
        method="get"
        action="/quarantine"
        hx-get="/quarantine"
        hx-trigger="submit, change, input changed delay:350ms from:#recipient"
        hx-target="#results"
        hx-select="#results"
        hx-swap="outerHTML"
        hx-replace-url="true"
        hx-indicator="#progress"
        hx-sync="this:replace"
      >
        <div class="filter-main">
          <div class="search-field">
            <Icon name="search" />
            <input
              id="recipient"
              name="recipient"
              type="search"
              value={typed.recipient}
              placeholder="Recipient’s address"
              aria-label="Recipient"
              data-shortcut="/"
            />
          </div>
          {domains !== null && (
            <select name="domain" aria-label="Domain">
              {domains.map((domain) => (
                <option value={domain} selected={domain === typed.domain}>
                  {domain}
                </option>
              ))}
            </select>
          )}
          <input name="rule" value={typed.rule} placeholder="Rule" aria-label="Rule" class="short" />
          <select name="state" aria-label="State">
            {Object.entries(ITEM_STATES).map(([state, words]) => (
              <option value={state} selected={state === typed.state}>
                {words.label}
              </option>
            ))}
            <option value="" selected={typed.state === ""}>
              All
            </option>
          </select>
          <button type="submit">Search</button>
        </div>
      </form>
    </search>
  );
}

function Subject({ item }: { readonly item: QuarantineItem }) {
  return (
    <div class="log-message">
      <a class="log-subject" href={`/quarantine/${encodeURIComponent(item.id)}`}>
        <Foreign text={item.subject} max={110} empty="(no subject)" />
      </a>
      <div class="log-route">
        <Foreign text={item.headerFrom === "" ? item.reversePath : item.headerFrom} max={60} empty="<>" />{" "}
        <span aria-hidden="true">→</span>
        <span class="visually-hidden"> to </span> <Address text={item.recipient} max={48} />
      </div>
    </div>
  );
}

const COLUMNS: readonly Column<QuarantineItem>[] = [
  {
    label: "Select",
    kind: "select",
    cell: (item) =>
      item.state === "kept" ? (
        <input
          type="checkbox"
          name="id"
          value={item.id}
          id={`c-${item.id}`}
          aria-label={`Select the message for ${item.recipient.slice(0, 80)}`}
        />
      ) : null,
  },
  { label: "Received", kind: "tight", cell: (item) => <Moment at={item.receivedAt} /> },
  { label: "Message", kind: "main", cell: (item) => <Subject item={item} /> },
  {
    label: "Why",
    cell: (item) => (
      <div class="why-cell">
        <RuleName name={item.rule} />
        <span class="muted">
          <Foreign text={item.words} max={120} />
        </span>
      </div>
    ),
  },
  { label: "Size", kind: "number", extra: true, cell: (item) => bytesInWords(item.size) },
  {
    label: "State",
    kind: "tight",
    cell: (item) => (
      <>
        <Badge tone={ITEM_STATES[item.state].tone}>{ITEM_STATES[item.state].label}</Badge>
        {item.state === "kept" && (
          <span class="under muted">
            until <Moment at={item.expiresAt} />
          </span>
        )}
      </>
    ),
  },
  {
    label: "Actions",
    kind: "actions",
    cell: (item) =>
      item.state === "kept" ? (
        <button
          type="submit"
          class="quiet small"
          formaction={`/quarantine/${encodeURIComponent(item.id)}/release`}
          title={`Deliver to ${item.recipient.slice(0, 80)}`}
        >
          <Icon name="release" size={15} /> Release
        </button>
      ) : null,
  },
];

async function getQuarantine(c: ConsoleContext): Promise<Response> {
  const typed = typedIn(c);
  const account = accountOf(c);
  const before = cursorOf(c.req.query("before") ?? "");
  const mine = account.role === "administrator" || account.domains.length > 0;
  const found = mine ? await c.get("services").quarantine.list(filterOf(typed, before)) : [];
  const items = found.slice(0, PAGE_ITEMS);
  const older = found.length > PAGE_ITEMS ? addressOf(typed, items.at(-1) ?? null) : null;
  const newest = before === undefined ? null : addressOf(typed, null);
  return consolePage(
    c,
    { title: "Quarantine", nav: "quarantine" },
    <>
      <PageHeader
        title="Quarantine"
        lead="Messages set aside whole. Released ones are delivered as they came; the rest is deleted when its time is up."
      />
      <Filters typed={typed} domains={account.role === "administrator" ? null : account.domains} />
      <div id="results">
        {items.length === 0 ? (
          <EmptyState
            icon="quarantine"
            title={typed.state === "kept" ? "The quarantine is empty" : "Nothing fits"}
          >
            Messages come here when a rule with the action “quarantine” matches. The rules page says which do.
          </EmptyState>
        ) : (
          <form method="post" action="/quarantine/bulk" class="bulk">
            <div class="bulk-bar">
              <label class="check">
                <input type="checkbox" data-select-all="id" /> <span>All on this page</span>
              </label>
              <span class="bulk-count muted" data-selected-count="id" aria-live="polite" />
              <button type="submit" name="action" value="release" class="quiet">
                <Icon name="release" /> Release
              </button>
              <button type="submit" name="action" value="delete" class="quiet danger-text">
                <Icon name="trash" /> Delete…
              </button>
            </div>
            <DataTable
              caption="Quarantined messages, newest first"
              columns={COLUMNS}
              rows={items}
              rowId={(item) => `q-${item.id}`}
            />
            <Pagination shown={items.length} noun="message" older={older} newest={newest} />
          </form>
        )}
      </div>
    </>,
  );
}

async function chosenItems(c: ConsoleContext): Promise<readonly QuarantineItem[]> {
  const ids = [...new Set(c.get("form").getAll("id"))].slice(0, MAX_BULK);
  const items: QuarantineItem[] = [];
  for (const id of ids) {
    const item = await itemOf(c, id);
    if (item !== null) items.push(item);
  }
  return items;
}

async function postBulk(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const action = form.get("action");
  const items = await chosenItems(c);
  if (items.length === 0) {
    leaveNotice(c, "warn", "No message was selected. Tick the boxes first, then choose what to do.");
    return c.redirect("/quarantine", 303);
  }
  if (action === "release") {
    let released = 0;
    for (const item of items) if ((await releaseItem(c, item)) === "released") released++;
    const others = items.length - released;
    const rest = others === 0 ? "" : ` ${counted(others, "message")} had been released or deleted before.`;
    leaveNotice(
      c,
      released > 0 ? "good" : "warn",
      `${counted(released, "message")} released for delivery.${rest}`,
    );
    return c.redirect("/quarantine", 303);
  }
  if (action !== "delete") return errorPage(c, 422, "Nothing was done", "Choose Release or Delete.");
  if (form.get("confirmed") !== "yes") return askToDelete(c, items);
  let deleted = 0;
  for (const item of items) if (await deleteItem(c, item)) deleted++;
  leaveNotice(c, "good", `${counted(deleted, "message")} deleted.`);
  return c.redirect("/quarantine", 303);
}

function askToDelete(c: ConsoleContext, items: readonly QuarantineItem[]): Promise<Response> {
  return confirmPage(c, {
    nav: "quarantine",
    title: `Delete ${counted(items.length, "message")}?`,
    words: (
      <>
        <p>Deleted messages cannot be brought back, and nobody is told.</p>
        <ul>
          {items.slice(0, 20).map((item) => (
            <li>
              <Foreign text={item.subject} max={100} empty="(no subject)" /> <span class="muted">for</span>{" "}
              <Address text={item.recipient} />
            </li>
          ))}
          {items.length > 20 && <li>and {items.length - 20} more</li>}
        </ul>
      </>
    ),
    action: "/quarantine/bulk",
    submit: `Delete ${counted(items.length, "message")}`,
    cancel: "/quarantine",
    hidden: [["action", "delete"], ["confirmed", "yes"], ...items.map((item) => ["id", item.id] as const)],
  });
}

const keepers = forRoles("administrator", "domain-administrator");

export const quarantineRoutes: readonly Route[] = [
  keepers.get("/quarantine", getQuarantine),
  keepers.post("/quarantine/bulk", postBulk),
];
