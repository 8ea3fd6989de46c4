// Keeps the listeners of the policy open: follows changes without a restart, reports and retries what cannot be bound.
import type { ListenerSettings } from "../policy/schema.ts";
import type { Settings } from "../policy/settings.ts";
import { createMemoryBudget } from "../session/memory-budget.ts";
import { createPasswordCheck } from "../session/password-check.ts";
import type { GatewayServices, SessionServices } from "../session/services.ts";
import type { Certificate } from "./certificate.ts";
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
}

const RETRY_MS = 10_000;
/** How long a listener that was changed or removed waits for its transactions under way. */
const CHANGE_GRACE_MS = 60_000;
/** Time for the last replies after the grace. */
const GOODBYE_MS = 500;
/** Message bodies in memory, all sessions together; beyond it DATA is answered 452. */
const MAX_BODY_MEMORY = 512 * 1024 * 1024;

interface Entry {
  settings: ListenerSettings;
  open: OpenListener | null;
  /** Why it is not open. */
  words: string;
}

/** Opens the policy's listeners. Never rejects because of a port; see `status`. */
export async function createListeners(options: ListenersOptions): Promise<Listeners> {
  const { settings } = options;
  const services: SessionServices = {
    ...options.services,
    passwords: createPasswordCheck(options.services.clock),
    bodies: createMemoryBudget(MAX_BODY_MEMORY),
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
    removeStale(entries, wanted, leave);
    for (const one of wanted) await bring(entries, one, { services, certificate });
    if ([...entries.values()].some((entry) => entry.settings.enabled && entry.open === null))
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

function statusOf({ settings, open, words }: Entry): ListenerStatus {
  if (open !== null) return open.status();
  const { name, listen, enabled } = settings;
  return { name, listen, state: enabled ? "failed" : "off", words, connections: 0 };
}

/** Settings that need a new socket. */
function samePlace(a: ListenerSettings, b: ListenerSettings): boolean {
  return a.listen === b.listen && (a.tls === "implicit") === (b.tls === "implicit");
}

function removeStale(
  entries: Map<string, Entry>,
  wanted: readonly ListenerSettings[],
  leave: (open: OpenListener, graceMs: number) => void,
): void {
  for (const [name, entry] of entries) {
    const next = wanted.find((one) => one.name === name);
    if (next === undefined) entries.delete(name);
    if (entry.open === null || (next?.enabled === true && samePlace(next, entry.settings))) continue;
    leave(entry.open, CHANGE_GRACE_MS);
    entry.open = null;
  }
}

async function bring(
  entries: Map<string, Entry>,
  settings: ListenerSettings,
  options: { readonly services: SessionServices; readonly certificate: Certificate },
): Promise<void> {
  const entry = entries.get(settings.name) ?? { settings, open: null, words: "" };
  entry.settings = settings;
  entries.set(settings.name, entry);
  if (!settings.enabled) {
    entry.words = "";
    return;
  }
  if (entry.open !== null) return entry.open.update(settings);
  const { log } = options.services;
  try {
    entry.open = await openListener(settings, options);
    entry.words = "";
    log.info({ listener: settings.name, listen: settings.listen, tls: settings.tls }, "listening");
  } catch (err) {
    const words = bindFailure(settings.listen, err);
    if (words !== entry.words) log.error({ listener: settings.name, err }, words);
    entry.words = words;
  }
}

/** What went wrong and what to do, for the console and the log. */
function bindFailure(listen: string, err: unknown): string {
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  const again = `It is tried again every ${RETRY_MS / 1000} seconds.`;
  const { host, port } = splitListen(listen);
  switch (code) {
    case "EADDRINUSE":
      return `"${listen}" could not be bound: another program uses port ${port}; stop it or choose another port. ${again}`;
    case "EACCES":
    case "EPERM":
      return `"${listen}" could not be bound: ports below 1024 need a privilege; give the program CAP_NET_BIND_SERVICE or choose another port. ${again}`;
    case "EADDRNOTAVAIL":
      return `"${listen}" could not be bound: this machine has no address "${host}"; choose one of its own or 0.0.0.0. ${again}`;
    default:
      return `"${listen}" could not be bound (${err instanceof Error ? err.message : String(err)}). ${again}`;
  }
}
