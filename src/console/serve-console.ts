// The console's HTTPS server behind its front door. Owns the certificate, and who is really asking; knows nothing of pages.
import { type FrontDoor, openFrontDoor } from "../listener/front-door.ts";
import { TLS_SUITES } from "../listener/tls-suites.ts";
import type { IpNetwork } from "../message/address.ts";
import { inNetworks } from "../session/connect.ts";
import type { ConsoleApp } from "./create-console.ts";
import { realClient } from "./security/real-client.ts";

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
/** So long a server with an old certificate goes on for those who came to it, before it takes nobody more and ends. */
const LINGER_MS = 5000;
/** Above what any route takes (`read-body.ts`), so that the route's own answer comes first. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const TLS_1_2 = 0x0303;
/** Bun takes suites, which its types do not know. */
type Tls = Bun.TLSOptions & { readonly ciphers: string; readonly minVersion: number };

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

/** Asks the app on behalf of whoever is at the other end of the connection that came in at our port `port`. */
type Answer = (request: Request, port: number) => Response | Promise<Response>;

function start(answer: Answer, { key, cert }: ConsoleTls): Server {
  const tls: Tls = { key, cert, ciphers: TLS_SUITES, minVersion: TLS_1_2 };
  return Bun.serve({
    // Only the front door comes in here.
    hostname: "127.0.0.1",
    port: 0,
    tls,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: MAX_BODY_BYTES,
    fetch: (request, server) => answer(request, server.requestIP(request)?.port ?? 0),
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

export interface ServeConsoleOptions {
  readonly app: ConsoleApp;
  readonly listen: string;
  readonly tls: ConsoleTls;
  /** Reverse proxies whose word counts for who is asking. */
  readonly proxies?: readonly IpNetwork[];
  /** There were too many connections. */
  readonly onCrowded?: () => void;
}

/** Opens the console. Throws a readable error when the port is taken or the certificate cannot be used. */
export function serveConsole(options: ServeConsoleOptions): ConsoleServer {
  const { app, listen, proxies = [], onCrowded } = options;
  const at = splitListen(listen);
  let door: FrontDoor | null = null;
  const answer: Answer = (request, port) => {
    const peer = door?.peerOf(port) ?? "127.0.0.1";
    return app.fetch(request, { clientIp: realClient(peer, request.headers, proxies) });
  };
  let started: Server | null = null;
  let server: Server;
  try {
    server = start(answer, options.tls);
    started = server;
    door = openFrontDoor({
      ...at,
      target: () => server.port ?? 0,
      isProxy: (ip) => inNetworks(proxies, ip),
      ...(onCrowded === undefined ? {} : { onCrowded }),
    });
  } catch (error) {
    started?.stop(true);
    throw explain(listen, error);
  }
  const front = door;
  return {
    port: front.port,
    hostname: at.hostname,
    async reload(tls) {
      // T11: Bun's own reload keeps the old certificate. New connections go to the new server, the old one finishes what it has.
      const before = server;
      server = start(answer, tls);
      // Not stopped at once: who is on the way to it, or still shaking hands, would be cut off.
      await front.left(before.port ?? 0, LINGER_MS);
      await finish(before, LINGER_MS);
    },
    async close(graceMs) {
      front.stop();
      await finish(server, graceMs);
      front.cut();
    },
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
