// The queue: what waits, why, until when; try again, hold, drop.

import { bytesInWords } from "../../observe/size-words.ts";
import type { QueueEntry } from "../../queue/queue.ts";
import type { ConsoleContext } from "../console-env.ts";
import { Badge } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { inPlace, liveRegion } from "../parts/live.ts";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { actOnQueue, isMessageId, type QueueAction, retryWholeQueue } from "../queue-actions.ts";
import { forAdministrator, type Route } from "../route.ts";
import { counted } from "../words/amount.ts";
import { destinationInWords } from "../words/destination.ts";
import type { Tone } from "../words/state.ts";
import { span } from "../words/time.ts";
import { errorPage } from "./error-page.tsx";

const PAGE_ENTRIES = 50;
const MAX_OFFSET = 1_000_000;

const STATES: Readonly<Record<QueueEntry["state"], { readonly label: string; readonly tone: Tone }>> = {
  queued: { label: "Waiting", tone: "info" },
  active: { label: "Sending", tone: "good" },
  held: { label: "Held", tone: "held" },
  quarantine: { label: "To quarantine", tone: "warn" },
};

function Reason({ entry }: { readonly entry: QueueEntry }) {
  return (
    <div class="queue-reason">
      {entry.lastReply === null ? (
        <span class="muted">{entry.tries === 0 ? "Not tried yet." : "No answer yet."}</span>
      ) : (
        <code class="reply">
          <Foreign text={entry.lastReply} max={180} />
        </code>
      )}
      <span class="under muted">
        {entry.tries === 0 ? "" : `${counted(entry.tries, "try", "tries")}; `}
        <NextStep entry={entry} />
      </span>
    </div>
  );
}

function NextStep({ entry }: { readonly entry: QueueEntry }) {
  switch (entry.state) {
    case "held":
      return <>held until someone lets it go on</>;
    case "active":
      return <>being delivered now</>;
    case "quarantine":
      return <>on its way to the quarantine</>;
    case "queued":
      return (
        <>
          next <Moment at={entry.nextAttemptAt} style="relative" />, given up{" "}
          <Moment at={entry.expiresAt} style="relative" />
        </>
      );
  }
}

function Actions({ entry }: { readonly entry: QueueEntry }) {
  const base = `/queue/${encodeURIComponent(entry.messageId)}`;
  return (
    <span class="row-actions">
      {entry.state !== "active" && entry.state !== "quarantine" && (
        <form {...inPlace(`${base}/retry`)}>
          <button type="submit" class="quiet small">
            <Icon name="retry" size={15} /> {entry.state === "held" ? "Let go on" : "Try now"}
          </button>
        </form>
      )}
      {entry.state === "queued" && (
        <form {...inPlace(`${base}/hold`)}>
          <button type="submit" class="quiet small">
            <Icon name="hold" size={15} /> Hold
          </button>
        </form>
      )}
      <a class="button quiet small danger-text" href={`${base}/drop`}>
        <Icon name="trash" size={15} /> Drop…
      </a>
    </span>
  );
}

const COLUMNS: readonly Column<QueueEntry>[] = [
  { label: "Since", kind: "tight", cell: (entry) => <Moment at={entry.receivedAt} /> },
  {
    label: "State",
    kind: "tight",
    cell: (entry) => <Badge tone={STATES[entry.state].tone}>{STATES[entry.state].label}</Badge>,
  },
  {
    label: "Message",
    kind: "main",
    cell: (entry) => (
      <div class="log-message">
        <a class="log-subject" href={`/messages/${encodeURIComponent(entry.messageId)}`}>
          <Address text={entry.recipient} max={60} />
        </a>
        <div class="log-route">
          from <Address text={entry.reversePath} max={50} /> · {bytesInWords(entry.size)}
        </div>
      </div>
    ),
  },
  {
    label: "Destination",
    extra: true,
    cell: (entry) => <Foreign text={destinationInWords(entry.destination)} max={60} />,
  },
  { label: "Why it waits", cell: (entry) => <Reason entry={entry} /> },
  { label: "Actions", kind: "actions", cell: (entry) => <Actions entry={entry} /> },
];

async function getQueue(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  const offset = Math.min(Math.max(0, Number.parseInt(c.req.query("offset") ?? "0", 10) || 0), MAX_OFFSET);
  const [found, counts] = await Promise.all([
    services.queue.list({ limit: PAGE_ENTRIES + 1, offset }),
    services.queue.counts(),
  ]);
  const entries = found.slice(0, PAGE_ENTRIES);
  const url = offset === 0 ? "/queue" : `/queue?offset=${offset}`;
  const age =
    counts.oldestReceivedAt === null
      ? ""
      : `, the oldest for ${span(services.clock.now() - counts.oldestReceivedAt)}`;
  return consolePage(
    c,
    { title: "Queue", nav: "queue" },
    <>
      <PageHeader
        title="Queue"
        lead={
          counts.queued + counts.held === 0
            ? "Accepted mail on its way out."
            : `${counted(counts.queued, "recipient")} waiting, ${counts.held} held${age}.`
        }
      >
        {entries.length > 0 && (
          <form {...inPlace("/queue/retry")}>
            <button type="submit" class="quiet">
              <Icon name="retry" /> Try all now
            </button>
          </form>
        )}
      </PageHeader>
      <div {...liveRegion({ id: "results", url, seconds: 5 })}>
        {entries.length === 0 ? (
          <EmptyState
            icon="good"
            title="The queue is empty"
            action={{ href: "/messages", label: "Message log" }}
          >
            Everything accepted has been delivered, returned or set aside.
          </EmptyState>
        ) : (
          <>
            <DataTable
              caption="The queue"
              columns={COLUMNS}
              rows={entries}
              rowId={(entry) => `e-${entry.messageId}-${entry.n}`}
            />
            <Pagination
              shown={entries.length}
              noun="recipient"
              older={found.length > PAGE_ENTRIES ? `/queue?offset=${offset + PAGE_ENTRIES}` : null}
              newest={offset === 0 ? null : "/queue"}
              labels={{ first: "First", next: "Next" }}
            />
          </>
        )}
      </div>
    </>,
  );
}

/** The message id of the path, or null when it cannot be one. */
function messageIdOf(c: ConsoleContext): string | null {
  const id = c.req.param("id") ?? "";
  return isMessageId(id) ? id : null;
}

const DONE: Readonly<Record<QueueAction, string>> = {
  retry: "tried again now",
  hold: "held",
  drop: "dropped",
};

function postAction(action: QueueAction) {
  return async (c: ConsoleContext): Promise<Response> => {
    const id = messageIdOf(c);
    if (id === null) return errorPage(c, 404, "No such message", "The queue has no message of that id.");
    const n = await actOnQueue(c, action, id);
    if (n === 0)
      leaveNotice(c, "warn", "This message is no longer in the queue; its page says what became of it.");
    else leaveNotice(c, "good", `${counted(n, "recipient")} ${DONE[action]}.`);
    return c.redirect("/queue", 303);
  };
}

async function postRetryAll(c: ConsoleContext): Promise<Response> {
  const n = await retryWholeQueue(c);
  leaveNotice(c, "good", n === 0 ? "Nothing was waiting." : `${counted(n, "recipient")} tried again now.`);
  return c.redirect("/queue", 303);
}

async function askDrop(c: ConsoleContext): Promise<Response> {
  const id = messageIdOf(c);
  if (id === null) return errorPage(c, 404, "No such message", "The queue has no message of that id.");
  return confirmPage(c, {
    nav: "queue",
    title: "Drop this message?",
    words: (
      <p>
        Message <span class="mono">{id}</span> is taken out of the queue for all recipients that still wait.
        It is not delivered, and its sender is not told.
      </p>
    ),
    action: `/queue/${encodeURIComponent(id)}/drop`,
    submit: "Drop message",
    cancel: "/queue",
  });
}

export const queueRoutes: readonly Route[] = [
  forAdministrator.get("/queue", getQueue),
  forAdministrator.post("/queue/retry", postRetryAll),
  forAdministrator.post("/queue/:id/retry", postAction("retry")),
  forAdministrator.post("/queue/:id/hold", postAction("hold")),
  forAdministrator.get("/queue/:id/drop", askDrop),
  forAdministrator.post("/queue/:id/drop", postAction("drop")),
];
