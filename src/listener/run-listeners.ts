// Keeps the listeners of the policy open: follows changes without a restart, reports and retries what cannot be bound. A listener that
// moves is bound at its new place before the old one is closed.
import { descriptorLimit } from "../config/descriptors.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { ListenerSettings } from "../policy/schema.ts";
import type { Settings } from "../policy/settings.ts";
import { createBodyRoom } from "../session/body-room.ts";
import { createPasswordCheck } from "../session/password-check.ts";
import type { GatewayServices, SessionServices } from "../session/services.ts";
import type { Certificate } from "./certificate.ts";
import { createConnectionRoom } from "./connection-room.ts";
import { type ListenerStatus, type OpenListener, openListener, splitListen } from "./open-listener.ts";

export interface Listeners {
  status(): readonly ListenerStatus[];
  /** Open connections of all listeners. */
  connections(): number;
  /** The port a listener is bound to, or null while it is not. */
  port(name: string): number | null;
  updateCertificate(certificate: Certificate): void;
  /** Resolves once the listeners are as the policy wants them, or have failed to be. */
  settled(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

export interface ListenersOptions {
  readonly settings: Pick<Settings, "current" | "onChange">;
  readonly certificate: Certificate;
  readonly services: GatewayServices;
  /** Raises (words) or clears (null) an alarm. */
  readonly onAlarm: OnAlarm;
}

const RETRY_MS = 10_000;
/** How long a listener that was changed or removed waits for its transactions under way. */
const CHANGE_GRACE_MS = 60_000;
/** Time for the last replies after the grace. */
const GOODBYE_MS = 500;

interface Entry {
  settings: ListenerSettings;
  open: OpenListener | null;
  /** Where `open` listens: the place of the settings, or the one before while that cannot be bound. */
  place: Place;
  /** Why it is not open where it should be. */
  words: string;
}

/** Settings that need a new socket. */
type Place = Pick<ListenerSettings, "listen" | "tls">;

/** Opens the policy's listeners. Never rejects because of a port; see `status`. */
export async function createListeners(options: ListenersOptions): Promise<Listeners> {
  const { settings, onAlarm } = options;
  const services: SessionServices = {
    ...options.services,
    passwords: createPasswordCheck(options.services.clock),
    connections: createConnectionRoom({ descriptors: descriptorLimit(), onAlarm: options.onAlarm }),
    bodies: createBodyRoom({ folder: options.services.bodyFolder, clock: options.services.clock }),
  };
  const entries = new Map<string, Entry>();
  const leaving = new Set<Promise<void>>();
  let certificate = options.certificate;
  let closed = false;
  let cancelRetry = () => {};
  let work = Promise.resolve();

  const leave = (open: OpenListener, graceMs: number): void => {
    const gone = open.close(graceMs).finally(() => leaving.delete(gone));
    leaving.add(gone);
  };
  const reconcile = async (): Promise<void> => {
    cancelRetry();
    if (closed) return;
    const wanted = settings.current().policy.listener;
    for (const gone of removeStale(entries, wanted, leave)) onAlarm(alarmOf(gone), null);
    const opening: Opening = { services, certificate, leave };
    const blocked: Entry[] = [];
    for (const one of wanted) {
      const entry = entryOf(entries, one);
      if (one.enabled && (await bring(entry, opening)) === "in use") blocked.push(entry);
    }
    for (const entry of blocked) await bringOverOurOwn(entry, { entries, opening });
    for (const entry of entries.values())
      onAlarm(alarmOf(entry.settings.name), entry.words === "" ? null : entry.words);
    if ([...entries.values()].some(({ words }) => words !== ""))
      cancelRetry = services.clock.after(RETRY_MS, enqueue);
  };
  // One at a time: two changes in a row must not bind the same port twice.
  const enqueue = (): void => {
    work = work.then(reconcile).catch((err: unknown) => services.log.error({ err }, "listeners not changed"));
  };
  const stopFollowing = settings.onChange((now, before) => {
    if (now.policy.listener !== before.policy.listener) enqueue();
  });
  enqueue();
  await work;
  return {
    status: () => [...entries.values()].map(statusOf),
    connections: () => [...entries.values()].reduce((sum, one) => sum + statusOf(one).connections, 0),
    port: (name) => entries.get(name)?.open?.port ?? null,
    updateCertificate(renewed) {
      certificate = renewed;
      for (const { open } of entries.values()) open?.updateCertificate(renewed);
    },
    settled: () => work,
    async close(graceMs) {
      closed = true;
      stopFollowing();
      cancelRetry();
      await work;
      for (const { open } of entries.values()) if (open !== null) leave(open, graceMs);
      // A listener that was changed a moment ago has a longer grace of its own; the end of the process does not wait for it.
      const late = new Promise<void>((resolve) => void services.clock.after(graceMs + GOODBYE_MS, resolve));
      await Promise.race([Promise.all(leaving), late]);
    },
  };
}

function alarmOf(name: string): `listener ${string}` {
  return `listener ${name}`;
}

function statusOf({ settings, open, words }: Entry): ListenerStatus {
  if (open !== null && words === "") return open.status();
  const { name, listen, enabled } = settings;
  const connections = open?.status().connections ?? 0;
  return { name, listen, state: enabled ? "failed" : "off", words, connections };
}

function samePlace(a: Place, b: Place): boolean {
  return a.listen === b.listen && isImplicit(a) === isImplicit(b);
}

function isImplicit({ tls }: Pick<Place, "tls">): boolean {
  return tls === "implicit";
}

/** Closes what is not wanted any more; the names of those that the policy has not. */
function removeStale(
  entries: Map<string, Entry>,
  wanted: readonly ListenerSettings[],
  leave: (open: OpenListener, graceMs: number) => void,
): readonly string[] {
  const gone: string[] = [];
  for (const [name, entry] of entries) {
    const next = wanted.find((one) => one.name === name);
    if (next === undefined) {
      entries.delete(name);
      gone.push(name);
    }
    if (next?.enabled === true) continue;
    entry.words = "";
    if (entry.open === null) continue;
    leave(entry.open, CHANGE_GRACE_MS);
    entry.open = null;
  }
  return gone;
}

/** The listener's entry with the settings it should have. */
function entryOf(entries: Map<string, Entry>, settings: ListenerSettings): Entry {
  const entry = entries.get(settings.name) ?? { settings, open: null, place: settings, words: "" };
  entry.settings = settings;
  entries.set(settings.name, entry);
  return entry;
}

interface Opening {
  readonly services: SessionServices;
  readonly certificate: Certificate;
  readonly leave: (open: OpenListener, graceMs: number) => void;
}

/** Opens the listener where it should be, then closes it where it was. "in use": something has the port, perhaps one of ours. */
async function bring(entry: Entry, opening: Opening): Promise<"in use" | "done"> {
  const { settings } = entry;
  if (entry.open !== null && samePlace(entry.place, settings)) {
    entry.open.update(settings);
    entry.words = "";
    return "done";
  }
  const { log } = opening.services;
  try {
    const open = await openListener(settings, opening);
    if (entry.open !== null) opening.leave(entry.open, CHANGE_GRACE_MS);
    entry.open = open;
    entry.place = settings;
    entry.words = "";
    log.info({ listener: settings.name, listen: settings.listen, tls: settings.tls }, "listening");
    return "done";
  } catch (err) {
    // Where it still listens, all else that was changed holds at once: it may be a lock.
    const { listen, tls } = entry.place;
    entry.open?.update({
      ...settings,
      listen,
      ...(isImplicit(settings) === isImplicit({ tls }) ? {} : { tls }),
    });
    const stays = entry.open === null ? "" : ` Until then it still listens on "${entry.place.listen}".`;
    const words = bindFailure(settings, err) + stays;
    if (words !== entry.words) log.error({ listener: settings.name, err }, words);
    entry.words = words;
    return codeOf(err) === "EADDRINUSE" ? "in use" : "done";
  }
}

/**
 * Tries again after listeners of ours that are about to leave that port (it may be its own, on one address before and on all now) were
 * closed. When even that fails, they listen again where they did.
 */
async function bringOverOurOwn(
  entry: Entry,
  { entries, opening }: { readonly entries: ReadonlyMap<string, Entry>; readonly opening: Opening },
): Promise<void> {
  const { port } = splitListen(entry.settings.listen);
  const inTheWay: { readonly other: Entry; readonly place: Place }[] = [];
  for (const other of entries.values()) {
    const { open, place, settings } = other;
    if (open === null || samePlace(place, settings) || splitListen(place.listen).port !== port) continue;
    opening.leave(open, CHANGE_GRACE_MS);
    other.open = null;
    inTheWay.push({ other, place: { listen: place.listen, tls: place.tls } });
  }
  // It may have been in the way itself, and closed for one before it.
  if (inTheWay.length === 0 && entry.open !== null) return;
  await bring(entry, opening);
  if (entry.open !== null) return;
  for (const { other, place } of inTheWay) {
    try {
      other.open = await openListener({ ...other.settings, ...place }, opening);
      other.place = place;
      other.words += ` Until then it still listens on "${place.listen}".`;
    } catch (err) {
      opening.services.log.error({ listener: other.settings.name, err }, "not open at its old place either");
    }
  }
}

function codeOf(err: unknown): string {
  return err instanceof Error && "code" in err ? String(err.code) : "";
}

/** What went wrong and what to do, for the console and the log. */
function bindFailure({ name, listen }: ListenerSettings, err: unknown): string {
  const again = `It is tried again every ${RETRY_MS / 1000} seconds.`;
  const { host, port } = splitListen(listen);
  switch (codeOf(err)) {
    case "EADDRINUSE":
      return `listener ${name}: "${listen}" could not be bound: another program uses port ${port}; stop it or choose another port. ${again}`;
    case "EACCES":
    case "EPERM":
      return `listener ${name}: "${listen}" could not be bound: ports below 1024 need a privilege; give the program CAP_NET_BIND_SERVICE or choose another port. ${again}`;
    case "EADDRNOTAVAIL":
      return `listener ${name}: "${listen}" could not be bound: this machine has no address "${host}"; choose one of its own or 0.0.0.0. ${again}`;
    default:
      return `listener ${name}: "${listen}" could not be bound (${err instanceof Error ? err.message : String(err)}). ${again}`;
  }
}
