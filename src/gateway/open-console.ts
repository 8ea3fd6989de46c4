// How people see it: the console, the command line's socket, the figures.
import type { GatewayChecks } from "../checks/create-checks.ts";
import { VERSION } from "../config/version.ts";
import { type ControlParts, createControlHandlers } from "../console/control-handlers.ts";
import { createConsole } from "../console/create-console.ts";
import { serveConsole } from "../console/serve-console.ts";
import { serveControl } from "../console/serve-control.ts";
import type { ConsoleServices, ListenerStatus } from "../console/services.ts";
import type { SetupCode } from "../console/setup-code.ts";
import type { Certificate } from "../listener/certificate.ts";
import { type IpNetwork, parseNetwork } from "../message/address.ts";
import { isUnwell } from "../observe/alarm-kinds.ts";
import { serveMetrics } from "../observe/serve-metrics.ts";
import type { Settings } from "../policy/settings.ts";
import type { Bans } from "../session/bans.ts";
import type { LoginBook } from "../session/login-book.ts";
import { backUp } from "../vault/back-up.ts";
import type { Ground } from "./ground.ts";
import type { Delivery } from "./open-delivery.ts";
import type { OutgoingControl } from "./open-outgoing.ts";
import type { Stores } from "./open-stores.ts";

export interface OpenConsole {
  /** The address it listens on. */
  readonly url: string;
  reload(certificate: Certificate): Promise<void>;
}

const CONSOLE_GRACE_MS = 2000;
const CROWDED_QUIET_MS = 60_000;
const METRICS_RETRY_MS = 10_000;

/** Opens the console and the two local doors. Rejects when the console's address cannot be used. */
export function openConsole(
  ground: Ground,
  stores: Stores,
  rest: {
    readonly settings: Settings;
    readonly delivery: Delivery;
    readonly control: OutgoingControl;
    readonly checks: GatewayChecks;
    readonly setup: SetupCode;
    readonly certificate: Certificate;
    readonly bans: Bans;
    readonly logins: LoginBook;
    readonly consoleUrl: () => string;
    readonly listeners: () => readonly ListenerStatus[];
    readonly connections: () => number;
  },
): OpenConsole {
  const { config, parts, clock, log, alarms } = ground;
  const { hostname } = config;
  const { settings, delivery, control, checks, setup, connections } = rest;
  const services: ConsoleServices = {
    hostname,
    version: VERSION,
    clock,
    log,
    settings,
    queue: delivery.queue,
    quarantine: delivery.quarantine,
    messageLog: stores.messageLog,
    accounts: setup.accounts,
    outgoing: control.outgoing,
    dkim: delivery.dkim,
    bans: rest.bans,
    logins: rest.logins,
    links: control.links,
    notices: control.notices,
    consoleUrl: rest.consoleUrl,
    listeners: rest.listeners,
    alarms: () => alarms.list(),
    setupCode: () => setup.current(),
    view: (message: Uint8Array) => checks.view(message),
    figures: () => ({
      startedAt: ground.startedAt,
      connections: connections(),
      memoryBytes: process.memoryUsage.rss(),
    }),
  };
  const { certificate } = rest;
  const web = serveConsole({
    app: createConsole(services),
    listen: config.console.listen,
    tls: certificate,
    proxies: networksOf(config.console.trustedProxies),
    onCrowded: crowdedWarning(ground),
  });
  parts.defer(() => web.close(CONSOLE_GRACE_MS));
  const handlers = createControlHandlers({ ...services, checks, setup, backUp: backingUp(ground, stores) });
  parts.defer(serveControl({ dataDir: config.data, handlers, log }));
  openFigures(ground, { ...delivery, connections });
  return { url: webAddress(web, hostname), reload: (fresh) => web.reload(fresh) };
}

function backingUp({ config, log, clock }: Ground, stores: Stores): ControlParts["backUp"] {
  return (directory) =>
    backUp({
      data: config.data,
      directory,
      databases: new Map([
        ["spool.db", stores.spoolDatabase],
        ["gatepost.db", stores.database],
      ]),
      holds: [() => stores.spool.holdBodies(), () => stores.vault.hold()],
      log,
      now: clock.now(),
    });
}

function networksOf(texts: readonly string[]): readonly IpNetwork[] {
  return texts.flatMap((text) => {
    const parsed = parseNetwork(text);
    return parsed.ok ? [parsed.value] : [];
  });
}

/** Told once a minute at most: whoever crowds the console must not fill the log as well. */
function crowdedWarning({ clock, log }: Ground): () => void {
  let quietUntil = 0;
  return () => {
    if (clock.now() < quietUntil) return;
    quietUntil = clock.now() + CROWDED_QUIET_MS;
    log.warn({}, "the console has more connections than it takes; silent ones are cut off");
  };
}

/** /metrics and /healthz. A taken address is an alarm: mail does not depend on it. */
function openFigures(
  { config, parts, clock, metrics, alarms, draining }: Ground,
  {
    queue,
    quarantine,
    connections,
  }: Pick<Delivery, "queue" | "quarantine"> & { readonly connections: () => number },
): void {
  if (config.metrics.listen === "") return;
  metrics.gauge("connections", "Open SMTP connections", connections);
  metrics.gauge("queue_active", "Delivery attempts under way", () => queue.figures().active);
  metrics.gauge("alarms", "Raised alarms", () => alarms.list().length);
  metrics.gauge("resident_bytes", "Resident memory", () => process.memoryUsage.rss());
  metrics.gauge("queued_recipients", "Recipients that wait", async () => (await queue.counts()).queued);
  metrics.gauge("undeliverable_messages", "Undeliverable messages in the quarantine", async () => {
    return (await quarantine.undeliverable()).kept;
  });
  metrics.gauge("undeliverable_unseen", "Undeliverable messages nobody has looked at", async () => {
    return (await quarantine.undeliverable()).items;
  });
  const health = () => {
    const problems = alarms.list().flatMap(({ name, words }) => (isUnwell(name) ? [words] : []));
    return {
      ok: problems.length === 0 && !draining(),
      problems: draining() ? ["stopping", ...problems] : problems,
    };
  };
  let stop = () => Promise.resolve();
  let cancel = () => {};
  const open = (): void => {
    try {
      stop = serveMetrics({ listen: config.metrics.listen, registry: metrics.registry, health });
      alarms.set("metrics", null);
    } catch (error) {
      alarms.set(
        "metrics",
        `The address ${config.metrics.listen} for /metrics cannot be used: ${String(error)}. It is tried again every ${METRICS_RETRY_MS / 1000} seconds; free it, or set [metrics] listen in the boot file.`,
      );
      cancel = clock.after(METRICS_RETRY_MS, open);
    }
  };
  parts.defer(() => {
    cancel();
    return stop();
  });
  open();
}

/** The address to type into a browser. */
function webAddress(at: { readonly hostname: string; readonly port: number }, hostname: string): string {
  const everywhere = at.hostname === "0.0.0.0" || at.hostname === "::";
  const local = at.hostname === "127.0.0.1" || at.hostname === "::1";
  const name = everywhere ? hostname : local ? "localhost" : at.hostname;
  return `https://${name.includes(":") ? `[${name}]` : name}:${at.port}`;
}
