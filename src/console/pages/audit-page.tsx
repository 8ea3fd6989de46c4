// The audit log: who did what, when, from where.
import type { AuditLine } from "../../store/accounts.ts";
import type { ConsoleContext } from "../console-env.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Moment } from "../parts/moment.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { Pagination } from "../parts/pagination.tsx";
import { forAdministrator, type Route } from "../route.ts";
import type { Tone } from "../words/state.ts";

const PAGE_ENTRIES = 60;

function toneOf(action: string): Tone {
  if (/fail|refus|wrong/.test(action)) return "bad";
  if (/delete|drop|remove/.test(action)) return "warn";
  return /release|add|create|log-in/.test(action) ? "good" : "info";
}

const COLUMNS: readonly Column<AuditLine>[] = [
  { label: "When", kind: "tight", cell: (entry) => <Moment at={entry.at} /> },
  {
    label: "Who",
    kind: "main",
    cell: (entry) => (
      <>
        <Foreign text={entry.actor} max={80} />
        <span class="under muted">
          {entry.via}
          {entry.ip !== null && (
            <>
              , <span class="mono">{entry.ip}</span>
            </>
          )}
        </span>
      </>
    ),
  },
  {
    label: "What",
    kind: "tight",
    cell: (entry) => <Badge tone={toneOf(entry.action)}>{entry.action}</Badge>,
  },
  { label: "To what", cell: (entry) => <Foreign text={entry.subject} max={100} /> },
  { label: "Detail", cell: (entry) => <Foreign text={entry.detail} max={300} empty="–" /> },
];

async function getAudit(c: ConsoleContext): Promise<Response> {
  // The time and the id of the last line: one change of settings writes many lines with one time.
  const [, at, id] = /^(\d{1,15}),(\d{1,15})$/.exec(c.req.query("before") ?? "") ?? [];
  const before = at === undefined ? null : { at: Number(at), id: Number(id) };
  const found = await c
    .get("services")
    .accounts.auditLog({ limit: PAGE_ENTRIES + 1, ...(before === null ? {} : { before }) });
  const entries = found.slice(0, PAGE_ENTRIES);
  const last = entries.at(-1);
  return consolePage(
    c,
    { title: "Audit log", nav: "audit" },
    <>
      <PageHeader
        title="Audit log"
        lead="Every log-in to the console, every change of a setting, every release and deletion, and who did it. Kept for 400 days, or as long as the message log where that is longer."
      />
      {entries.length === 0 ? (
        <EmptyState icon="audit" title="Nothing yet">
          Entries appear as soon as someone logs in or changes something.
        </EmptyState>
      ) : (
        <>
          <DataTable
            caption="Audit log, newest first"
            columns={COLUMNS}
            rows={entries}
            rowId={(entry) => `a-${entry.id}`}
          />
          <Pagination
            shown={entries.length}
            noun="change"
            older={
              found.length > PAGE_ENTRIES && last !== undefined ? `/audit?before=${last.at},${last.id}` : null
            }
            newest={before === null ? null : "/audit"}
          />
        </>
      )}
    </>,
  );
}

export const auditRoutes: readonly Route[] = [forAdministrator.get("/audit", getAudit)];
