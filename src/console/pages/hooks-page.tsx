// The hooks: scanners outside the gateway that are asked about every message.
import { type HookSettings, hookSchema } from "../../policy/schema.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { FieldGroup } from "../forms/field.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Icon } from "../parts/icon.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { SettingsHeader } from "./settings-tabs.tsx";

const GROUPS: readonly FieldGroup[] = [
  {
    title: "Hook",
    fields: [
      { kind: "text", name: "name", label: "Name", placeholder: "clamd" },
      { kind: "choice", name: "kind", label: "Kind", options: [{ value: "clamd", label: "ClamAV (clamd)" }] },
      {
        kind: "text",
        name: "address",
        label: "Address",
        placeholder: "127.0.0.1:3310",
        help: "host:port, or unix:/path of a socket.",
      },
      {
        kind: "duration",
        name: "timeout",
        label: "Wait at most",
        help: "Like 30s. A hook that takes longer counts as failed, and mail is put off.",
      },
      { kind: "switch", name: "enabled", label: "Ask this hook" },
    ],
  },
];

const COLUMNS: readonly Column<HookSettings>[] = [
  {
    label: "Hook",
    kind: "main",
    cell: (hook) => (
      <a class="row-title" href={`/settings/hooks/${encodeURIComponent(hook.name)}/edit`}>
        {hook.name}
      </a>
    ),
  },
  { label: "Kind", kind: "tight", cell: (hook) => hook.kind },
  {
    label: "State",
    kind: "tight",
    cell: (hook) => (hook.enabled ? <Badge tone="good">On</Badge> : <Badge tone="quiet">Off</Badge>),
  },
  { label: "Address", cell: (hook) => <span class="mono">{hook.address}</span> },
  { label: "Waits", kind: "tight", cell: (hook) => hook.timeout },
  {
    label: "Actions",
    kind: "actions",
    cell: (hook) => <RowLinks base="/settings/hooks" itemKey={hook.name} />,
  },
];

function getHooks(c: ConsoleContext): Promise<Response> {
  const { hook } = c.get("services").settings.current().policy;
  return consolePage(
    c,
    { title: "Hooks", nav: "settings" },
    <>
      <SettingsHeader current="/settings/hooks" />
      <div class="tab-actions">
        <a class="button" href="/settings/hooks/new">
          <Icon name="plus" /> Add hook
        </a>
      </div>
      {hook.length === 0 ? (
        <EmptyState
          icon="hook"
          title="No hook yet"
          action={{ href: "/settings/hooks/new", label: "Connect ClamAV" }}
        >
          The built-in checks work without any. A hook adds what a scanner outside knows, as facts for the
          rules.
        </EmptyState>
      ) : (
        <DataTable caption="Hooks" columns={COLUMNS} rows={hook} rowId={(one) => `h-${one.name}`} />
      )}
    </>,
  );
}

export const hookRoutes: readonly Route[] = [
  forAdministrator.get("/settings/hooks", getHooks),
  ...itemRoutes({
    section: "hook",
    base: "/settings/hooks",
    nav: "settings",
    noun: "hook",
    listTitle: "Hooks",
    groups: () => GROUPS,
    keyFields: ["name"],
    blank: () => ({
      ...hookSchema.parse({ name: "x", kind: "clamd", address: "127.0.0.1:3310" }),
      name: "clamd",
    }),
    removeWords: "Rules that look at its facts will no longer match.",
  }),
];
