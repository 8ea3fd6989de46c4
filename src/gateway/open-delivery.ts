// How mail leaves: the resolver, one attempt, the queue; what is kept beside it: quarantine and archive.
import { loopSubject, loopWords, type OwnMark } from "../delivery/own-mark.ts";
import { createRestingLinks, type RestingLinks } from "../delivery/resting-links.ts";
import { type Destination, heldPlace, type WayTaken, waitingPlace } from "../delivery/route.ts";
import { createDeliverer } from "../delivery/run-deliverer.ts";
import { createServerLimits, type ServerLimits } from "../delivery/server-limits.ts";
import type { Dkim } from "../dkim/dkim.ts";
import { createDkim } from "../dkim/run-dkim.ts";
import type { Resolver } from "../dns/resolver.ts";
import { createResolver } from "../dns/stub-resolver.ts";
import { type Domain, domainKey, domainOf, type MailAddress } from "../message/address.ts";
import { headOf } from "../message/body.ts";
import { TOLD_FOR_MS } from "../observe/alarms.ts";
import type { KeptLook } from "../observe/keep-looking.ts";
import { releaseTerms } from "../policy/release-terms.ts";
import { sendsNothing } from "../policy/sends-nothing.ts";
import type { Settings } from "../policy/settings.ts";
import { signOwn } from "../policy/sign-as.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { isWay } from "../policy/still-asked.ts";
import { logKeepMs, quarantineKeepMs } from "../policy/times-in-force.ts";
import { createQueue, type RunningQueue } from "../queue/run-queue.ts";
import { createStorageWatch, type StorageWatch } from "../queue/watch-storage.ts";
import { isUntold, namedWriters } from "../queue/with-writers.ts";
import { logEventStatements } from "../store/apply-log-events.ts";
import { unseenUndeliverable } from "../store/quarantine-undeliverable.ts";
import { startHousekeeping } from "../vault/housekeeping.ts";
import { keepInArchive } from "../vault/keep-in-archive.ts";
import { keepInQuarantine } from "../vault/keep-in-quarantine.ts";
import type { Quarantine } from "../vault/quarantine.ts";
import { createQuarantine } from "../vault/run-quarantine.ts";
import { watchUndeliverable } from "../vault/watch-undeliverable.ts";
import type { Ground } from "./ground.ts";
import { deliverySettings } from "./load-settings.ts";
import type { Stores } from "./open-stores.ts";
import { type OnOutcomes, watchedDeliverer } from "./watched-deliverer.ts";

export interface Delivery {
  readonly resolver: Resolver;
  readonly dkim: Dkim;
  readonly queue: RunningQueue;
  /** What our own mail servers take. */
  readonly limits: ServerLimits;
  /** The connections that rest, whoever opened them. */
  readonly resting: RestingLinks;
  /** Looks for this gateway behind its own routes. */
  readonly own: OwnMark;
  readonly storage: StorageWatch;
  readonly quarantine: Quarantine;
}

const QUEUE_GRACE_MS = 20_000;

/** `onOutcomes`: what became of a message's recipients in one attempt. */
export async function openDelivery(
  ground: Ground,
  stores: Stores,
  options: {
    readonly settings: Settings;
    readonly onOutcomes: OnOutcomes;
    /** Accepted mail that no server takes was filed. */
    readonly onUndeliverable: () => void;
  },
): Promise<Delivery> {
  const { config, parts, clock, log, alarms } = ground;
  const { hostname } = config;
  const { database, reader, vault, spool } = stores;
  const { settings } = options;
  const snapshot = () => settings.current();
  const isSet = (domain: string) => snapshot().domain(domainKey(domain) as Domain) !== null;

  const resolver = createResolver({ servers: config.dns.servers, log, clock });
  parts.defer(() => resolver.close());
  // Who has just published a record must not be told of a kept "no such name".
  const freshResolver = createResolver({ servers: config.dns.servers, log, clock, keepAnswers: false });
  parts.defer(() => freshResolver.close());
  const dkim = createDkim({
    db: database,
    reader,
    key: stores.applianceKey,
    resolver: freshResolver,
    clock,
    log,
    onAlarm: alarms.set,
    isSet,
  });
  parts.defer(() => dkim.close());
  settings.onChange((now, before) => {
    for (const { name } of now.policy.domain)
      if (before.domain(name) === null && now.domain(name) !== null) dkim.remind(name);
    const left = new Set<string>(now.policy.domain.map(({ name }) => name));
    for (const { name } of before.policy.domain) if (!left.has(name)) dkim.forget(name);
  });
  let delivery = deliverySettings(snapshot());
  settings.onChange((now) => {
    delivery = deliverySettings(now);
  });
  const limits = createServerLimits(clock);
  const resting = createRestingLinks();
  const own: OwnMark = {
    mark: ground.ownMark,
    onLoop: (destination, server) =>
      alarms.set(`loop ${loopSubject(destination)}`, loopWords(destination, server), {
        isSet: () => isWay(snapshot(), destination),
        forMs: TOLD_FOR_MS,
      }),
  };
  const deliverer = watchedDeliverer(
    createDeliverer({ resolver, hostname, settings: () => delivery, log, clock, limits, resting, own }),
    { metrics: ground.metrics, onOutcomes: options.onOutcomes, log },
  );
  const watch = watchUndeliverable({
    unseen: () => unseenUndeliverable(reader),
    clock,
    log,
    onAlarm: alarms.set,
  });
  parts.defer(() => watch.stop());
  const storage = createStorageWatch({
    data: config.data,
    reserve: stores.reserve,
    spool,
    minFree: () => snapshot().policy.settings.min_free,
    clock,
    log,
    onAlarm: alarms.set,
  });
  parts.defer(() => storage.stop());
  const queue = await createQueue({
    spool,
    storage,
    deliverer,
    clock,
    log,
    hostname,
    settings: () => delivery,
    // Addresses in the spool were parsed when they came in.
    destinationFor: (address, taken, behind) => {
      const stop = behind === undefined ? null : sendsNothing(snapshot(), behind);
      return stop === null
        ? wayFor(snapshot(), address as MailAddress, taken)
        : heldPlace(stop.domain, stop.words, stop.awaitsSettings);
    },
    sign: (message, order) => dkim.sign(message, order),
    isSet,
    ownSign: () => signOwn(snapshot(), hostname),
    writeLog: async (events) => {
      await database.commit(events.flatMap(({ event, json }) => logEventStatements(event, json)));
    },
    fileInQuarantine: async (copy) => {
      const now = snapshot();
      const keepMs = quarantineKeepMs(now);
      const party = copy.sender === undefined ? null : now.partyOfKey(copy.sender);
      const owner = party === null ? {} : { senderDomain: party.sender.domain };
      await database.commit(
        await keepInQuarantine(vault, { copy, keepMs, now: () => clock.now(), ...owner }),
      );
      if (copy.undeliverable === undefined) return;
      watch.look();
      options.onUndeliverable();
    },
    fileInArchive: async (copy) => {
      await database.commit(await keepInArchive(vault, copy));
    },
    onAlarm: alarms.set,
  });
  settings.onChange(() => queue.lookForLife());
  parts.defer(async () => {
    await queue.close(QUEUE_GRACE_MS);
    // The queue has waited for attempts already.
    await deliverer.close(0);
  });
  return {
    resolver,
    dkim,
    queue,
    limits,
    resting,
    own,
    quarantine: await openQuarantine(ground, stores, { queue, settings, watch }),
    storage,
  };
}

/** What was taken in for a domain of ours is never passed on elsewhere because the domain is none any more. */
function wayFor(now: PolicySnapshot, address: MailAddress, taken: WayTaken): Destination {
  const domain = domainOf(address);
  return taken === "for us" && now.domain(domain) === null && !now.unread.isDomain(domain)
    ? waitingPlace(domain)
    : now.destination(address, taken);
}

async function openQuarantine(
  { parts, clock, log, alarms }: Ground,
  { database, reader, vault, spool }: Stores,
  {
    queue,
    settings,
    watch,
  }: {
    readonly queue: RunningQueue;
    readonly settings: Settings;
    readonly watch: KeptLook;
  },
): Promise<Quarantine> {
  const quarantine = createQuarantine({
    db: database,
    reader,
    vault,
    newBodyFile: () => spool.incoming(),
    onChange: () => watch.look(),
    release: async (item, body) => {
      const terms = releaseTerms(settings.current(), { ...item, message: body });
      const named = isUntold(item) ? { named: namedWriters(headOf(body)) } : {};
      await queue.acceptReleased({ ...item, ...terms, ...named }, body);
    },
  });
  try {
    await quarantine.resumeReleases();
  } catch (err) {
    // One lost body must not keep all other mail from flowing.
    log.error({ err }, "releases that the last process began cannot be finished");
    alarms.set("releases", `${String(err)}. They are tried again within the hour; the log says which.`);
  }
  const keepLogMs = () => logKeepMs(settings.current());
  parts.defer(startHousekeeping({ quarantine, database, clock, log, onAlarm: alarms.set, keepLogMs }));
  return quarantine;
}
