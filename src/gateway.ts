// The composition root: builds the parts in the order of the mail, closes them in reverse. Read this file first; `gateway/` has a
// file for each stage.
import type { Config } from "./config/config.ts";
import { VERSION } from "./config/version.ts";
import type { ListenerStatus } from "./console/services.ts";
import { createSetupCode } from "./console/setup-code.ts";
import { damageError, type FoundDamage } from "./gateway/data-folder.ts";
import { layGround } from "./gateway/ground.ts";
import { loadSettings } from "./gateway/load-settings.ts";
import { openChecks } from "./gateway/open-checks.ts";
import { openConsole } from "./gateway/open-console.ts";
import { openDelivery } from "./gateway/open-delivery.ts";
import { openDoor } from "./gateway/open-door.ts";
import { openOutgoing } from "./gateway/open-outgoing.ts";
import { openStores } from "./gateway/open-stores.ts";
import { watchUnread } from "./gateway/watch-unread.ts";
import type { OnOutcomes } from "./gateway/watched-deliverer.ts";
import { loadOrMakeCertificate } from "./listener/certificate.ts";
import type { Listeners } from "./listener/run-listeners.ts";
import { openLoginBook } from "./session/login-book.ts";
import { createBans } from "./session/run-bans.ts";
import { createNoticeState } from "./store/notice-state.ts";
import { createAccounts } from "./store/run-accounts.ts";

// Each database may turn out to be damaged once; more is a disk that nothing can be put on.
const MOST_TRIES = 3;

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

/**
 * Starts a gateway. Rejects with a readable error when a part that it cannot do without does not start; nothing runs then.
 * `acceptLoss`: it starts although the data directory lacks something it had.
 */
export async function startGateway(
  config: Config,
  { acceptLoss }: { readonly acceptLoss: boolean },
): Promise<Gateway> {
  let known: FoundDamage = new Map();
  for (let tries = 1; ; tries++) {
    const found = new Map<string, string>();
    try {
      return await start(config, { acceptLoss, known, found });
    } catch (error) {
      if (found.size === 0) throw error;
      // Damage that showed on the way. Where losses are accepted the next try puts that database aside.
      if (!acceptLoss || tries === MOST_TRIES) throw damageError(config.data, found);
      known = found;
    }
  }
}

/** One try. `known`: the damage that the one before found; `found` gets that of this one. */
async function start(
  config: Config,
  {
    acceptLoss,
    ...damage
  }: { readonly acceptLoss: boolean; readonly known: FoundDamage; readonly found: Map<string, string> },
): Promise<Gateway> {
  await using parts = new AsyncDisposableStack();
  let draining = false;
  const { promise: broken, resolve: onBroken } = Promise.withResolvers<void>();
  const ground = layGround(config, parts, () => draining);
  const { log, alarms } = ground;

  // What is kept, and what is set.
  const stores = await openStores(ground, { onBroken, acceptLoss, ...damage });
  const settings = await loadSettings(ground, stores);
  settings.onChange(() => alarms.review());
  watchUnread(ground, settings);

  // How mail leaves; who may send how much, and who is told.
  let noteOutcome: OnOutcomes = () => {};
  let noteUndeliverable = () => {};
  const delivery = await openDelivery(ground, stores, {
    settings,
    onOutcomes: (messageId, counts) => noteOutcome(messageId, counts),
    onUndeliverable: () => noteUndeliverable(),
  });
  let consoleAt = "";
  const consoleUrl = () => settings.current().policy.settings.console_url ?? consoleAt;
  const control = await openOutgoing(ground, stores, { settings, queue: delivery.queue, consoleUrl });
  noteUndeliverable = () => control.notices.undeliverable();
  noteOutcome = (messageId, counts) => control.outgoing.noteOutcome(messageId, counts);

  // What is true about a message, and how people see it.
  const checks = openChecks(ground, settings);
  let listeners: Listeners | null = null;
  const certificate = await loadOrMakeCertificate(stores.keys, config.hostname);
  const bans = createBans({ clock: ground.clock, log, snapshot: () => settings.current() });
  const state = createNoticeState(stores.database, stores.reader);
  const logins = await openLoginBook({ state, clock: ground.clock, log });
  parts.defer(() => logins.close());
  const setup = await createSetupCode(createAccounts(stores.database), ground.clock);
  const web = openConsole(ground, stores, {
    settings,
    delivery,
    control,
    checks,
    setup,
    certificate,
    bans,
    logins,
    consoleUrl,
    listeners: () => listeners?.status() ?? [],
    connections: () => listeners?.connections() ?? 0,
  });
  consoleAt = web.url;

  // How mail comes in.
  const door = await openDoor(ground, stores, {
    settings,
    delivery,
    control,
    checks,
    bans,
    logins,
    certificate,
  });
  listeners = door;

  const running = parts.move();
  return {
    version: VERSION,
    consoleUrl: web.url,
    listeners: () => door.status(),
    setupCode: () => setup.current(),
    broken,
    async reloadCertificates() {
      try {
        const fresh = await loadOrMakeCertificate(stores.keys, config.hostname);
        door.updateCertificate(fresh);
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
      await ground.flushLog();
    },
  };
}
