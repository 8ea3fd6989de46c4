// The hooks: scanners outside the gateway that are asked about every message.
import { isOfOwnTrouble } from "../../hooks/watch-clamd.ts";
import { type HookSettings, hookSchema } from "../../policy/schema.ts";
import { type AlarmPlace, alarmPlaces, alarmsOfHook } from "../alarm-places.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { FieldGroup } from "../forms/field.ts";
import { AlarmNotices, AlarmState } from "../parts/alarm-state.tsx";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Icon } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import type { Alarm } from "../services.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { SettingsHeader } from "./settings-tabs.tsx";

const BASE = "/settings/hooks";

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

interface Row {
  readonly hook: HookSettings;
  readonly alarms: readonly Alarm[];
}

function State({ hook, alarms }: Row) {
  if (!hook.enabled) return <Badge tone="quiet">Off</Badge>;
  if (alarms.length === 0) return <Badge tone="good">On</Badge>;
  return (
    <>
      {alarms.map((alarm) => (
        <AlarmState label={badgeOf(alarm, hook)} alarm={alarm} places={waysOut(alarm)} />
      ))}
    </>
  );
}

function badgeOf({ name, words }: Alarm, { kind }: HookSettings): string {
  if (name.startsWith(`${kind} size `)) return "Takes too little";
  return isOfOwnTrouble(words) ? "Cannot scan" : "Does not answer";
}

/** But this page, which the row is on. */
function waysOut(alarm: Alarm): readonly AlarmPlace[] {
  return alarmPlaces(alarm, { domain: [] }).filter(({ href }) => href !== BASE);
}

const COLUMNS: readonly Column<Row>[] = [
  {
    label: "Hook",
    kind: "main",
    cell: ({ hook }) => (
      <a class="row-title" href={`/settings/hooks/${encodeURIComponent(hook.name)}/edit`}>
        {hook.name}
      </a>
    ),
  },
  { label: "Kind", kind: "tight", cell: ({ hook }) => hook.kind },
  {
    label: "State",
    cell: (row) => <State {...row} />,
  },
  { label: "Address", cell: ({ hook }) => <span class="mono">{hook.address}</span> },
  { label: "Waits", kind: "tight", cell: ({ hook }) => hook.timeout },
  {
    label: "Actions",
    kind: "actions",
    cell: ({ hook }) => <RowLinks base={BASE} itemKey={hook.name} />,
  },
];

function getHooks(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  const { hook } = services.settings.current().policy;
  const rows = hook.map((one) => ({ hook: one, alarms: alarmsOfHook(services.alarms(), one) }));
  return consolePage(
    c,
    { title: "Hooks", nav: "settings" },
    <>
      <SettingsHeader current={BASE} />
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
        <div {...liveRegion({ id: "results", url: BASE, seconds: 10 })}>
          <DataTable caption="Hooks" columns={COLUMNS} rows={rows} rowId={(row) => `h-${row.hook.name}`} />
        </div>
      )}
    </>,
  );
}

export const hookRoutes: readonly Route[] = [
  forAdministrator.get(BASE, getHooks),
  ...itemRoutes({
    section: "hook",
    base: BASE,
    nav: "settings",
    noun: "hook",
    listTitle: "Hooks",
    groups: () => GROUPS,
    keyFields: ["name"],
    blank: () => ({
      ...hookSchema.parse({ name: "x", kind: "clamd", address: "127.0.0.1:3310" }),
      name: "clamd",
    }),
    state: (c, item) => {
      const hook = c
        .get("services")
        .settings.current()
        .policy.hook.find((one) => one === item);
      return hook && <AlarmNotices alarms={alarmsOfHook(c.get("services").alarms(), hook)} />;
    },
    removeWords: "Rules that look at its facts will no longer match.",
  }),
];
