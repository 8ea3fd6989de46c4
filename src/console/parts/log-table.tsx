// Lines of the message log as a table; the same on the overview and in the log.

import { bytesInWords } from "../../observe/size-words.ts";
import type { LogLine } from "../../store/message-log.ts";
import { STATE_ORDER } from "../words/state.ts";
import { RuleName, StateBadge } from "./badge.tsx";
import { type Column, DataTable } from "./data-table.tsx";
import { Address, Foreign } from "./foreign-text.tsx";
import { Moment } from "./moment.tsx";

function States({ line }: { readonly line: LogLine }) {
  return (
    <span class="badges">
      {STATE_ORDER.filter((state) => line.states.includes(state)).map((state) => (
        <StateBadge state={state} />
      ))}
    </span>
  );
}

function Recipients({ line }: { readonly line: LogLine }) {
  const [first, ...others] = line.recipients;
  if (first === undefined) return <span class="muted">no recipient</span>;
  return (
    <>
      <Address text={first.address} max={48} />
      {others.length > 0 && <span class="muted"> and {others.length} more</span>}
    </>
  );
}

function Subject({ line }: { readonly line: LogLine }) {
  return (
    <div class="log-message">
      <a class="log-subject" href={`/messages/${encodeURIComponent(line.id)}`}>
        <Foreign
          text={line.subject}
          max={110}
          empty={line.size === 0 ? "(no message was sent)" : "(no subject)"}
        />
      </a>
      <div class="log-route">
        <Address text={line.reversePath} max={48} /> <span aria-hidden="true">→</span>
        <span class="visually-hidden"> to </span> <Recipients line={line} />
      </div>
    </div>
  );
}

function Rules({ line }: { readonly line: LogLine }) {
  const rules = [...new Set(line.recipients.flatMap((recipient) => recipient.rule ?? []))];
  if (rules.length === 0) return null;
  return (
    <span class="badges">
      {rules.slice(0, 2).map((rule) => (
        <RuleName name={rule} />
      ))}
    </span>
  );
}

const COLUMNS: readonly Column<LogLine>[] = [
  { label: "Time", kind: "tight", cell: (line) => <Moment at={line.receivedAt} /> },
  { label: "State", kind: "tight", cell: (line) => <States line={line} /> },
  { label: "Message", kind: "main", cell: (line) => <Subject line={line} /> },
  { label: "Rule", kind: "tight", cell: (line) => <Rules line={line} /> },
  { label: "Client", kind: "tight", extra: true, cell: (line) => <span class="mono">{line.clientIp}</span> },
  {
    label: "Size",
    kind: "number",
    extra: true,
    cell: (line) => (line.size === 0 ? null : bytesInWords(line.size)),
  },
];

/** `brief`: without client and size, for the overview. */
export function LogTable({
  lines,
  brief = false,
}: {
  readonly lines: readonly LogLine[];
  readonly brief?: boolean;
}) {
  return (
    <DataTable
      caption="Messages, newest first"
      columns={brief ? COLUMNS.slice(0, 4) : COLUMNS}
      rows={lines}
      rowId={(line) => `m-${line.id}`}
    />
  );
}
