// The console's HTTPS socket. Owns the server and its certificate; knows nothing of pages.
import type { ConsoleApp } from "./create-console.ts";

export interface ConsoleTls {
  /** PEM. */
  readonly key: string;
  /** PEM, the chain included. */
  readonly cert: string;
}

export interface ConsoleServer {
  /** The port in use, also when 0 was asked for. */
  readonly port: number;
  readonly hostname: string;
  /** Takes a new certificate without closing the port. Requests under way are finished by the old server. */
  reload(tls: ConsoleTls): Promise<void>;
  /** Stops taking requests and waits for those under way, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** A client that sends or reads nothing for this long is cut off. */
const IDLE_SECONDS = 20;
/** Above what any route takes (`read-body.ts`), so that the route's own answer comes first. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

type Server = Bun.Server<undefined>;

function splitListen(listen: string): { readonly hostname: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(
      `console: "${listen}" is not an address with a port; write it like "0.0.0.0:8443" or "[::]:8443"`,
    );
  }
  return { hostname: match[1] ?? match[2] ?? "", port };
}

function start(
  app: ConsoleApp,
  at: { readonly hostname: string; readonly port: number },
  tls: ConsoleTls,
  reusePort: boolean,
): Server {
  return Bun.serve({
    hostname: at.hostname,
    port: at.port,
    reusePort,
    tls: { key: tls.key, cert: tls.cert },
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: MAX_BODY_BYTES,
    fetch: (request, server) => app.fetch(request, { clientIp: server.requestIP(request)?.address ?? "" }),
    error: () => new Response("Something broke here.", { status: 500 }),
  });
}

function explain(listen: string, error: unknown): Error {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason =
    code === "EADDRINUSE"
      ? "another program has the port; stop it, or set another one under [console] listen"
      : code === "EACCES"
        ? "this user may not open the port; use one above 1023"
        : error instanceof Error
          ? error.message
          : String(error);
  return new Error(`console: cannot listen on ${listen}: ${reason}`, { cause: error });
}

/** Opens the console. Throws a readable error when the port is taken or the certificate cannot be used. */
export function serveConsole(options: {
  readonly app: ConsoleApp;
  readonly listen: string;
  readonly tls: ConsoleTls;
}): ConsoleServer {
  const { app, listen } = options;
  const at = splitListen(listen);
  let server: Server;
  try {
    // Shared ports would hide that another program has ours: ask for it alone first, then shared, for `reload`.
    const probe = start(app, at, options.tls, false);
    const port = probe.port ?? at.port;
    probe.stop(true);
    server = start(app, { hostname: at.hostname, port }, options.tls, true);
  } catch (error) {
    throw explain(listen, error);
  }
  const port = server.port ?? at.port;
  return {
    port,
    hostname: at.hostname,
    async reload(tls) {
      // T11: Bun's own reload keeps the old certificate.
      const next = start(app, { hostname: at.hostname, port }, tls, true);
      const before = server;
      server = next;
      await finish(before, 5000);
    },
    close: (graceMs) => finish(server, graceMs),
  };
}

async function finish(server: Server, graceMs: number): Promise<void> {
  const calm = server.stop(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, graceMs);
  });
  await Promise.race([calm, late]);
  clearTimeout(timer);
  await server.stop(true);
}
