// One listening socket with its connections, from bind to the last goodbye.
import type { ListenerSettings } from "../policy/schema.ts";
import type { SessionServices } from "../session/services.ts";
import { deepenBacklog } from "./backlog.ts";
import type { Certificate } from "./certificate.ts";
import { createClientCounts } from "./client-counts.ts";
import { GateServer } from "./gate-server.ts";

/** A listener as it runs; what the console shows. */
export interface ListenerStatus {
  readonly name: string;
  readonly listen: string;
  readonly state: "listening" | "failed" | "off";
  /** Why it failed and what to do, or "". */
  readonly words: string;
  readonly connections: number;
}

export interface OpenListener {
  status(): ListenerStatus;
  /** The port it listens on; differs from the settings only where those say 0. */
  readonly port: number;
  /** For new connections and new handshakes. */
  updateCertificate(certificate: Certificate): void;
  /** Takes over settings that need no new socket (all but `listen` and `tls`), for new connections. */
  update(settings: ListenerSettings): void;
  /** Stops listening, tells idle clients to go, waits for transactions under way at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** How often connections are looked at for time-outs. */
const SWEEP_MS = 1000;
/** Time for the last reply to leave. */
const GOODBYE_MS = 50;

/** Splits `0.0.0.0:25` or `[::]:25`. */
export function splitListen(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(":");
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(listen.slice(colon + 1)) };
}

/** Binds and listens. Rejects with the system's error (EADDRINUSE, EACCES, …). */
export async function openListener(
  settings: ListenerSettings,
  options: { readonly services: SessionServices; readonly certificate: Certificate },
): Promise<OpenListener> {
  const { services, certificate } = options;
  const counts = createClientCounts();
  const server = new GateServer({ settings, certificate, services, counts });
  const port = await listen(server, settings.listen);
  let listening = true;
  const stopSweep = sweep(server, services);
  return {
    port,
    status: () => ({
      name: server.settings.name,
      listen: server.settings.listen,
      state: listening ? "listening" : "off",
      words: "",
      connections: counts.all(),
    }),
    updateCertificate: ({ key, cert }) => server.updateSecureContext({ key, cert }),
    update(changed) {
      server.settings = changed;
    },
    async close(graceMs) {
      if (!listening) return;
      listening = false;
      const closed = new Promise<void>((resolve) => server.server.close(() => resolve()));
      await drain(server, services, graceMs);
      stopSweep();
      await closed;
    },
  };
}

function listen(server: GateServer, listenOn: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const { host, port } = splitListen(listenOn);
    server.server.once("error", reject);
    server.server.listen({ host, port }, () => {
      deepenBacklog(server.server);
      server.server.removeListener("error", reject);
      const address = server.server.address();
      resolve(address !== null && typeof address === "object" ? address.port : port);
    });
  });
}

function sweep(server: GateServer, services: SessionServices): () => void {
  let stopped = false;
  let cancel = () => {};
  const again = () => {
    if (stopped) return;
    const now = services.clock.now();
    for (const connection of server.live) connection.tick(now);
    cancel = services.clock.after(SWEEP_MS, again);
  };
  cancel = services.clock.after(SWEEP_MS, again);
  return () => {
    stopped = true;
    cancel();
  };
}

/** Idle clients go at once, the others as they finish; who is still there after `graceMs` is cut off. */
async function drain(server: GateServer, services: SessionServices, graceMs: number): Promise<void> {
  server._pendingSockets.forEach((topmost) => {
    topmost.destroy();
  });
  const pause = (ms: number) => new Promise<void>((resolve) => services.clock.after(ms, resolve));
  const end = services.clock.now() + graceMs;
  while (server.live.size > 0 && services.clock.now() < end) {
    for (const connection of server.live) connection.dismiss({ force: false });
    await pause(20);
  }
  if (server.live.size === 0) return;
  for (const connection of server.live) connection.dismiss({ force: true });
  await pause(GOODBYE_MS);
  for (const connection of server.live) connection.destroy();
}
