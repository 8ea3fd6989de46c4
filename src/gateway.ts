// The composition root: builds the parts in the order of the mail, closes them in reverse. Read this file first.
import { readFileSync } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { createChecks } from "./checks/create-checks.ts";
import { type Config, ConfigError } from "./config/config.ts";
import { VERSION } from "./config/version.ts";
import { createControlHandlers } from "./console/control-handlers.ts";
import { createConsole } from "./console/create-console.ts";
import { serveConsole } from "./console/serve-console.ts";
import { serveControl } from "./console/serve-control.ts";
import type { ListenerStatus } from "./console/services.ts";
import { createSetupCode } from "./console/setup-code.ts";
import type { Deliverer } from "./delivery/attempt.ts";
import { createRecipientVerifier } from "./delivery/recipient-verify.ts";
import { createDeliverer } from "./delivery/run-deliverer.ts";
import { createResolver } from "./dns/stub-resolver.ts";
import { verifiedName } from "./dns/verified-name.ts";
import type { ClamdHook } from "./hooks/clamd.ts";
import { loadOrMakeCertificate } from "./listener/certificate.ts";
import { createListeners, type Listeners } from "./listener/run-listeners.ts";
import type { MailAddress } from "./message/address.ts";
import { createAlarms } from "./observe/alarms.ts";
import { systemClock } from "./observe/clock.ts";
import { createLog } from "./observe/log.ts";
import { createMetrics, type Metrics } from "./observe/metrics.ts";
import { serveMetrics } from "./observe/serve-metrics.ts";
import { durationMs } from "./policy/duration.ts";
import { createPolicyStore, type PolicyStore } from "./policy/policy-store.ts";
import { createSettings } from "./policy/run-settings.ts";
import type { Policy } from "./policy/schema.ts";
import { createQueue } from "./queue/run-queue.ts";
import { logEventStatements } from "./store/apply-log-events.ts";
import { gatepostMigrations } from "./store/gatepost-migrations.ts";
import { openDatabase, openReader } from "./store/open-database.ts";
import { createMessageLog } from "./store/read-message-log.ts";
import { createAccounts } from "./store/run-accounts.ts";
import { openSpool } from "./store/spool.ts";
import { spoolMigrations } from "./store/spool-migrations.ts";
import { openBodyVault } from "./vault/body-vault.ts";
import { startHousekeeping } from "./vault/housekeeping.ts";
import { keepInQuarantine } from "./vault/keep-in-quarantine.ts";
import { createQuarantine } from "./vault/run-quarantine.ts";

/** A running gateway. */
export interface Gateway {
  readonly version: string;
  readonly consoleUrl: string;
  listeners(): readonly ListenerStatus[];
  /** The code that makes the first administrator, while there is none. */
  setupCode(): string | null;
  /** Reads the certificate again (SIGHUP): listeners and console use it for new connections. */
  reloadCertificates(): Promise<void>;
  /** Resolves when a part is lost without which mail could be lost: the process must end and be started anew. */
  readonly broken: Promise<void>;
  /** Drains: no new mail, attempts under way finish, everything else stays on disk. */
  close(): Promise<void>;
}

const REVERSE_NAME_MS = 5000;
const LISTENER_GRACE_MS = 10_000;
const QUEUE_GRACE_MS = 20_000;
const CONSOLE_GRACE_MS = 2000;

function deliverySettings({ delivery }: Policy) {
  return {
    tls: delivery.tls,
    maxConnectionsPerDestination: delivery.max_connections_per_destination,
    connectTimeoutMs: durationMs(delivery.connect_timeout),
    retryMs: delivery.retry.map(durationMs),
    giveUpAfterMs: durationMs(delivery.give_up_after),
    delayNoticeAfterMs: durationMs(delivery.delay_notice_after),
  };
}

function clamdHooks({ hook }: Policy): readonly ClamdHook[] {
  return hook
    .filter(({ enabled }) => enabled)
    .map(({ name, address, timeout }) => ({ name, address, timeoutMs: durationMs(timeout) }));
}

/** After this the databases and folders made in the data directory, and the directory itself, survive a power cut. */
async function syncNames(data: string): Promise<void> {
  for (const directory of [data, dirname(resolve(data))]) {
    try {
      await using handle = await openFile(directory, "r");
      await handle.sync();
    } catch {
      // Some file systems cannot sync a directory, and the parent may belong to somebody else: nothing can be done about it.
    }
  }
}

/** The address to type into a browser. */
function consoleUrl(at: { readonly hostname: string; readonly port: number }, hostname: string): string {
  const everywhere = at.hostname === "0.0.0.0" || at.hostname === "::";
  const local = at.hostname === "127.0.0.1" || at.hostname === "::1";
  const name = everywhere ? hostname : local ? "localhost" : at.hostname;
  return `https://${name.includes(":") ? `[${name}]` : name}:${at.port}`;
}

/** The policy document of a first start; later starts do not look at the file. Throws ConfigError. */
async function firstPolicy(store: PolicyStore, file: string | null): Promise<{ readonly initial?: unknown }> {
  if (file === null || (await store.load()).length > 0) return {};
  try {
    return { initial: parseToml(readFileSync(file, "utf8")) };
  } catch (error) {
    // Its further lines show the file, in which a password may stand; this goes to the log.
    const [what = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    const why = error instanceof TomlError ? `line ${error.line}: ${what}` : what;
    throw new ConfigError(`The policy of the first start, "${file}", cannot be used: ${why}`, {
      cause: error,
    });
  }
}

function countedDeliverer(deliverer: Deliverer, metrics: Metrics): Deliverer {
  return {
    ...deliverer,
    async attempt(attempt) {
      const outcomes = await deliverer.attempt(attempt);
      for (const { result } of outcomes) metrics.delivery(result);
      return outcomes;
    },
  };
}

/** Starts a gateway. Rejects with a readable error when a part that it cannot do without does not start; nothing runs then. */
export async function startGateway(config: Config): Promise<Gateway> {
  await using parts = new AsyncDisposableStack();
  const clock = systemClock;
  const log = createLog(config.log.level);
  parts.defer(() => log.flush());
  const metrics = createMetrics();
  const alarms = createAlarms(clock, log);
  const { hostname } = config;
  const startedAt = clock.now();
  const { promise: broken, resolve: onBroken } = Promise.withResolvers<void>();
  let draining = false;

  // What is kept: two databases, a Worker each, and the vault.
  const lost = (name: string) => (error: Error) => {
    alarms.set(name, `The database ${name} is lost to this process (${error.message}); the gateway stops.`);
    onBroken();
  };
  const open = async (name: string, migrations: typeof spoolMigrations) => {
    const path = join(config.data, name);
    const database = await openDatabase({ path, migrations, log, onBroken: lost(name) });
    parts.defer(() => database.close());
    return database;
  };
  const spoolDatabase = await open("spool.db", spoolMigrations);
  const database = await open("gatepost.db", gatepostMigrations);
  const path = join(config.data, "gatepost.db");
  const reader = await openReader({ path, log, onBroken: lost("gatepost.db") });
  parts.defer(() => reader.close());
  const spool = await openSpool({ database: spoolDatabase, bodiesFolder: join(config.data, "spool") });
  const vault = await openBodyVault(join(config.data, "vault"));
  await syncNames(config.data);
  const messageLog = createMessageLog(reader);

  // What is set: the policy, as an immutable snapshot that is swapped whole.
  const store = createPolicyStore(database);
  const first = await firstPolicy(store, config.firstPolicy);
  const settings = await createSettings({ store, clock, log, ...first });
  const snapshot = () => settings.current();
  const policy = () => snapshot().policy;

  // How mail leaves: the resolver, one attempt, the queue.
  const resolver = createResolver({ servers: config.dns.servers, log, clock });
  parts.defer(() => resolver.close());
  let delivery = deliverySettings(policy());
  const deliverer = countedDeliverer(
    createDeliverer({ resolver, hostname, settings: () => delivery, log, clock }),
    metrics,
  );
  const queue = await createQueue({
    spool,
    deliverer,
    clock,
    log,
    hostname,
    settings: () => delivery,
    // Addresses in the spool were parsed when they came in.
    destinationFor: (address) => snapshot().destination(address as MailAddress),
    writeLog: async (events) => {
      await database.commit(events.flatMap(({ event, json }) => logEventStatements(event, json)));
    },
    fileInQuarantine: async (copy) => {
      const keepMs = durationMs(policy().settings.quarantine_keep);
      await database.commit(await keepInQuarantine(vault, { copy, keepMs }));
    },
    onAlarm: alarms.set,
  });
  parts.defer(async () => {
    await queue.close(QUEUE_GRACE_MS);
    // The queue has waited for attempts already.
    await deliverer.close(0);
  });
  const quarantine = createQuarantine({
    db: database,
    reader,
    vault,
    release: async (item, body) => {
      await queue.acceptReleased(item, body);
    },
  });
  try {
    await quarantine.resumeReleases();
  } catch (err) {
    // One lost body must not keep all other mail from flowing.
    log.error({ err }, "releases that the last process began cannot be finished");
    alarms.set("releases", `${String(err)}. They are tried again at the next start; the log says which.`);
  }
  parts.defer(
    startHousekeeping({
      quarantine,
      database,
      clock,
      log,
      onAlarm: alarms.set,
      keepLogMs: () => durationMs(policy().settings.log_keep),
    }),
  );

  // What is true about a message: the checks, in scan workers.
  // Strangers choose what is asked here: a resolver of their own, so that their dead name servers do not hold up delivery.
  const checkResolver = createResolver({ servers: config.dns.servers, log, clock });
  parts.defer(() => checkResolver.close());
  const checks = createChecks({
    resolver: checkResolver,
    hostname,
    log,
    hooks: clamdHooks(policy()),
    onFailure: (check) => metrics.checkFailure(check),
  });
  parts.defer(() => checks.close());
  settings.onChange((now) => {
    delivery = deliverySettings(now.policy);
    checks.useHooks(clamdHooks(now.policy));
  });

  // How people see it: the console, the command line's socket, the figures.
  let listeners: Listeners | null = null;
  const connections = () => listeners?.connections() ?? 0;
  const keys = join(config.data, "keys");
  const certificate = await loadOrMakeCertificate(keys, hostname);
  const setup = await createSetupCode(createAccounts(database));
  const services = {
    hostname,
    version: VERSION,
    clock,
    log,
    settings,
    queue,
    quarantine,
    messageLog,
    accounts: setup.accounts,
    listeners: () => listeners?.status() ?? [],
    alarms: () => alarms.list(),
    setupCode: () => setup.current(),
    view: (message: Uint8Array) => checks.view(message),
    figures: () => ({
      startedAt,
      connections: connections(),
      memoryBytes: process.memoryUsage.rss(),
    }),
  };
  const web = serveConsole({ app: createConsole(services), listen: config.console.listen, tls: certificate });
  parts.defer(() => web.close(CONSOLE_GRACE_MS));
  const handlers = createControlHandlers({
    ...services,
    checks,
    setup,
    data: config.data,
    databases: { spool: spoolDatabase, gatepost: database },
  });
  parts.defer(serveControl({ dataDir: config.data, handlers, log }));
  if (config.metrics.listen !== "") {
    metrics.gauge("connections", "Open SMTP connections", connections);
    metrics.gauge("queue_active", "Delivery attempts under way", () => queue.figures().active);
    metrics.gauge("alarms", "Raised alarms", () => alarms.list().length);
    metrics.gauge("resident_bytes", "Resident memory", () => process.memoryUsage.rss());
    metrics.gauge("queued_recipients", "Recipients that wait", async () => (await queue.counts()).queued);
    const health = () => {
      const problems = alarms.list().map((alarm) => alarm.words);
      return {
        ok: problems.length === 0 && !draining,
        problems: draining ? ["stopping", ...problems] : problems,
      };
    };
    try {
      parts.defer(serveMetrics({ listen: config.metrics.listen, registry: metrics.registry, health }));
    } catch (error) {
      alarms.set(
        "metrics",
        `The address ${config.metrics.listen} for /metrics cannot be used: ${String(error)}. Set [metrics] listen in the boot file.`,
      );
    }
  }

  // How mail comes in: the listeners and their sessions; last, so that a start that fails has taken no mail.
  const verifier = createRecipientVerifier({ resolver, hostname, clock, log });
  parts.defer(() => verifier.close());
  listeners = await createListeners({
    settings,
    certificate,
    services: {
      hostname,
      snapshot,
      checker: checks,
      queue,
      verifyRecipient: async (address, domain) => {
        const cacheMs = durationMs(domain.recipients.cache);
        const answer = await verifier.verify({ address, routes: domain.routes, cacheMs });
        return { known: answer.known, text: answer.known === "yes" ? answer.words : answer.text };
      },
      reverseName: (ip) => verifiedName(resolver, { ip, timeoutMs: REVERSE_NAME_MS }),
      clock,
      log,
      draining: () => draining,
      metrics,
    },
  });
  const opened = listeners;
  parts.defer(() => opened.close(LISTENER_GRACE_MS));

  const running = parts.move();
  return {
    version: VERSION,
    consoleUrl: consoleUrl(web, hostname),
    listeners: () => opened.status(),
    setupCode: () => setup.current(),
    broken,
    async reloadCertificates() {
      try {
        const fresh = await loadOrMakeCertificate(keys, hostname);
        opened.updateCertificate(fresh);
        await web.reload(fresh);
        alarms.set("certificate", null);
        log.info({ notAfter: fresh.notAfter }, "certificate read again");
      } catch (err) {
        const why = err instanceof Error ? err.message : String(err);
        alarms.set("certificate", `The new certificate cannot be used, the old one stays: ${why}`);
        log.error({ err }, "the new certificate cannot be used; the old one stays");
      }
    },
    async close() {
      draining = true;
      log.info({}, "stopping: no new mail is taken, attempts under way finish");
      await running.disposeAsync();
      log.info({}, "stopped");
      await log.flush();
    },
  };
}
