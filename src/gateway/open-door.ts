// How mail comes in: the listeners and their sessions. Opened last, so that a start that fails has taken no mail.
import type { GatewayChecks } from "../checks/create-checks.ts";
import { createKnownRecipients } from "../delivery/known-recipients.ts";
import { createRecipientVerifier } from "../delivery/recipient-verify.ts";
import { verifiedName } from "../dns/verified-name.ts";
import { createMailServerLogin } from "../hooks/mail-server-login.ts";
import type { Certificate } from "../listener/certificate.ts";
import { createListeners, type Listeners } from "../listener/run-listeners.ts";
import { durationMs } from "../policy/duration.ts";
import type { Settings } from "../policy/settings.ts";
import { isCalledOut, isPasswordServer } from "../policy/still-asked.ts";
import type { Bans } from "../session/bans.ts";
import { createCramPasswords } from "../session/cram-md5.ts";
import type { LoginBook } from "../session/login-book.ts";
import { knownRecipientStatements, loadKnownRecipients } from "../store/known-recipient-rows.ts";
import type { Ground } from "./ground.ts";
import type { Delivery } from "./open-delivery.ts";
import type { OutgoingControl } from "./open-outgoing.ts";
import type { Stores } from "./open-stores.ts";

const REVERSE_NAME_MS = 5000;
const LISTENER_GRACE_MS = 10_000;

/** Binds the listeners; one that cannot be bound says so and the others are open. */
export async function openDoor(
  ground: Ground,
  stores: Pick<Stores, "applianceKey" | "database" | "reader" | "spool">,
  rest: {
    readonly bans: Bans;
    readonly logins: LoginBook;
    readonly settings: Settings;
    readonly delivery: Delivery;
    readonly control: OutgoingControl;
    readonly checks: GatewayChecks;
    readonly certificate: Certificate;
  },
): Promise<Listeners> {
  const { parts, clock, log, config, metrics } = ground;
  const { hostname } = config;
  const { settings, delivery, control, bans } = rest;
  const { resolver } = delivery;
  const { database, reader } = stores;
  const confirmed = await createKnownRecipients({
    store: {
      load: (limit) => loadKnownRecipients(reader, limit),
      async save(changes) {
        await database.commit(knownRecipientStatements(changes));
      },
    },
    clock,
    log,
  });
  const verifier = createRecipientVerifier({
    resolver,
    hostname,
    clock,
    log,
    confirmed,
    onAlarm: ground.alarms.set,
    limits: delivery.limits,
    own: delivery.own,
    resting: delivery.resting,
    isAsked: (domain, routes) => isCalledOut(settings.current(), domain, routes),
    onAnswer: () => delivery.queue.lookForLife(),
  });
  parts.defer(() => verifier.close());
  const mailServerLogin = createMailServerLogin({
    log,
    resolver,
    clock,
    hostname,
    onAlarm: ground.alarms.set,
    isAsked: (server) => isPasswordServer(settings.current(), server),
  });
  parts.defer(() => mailServerLogin.close());
  const listeners = await createListeners({
    settings,
    certificate: rest.certificate,
    onAlarm: ground.alarms.set,
    services: {
      hostname,
      ownMark: ground.ownMark,
      snapshot: () => settings.current(),
      checker: rest.checks,
      queue: delivery.queue,
      storage: delivery.storage,
      outgoing: control.outgoing,
      onStopped: (message) => control.notices.stopped(message),
      bans,
      logins: rest.logins,
      takenBy: (routes) => delivery.limits.of(routes),
      mailServerLogin,
      cramPasswords: createCramPasswords(stores.applianceKey, log),
      verifyRecipient: async (address, domain) => {
        const cacheMs = durationMs(domain.recipients.cache);
        const answer = await verifier.verify({ address, routes: domain.routes, cacheMs });
        return { known: answer.known, text: answer.known === "yes" ? answer.words : answer.text };
      },
      reverseName: (ip) => verifiedName(resolver, { ip, timeoutMs: REVERSE_NAME_MS }),
      onClient: (ip) => delivery.queue.heardFrom(ip),
      bodyFolder: stores.spool.folder,
      newBodyFile: () => stores.spool.incoming(),
      clock,
      log,
      draining: ground.draining,
      metrics,
    },
  });
  parts.defer(() => listeners.close(LISTENER_GRACE_MS));
  settings.followUp(async () => {
    await listeners.settled();
    return listeners.status().flatMap(({ state, words }) => (state === "failed" ? [words] : []));
  });
  return listeners;
}
