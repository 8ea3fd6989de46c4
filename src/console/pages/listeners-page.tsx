// The listeners: where mail comes in, how each is doing, and what each allows.
import { type ListenerSettings, listenerSchema } from "../../policy/schema.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { FieldGroup, Option } from "../forms/field.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { PageHeader } from "../parts/page-header.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import type { ListenerStatus } from "../services.ts";
import { counted } from "../words/amount.ts";
import { itemRoutes } from "./policy-item-pages.tsx";

const TLS: readonly Option[] = [
  { value: "starttls", label: "STARTTLS, when the client asks" },
  { value: "starttls-required", label: "STARTTLS required" },
  { value: "implicit", label: "From the first byte (implicit)" },
  { value: "none", label: "None" },
];
const AUTH: readonly Option[] = [
  { value: "off", label: "Off" },
  { value: "optional", label: "Offered" },
  { value: "required", label: "Required" },
];
const RELAY: readonly Option[] = [
  { value: "trusted-networks", label: "Trusted networks", help: "as named in the settings" },
  { value: "authenticated", label: "Senders who log in" },
  { value: "pop-before-smtp", label: "Who just read mail", help: "POP or IMAP before SMTP" },
  { value: "allow-lists", label: "Allow lists" },
];

const SYNTAX: readonly Option[] = [
  { value: "strangers", label: "Strangers only" },
  { value: "everybody", label: "Everybody" },
  { value: "nobody", label: "Nobody" },
];
const BARE_LF: readonly Option[] = [
  { value: "refuse", label: "Refuse the message" },
  { value: "normalise", label: "Mend them to CR LF" },
];
const NUL: readonly Option[] = [
  { value: "keep", label: "Keep them" },
  { value: "refuse", label: "Refuse the message" },
];
const HEADER_CONTROLS: readonly Option[] = [
  { value: "refuse", label: "Refuse the message" },
  { value: "keep", label: "Keep them; they are shown as signs" },
];

const HIDDEN: readonly Option[] = [
  { value: "log-ins", label: "Of those who log in" },
  { value: "all", label: "Of those who log in and of trusted networks" },
  { value: "nobody", label: "Never" },
];

const GROUPS: readonly FieldGroup[] = [
  {
    title: "Listener",
    fields: [
      {
        kind: "text",
        name: "name",
        label: "Name",
        placeholder: "mx",
        help: "Lower-case letters, digits, dot and dash.",
      },
      {
        kind: "text",
        name: "listen",
        label: "Address and port",
        placeholder: "0.0.0.0:25",
        help: "Like 0.0.0.0:25 for all addresses or [::]:25 for IPv6.",
      },
      { kind: "switch", name: "enabled", label: "Listen" },
    ],
  },
  {
    title: "Encryption and log-in",
    fields: [
      { kind: "choice", name: "tls", label: "TLS", options: TLS },
      { kind: "choice", name: "auth", label: "Log-in (AUTH)", options: AUTH },
      {
        kind: "switch",
        name: "auth_without_tls",
        label: "Allow log-in without TLS",
        help: "Passwords then cross the network in the clear.",
      },
      {
        kind: "switch",
        name: "cram_md5",
        label: "Offer CRAM-MD5",
        help: "For old programs that know nothing else. Only senders with a CRAM-MD5 password of their own can use it.",
        warning:
          "The gateway must keep these passwords recoverable, encrypted under its own key. TLS with an ordinary log-in is safer.",
      },
    ],
  },
  {
    title: "Who may use it",
    fields: [
      { kind: "choices", name: "relay", label: "May send to the outside", options: RELAY },
      {
        kind: "lines",
        name: "clients",
        label: "May connect",
        placeholder: "10.0.0.0/8",
        help: "Addresses or ranges, one per line. Empty: everybody.",
      },
      {
        kind: "switch",
        name: "refuse_outsiders_claiming_local",
        label: "Refuse outsiders who claim one of our addresses",
      },
    ],
  },
  {
    title: "Checks",
    fields: [
      { kind: "switch", name: "content_checks", label: "Check the content of messages" },
      { kind: "switch", name: "greylist", label: "Greylisting" },
    ],
  },
  {
    title: "Strictness and privacy",
    folded: true,
    help: "What is taken of clients that do not keep to the standards",
    fields: [
      {
        kind: "choice",
        name: "strict_syntax",
        label: "Must write commands by the book",
        options: SYNTAX,
        help: "Printers, scanners and old programs leave out the angle brackets or give odd names.",
      },
      { kind: "choice", name: "bare_lf", label: "Bare line feeds of strangers", options: BARE_LF },
      {
        kind: "choice",
        name: "bare_lf_trusted",
        label: "Bare line feeds of log-ins and trusted networks",
        options: BARE_LF,
      },
      { kind: "choice", name: "nul", label: "NUL characters in the text", options: NUL },
      {
        kind: "choice",
        name: "header_controls",
        label: "Control characters in a stranger's header",
        options: HEADER_CONTROLS,
      },
      {
        kind: "choice",
        name: "hide_clients",
        label: "Hide where mail was written",
        options: HIDDEN,
        help: "The address and name of the machine, and the gateway's notes, are then not in the mail; the log has them.",
      },
    ],
  },
  {
    title: "Limits and proxies",
    folded: true,
    help: "Sizes, connections, time-outs, PROXY and XCLIENT",
    fields: [
      { kind: "size", name: "max_message_bytes", label: "Largest message", help: "Like 50 MB." },
      { kind: "number", name: "max_recipients", label: "Recipients per message" },
      { kind: "number", name: "max_connections", label: "Connections in all" },
      { kind: "number", name: "max_connections_per_client", label: "Connections per client" },
      { kind: "duration", name: "idle_timeout", label: "Cut off when idle for", help: "Like 30s or 5m." },
      {
        kind: "number",
        name: "min_data_rate",
        label: "Slowest message, octets a second",
        help: "A message that comes more slowly than this for half a minute is cut off. 0: switched off, it may take its time.",
      },
      {
        kind: "number",
        name: "greeting_delay",
        label: "Greeting delay",
        unit: "ms",
        help: "Shows clients that talk before they are greeted. 0: switched off.",
      },
      {
        kind: "lines",
        name: "proxy_from",
        label: "Believe PROXY and XCLIENT from",
        placeholder: "127.0.0.0/8",
        help: "Proxies of your own, one address or range per line.",
      },
    ],
  },
];

interface Row {
  readonly settings: ListenerSettings;
  readonly status: ListenerStatus | null;
}

function State({ status, enabled }: { readonly status: ListenerStatus | null; readonly enabled: boolean }) {
  if (!enabled || status?.state === "off") return <Badge tone="quiet">Off</Badge>;
  if (status === null) return <Badge tone="info">Starting</Badge>;
  if (status.state === "listening") return <Badge tone="good">Listening</Badge>;
  return (
    <>
      <Badge tone="bad">Failed</Badge>
      <span class="under">
        <Foreign text={status.words} max={240} />
      </span>
    </>
  );
}

const TLS_WORDS: Readonly<Record<ListenerSettings["tls"], string>> = {
  none: "no TLS",
  starttls: "STARTTLS",
  "starttls-required": "STARTTLS required",
  implicit: "implicit TLS",
};

const COLUMNS: readonly Column<Row>[] = [
  {
    label: "Listener",
    kind: "main",
    cell: ({ settings }) => (
      <>
        <a class="row-title" href={`/listeners/${encodeURIComponent(settings.name)}/edit`}>
          {settings.name}
        </a>
        <span class="under mono">{settings.listen}</span>
      </>
    ),
  },
  { label: "State", cell: ({ settings, status }) => <State status={status} enabled={settings.enabled} /> },
  { label: "Connections", kind: "tight", cell: ({ status }) => counted(status?.connections ?? 0, "client") },
  {
    label: "Encryption and log-in",
    cell: ({ settings }) =>
      `${TLS_WORDS[settings.tls]}, ${settings.auth === "off" ? "no log-in" : `log-in ${settings.auth}`}`,
  },
  {
    label: "May send out",
    extra: true,
    cell: ({ settings }) =>
      settings.relay.length === 0 ? "nobody" : settings.relay.join(", ").replaceAll("-", " "),
  },
  {
    label: "Checks",
    extra: true,
    cell: ({ settings }) =>
      [
        settings.content_checks ? "content" : "no content checks",
        ...(settings.greylist ? ["greylisting"] : []),
      ].join(", "),
  },
  {
    label: "Actions",
    kind: "actions",
    cell: ({ settings }) => <RowLinks base="/listeners" itemKey={settings.name} />,
  },
];

function getListeners(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  const statuses = services.listeners();
  const rows = services.settings.current().policy.listener.map((settings) => ({
    settings,
    status: statuses.find((one) => one.name === settings.name) ?? null,
  }));
  const failed = statuses.filter((one) => one.state === "failed").length;
  return consolePage(
    c,
    { title: "Listeners", nav: "listeners" },
    <>
      <PageHeader
        title="Listeners"
        lead={
          failed > 0
            ? `${counted(failed, "listener")} could not be opened; the others are up.`
            : "Where mail comes in. Changes hold at once, without a restart."
        }
      >
        <a class="button" href="/listeners/new">
          <Icon name="plus" /> Add listener
        </a>
      </PageHeader>
      <div {...liveRegion({ id: "results", url: "/listeners", seconds: 10 })}>
        {rows.length === 0 ? (
          <EmptyState
            icon="listener"
            title="No listener"
            action={{ href: "/listeners/new", label: "Add a listener" }}
          >
            Without one no mail can come in. Port 25 takes mail from the Internet, 587 and 465 from people who
            log in.
          </EmptyState>
        ) : (
          <DataTable
            caption="Listeners"
            columns={COLUMNS}
            rows={rows}
            rowId={(row) => `l-${row.settings.name}`}
          />
        )}
      </div>
    </>,
  );
}

export const listenerRoutes: readonly Route[] = [
  forAdministrator.get("/listeners", getListeners),
  ...itemRoutes({
    section: "listener",
    base: "/listeners",
    nav: "listeners",
    noun: "listener",
    listTitle: "Listeners",
    groups: () => GROUPS,
    keyFields: ["name"],
    blank: () => ({ ...listenerSchema.parse({ name: "x", listen: "0.0.0.0:25" }), name: "", listen: "" }),
    removeWords: "Its port is closed. Connections that are open are finished first.",
  }),
];
