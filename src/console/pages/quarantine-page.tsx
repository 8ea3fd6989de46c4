// The quarantine as a list: filter, release or delete one or many.
import { bytesInWords } from "../../observe/size-words.ts";
import type { QuarantinedSender, QuarantineItem } from "../../store/quarantine-item.ts";
import type { ConsoleContext } from "../console-env.ts";
import { ownDomains } from "../domain-scope.ts";
import { Badge, RuleName } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { NoDomain } from "../parts/no-domain.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { cursorOf, deleteItem, itemOf, releaseItem, seeItem } from "../quarantine-actions.ts";
import { releaseQuestion } from "../release-terms.ts";
import { forRoles, type Route } from "../route.ts";
import { counted } from "../words/amount.ts";
import { errorPage } from "./error-page.tsx";
import { identityUrl } from "./identity-address.ts";
import {
  addressOf,
  askedOf,
  filterOf,
  ITEM_STATES,
  PAGE_ITEMS,
  type QuarantineAsked,
  QuarantineFilters,
} from "./quarantine-filter.tsx";

const MAX_BULK = 200;
const MAX_SENDERS = 12;

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

/** The outgoing quarantine is about who sent it: the sender and the identity come first. */
const SENDER_COLUMN: Column<Line> = {
  label: "Sender",
  kind: "wide",
  cell: (item) => (
    <div class="why-cell">
      <a href={identityUrl({ sender: item.sender, identity: item.identity === "" ? null : item.identity })}>
        <Foreign text={item.identity === "" ? item.sender : item.identity} max={70} empty="(none)" />
      </a>
      {item.identity !== "" && item.identity !== item.sender && (
        <span class="muted">
          by <Address text={item.sender} max={60} />
        </span>
      )}
    </div>
  ),
};

/** Who has mail in the outgoing quarantine, the most first. */
function Senders({
  senders,
  typed,
}: {
  readonly senders: readonly QuarantinedSender[];
  readonly typed: QuarantineAsked;
}) {
  if (senders.length === 0) return null;
  return (
    <Card title="Senders" aside={<span class="muted">with mail that is kept, the most first</span>}>
      <ul class="sender-counts">
        {senders.map((one) => (
          <li>
            <a
              href={addressOf({ ...typed, sender: one.sender, state: "kept" }, null)}
              aria-current={one.sender === typed.sender ? "true" : undefined}
            >
              <Address text={one.sender} max={60} />
            </a>
            <span class="muted">
              {counted(one.items, "message")}, last <Moment at={one.latestAt} style="relative" />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** A line of the list, with why whoever looks may not release it; null: may. */
interface Line extends QuarantineItem {
  readonly barred: string | null;
}

async function lineOf(c: ConsoleContext, item: QuarantineItem): Promise<Line> {
  const question = item.state === "kept" ? await releaseQuestion(c, item) : null;
  return { ...item, barred: question?.kind === "refused" ? question.words : null };
}

function ReleaseButton({ line }: { readonly line: Line }) {
  if (line.state !== "kept") return null;
  if (line.barred !== null)
    return (
      <a href={`/quarantine/${encodeURIComponent(line.id)}`} title={line.barred}>
        Why no release?
      </a>
    );
  return (
    <button
      type="submit"
      class="quiet small"
      formaction={`/quarantine/${encodeURIComponent(line.id)}/release`}
      title={`Deliver to ${line.recipient.slice(0, 80)}`}
    >
      <Icon name="release" size={15} /> Release
    </button>
  );
}

const COLUMNS: readonly Column<Line>[] = [
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
        {item.class === "undeliverable" ? (
          <Badge tone={item.state === "kept" && item.seenAt === null ? "bad" : "warn"}>Undeliverable</Badge>
        ) : (
          <RuleName name={item.rule} />
        )}
        <span class="muted">
          <Foreign text={item.words} max={item.class === "undeliverable" ? 200 : 120} />
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
    cell: (line) => <ReleaseButton line={line} />,
  },
];

/** The sender takes the place of the size, and on narrow screens that of the reason. */
const OUTGOING_COLUMNS: readonly Column<Line>[] = COLUMNS.flatMap((column) => {
  if (column.label === "Size") return [];
  if (column.label === "Why") return [{ ...column, extra: true }];
  return column.kind === "main" ? [SENDER_COLUMN, column] : [column];
});

/** What is true when a list is empty: only without any filter is the quarantine. */
function Empty({ typed }: { readonly typed: QuarantineAsked }) {
  const bare = typed.recipient === "" && typed.rule === "" && typed.sender === "" && typed.direction === "";
  if (typed.class === "undeliverable" && typed.state === "kept") {
    return (
      <EmptyState icon="good" title="Nothing undeliverable is kept">
        Accepted mail that no server takes comes here, with the server’s answer, when its sender cannot be
        told or is not one of ours.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon="quarantine"
      title={
        typed.state === "kept" && typed.class === "" && bare ? "The quarantine is empty" : "Nothing fits"
      }
    >
      Messages come here when a rule with the action “quarantine” matches (the rules page says which do), and
      when they were accepted and no server takes them.
    </EmptyState>
  );
}

async function getQuarantine(c: ConsoleContext): Promise<Response> {
  const typed = askedOf(c);
  const { quarantine } = c.get("services");
  const before = cursorOf(c.req.query("before") ?? "");
  const { domain } = typed;
  const outgoing = typed.direction === "outgoing";
  const found = domain === null ? [] : await quarantine.list(filterOf(typed, domain, before));
  const senders =
    domain === null || !outgoing
      ? []
      : await quarantine.senders({
          limit: MAX_SENDERS,
          ...(domain === "" ? {} : { senderDomain: domain }),
        });
  const items = await Promise.all(found.slice(0, PAGE_ITEMS).map((item) => lineOf(c, item)));
  const older = found.length > PAGE_ITEMS ? addressOf(typed, items.at(-1) ?? null) : null;
  const newest = before === undefined ? null : addressOf(typed, null);
  return consolePage(
    c,
    { title: "Quarantine", nav: "quarantine" },
    <>
      <PageHeader
        title="Quarantine"
        lead="Messages set aside whole: by a rule, or because no server takes them. Released ones are delivered as they came; the rest is deleted when its time is up."
      />
      {domain !== null && <QuarantineFilters typed={typed} domains={ownDomains(c)} />}
      <div id="results">
        <Senders senders={senders} typed={typed} />
        {domain === null ? (
          <NoDomain />
        ) : items.length === 0 ? (
          <Empty typed={typed} />
        ) : (
          <form method="post" action="/quarantine/bulk" class="bulk">
            <div class="bulk-bar">
              <label class="check">
                <input type="checkbox" data-select-all="id" /> <span>All on this page</span>
              </label>
              <span class="bulk-count muted" data-selected-count="id" aria-live="polite" />
              {items.some(({ state, barred }) => state === "kept" && barred === null) && (
                <button type="submit" name="action" value="release" class="quiet">
                  <Icon name="release" /> Release
                </button>
              )}
              {items.some((item) => item.class === "undeliverable") && (
                <button type="submit" name="action" value="seen" class="quiet">
                  <Icon name="eye" /> Mark as seen
                </button>
              )}
              <button type="submit" name="action" value="delete" class="quiet danger-text">
                <Icon name="trash" /> Delete…
              </button>
            </div>
            <DataTable
              caption="Quarantined messages, newest first"
              columns={outgoing ? OUTGOING_COLUMNS : COLUMNS}
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
    let asked = 0;
    for (const item of items) {
      const result = await releaseItem(c, item, { confirmed: false });
      if (result === "released") released++;
      if (typeof result === "object") asked++;
    }
    const others = items.length - released - asked;
    const rest =
      (others === 0 ? "" : ` ${counted(others, "message")} had been released or deleted before.`) +
      (asked === 0
        ? ""
        : ` ${counted(asked, "message")} stayed: with malware, for another domain, or of a domain that may not send now. Open each to see who may release it.`);
    leaveNotice(
      c,
      released > 0 ? "good" : "warn",
      `${counted(released, "message")} released for delivery.${rest}`,
    );
    return c.redirect("/quarantine", 303);
  }
  if (action === "seen") {
    for (const item of items) await seeItem(c, item);
    leaveNotice(c, "good", "Marked as seen. The messages stay until they are released, deleted or expire.");
    return c.redirect("/quarantine?class=undeliverable", 303);
  }
  if (action !== "delete")
    return errorPage(c, 422, "Nothing was done", "Choose Release, Mark as seen or Delete.");
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
