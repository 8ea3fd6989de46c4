// smtp-server's server with our connections in it: accepts sockets, reads a PROXY header before implicit TLS, shakes hands.
import type net from "node:net";
import type tls from "node:tls";
import { SMTPServer } from "smtp-server";
import type { SMTPConnectionOptions } from "smtp-server/lib/smtp-connection";
import { neighbourhood } from "../message/client-network.ts";
import type { ListenerSettings } from "../policy/schema.ts";
import { inNetworks, isTrusted } from "../session/connect.ts";
import { normalIp } from "../session/ip-address.ts";
import type { SessionServices } from "../session/services.ts";
import type { Certificate } from "./certificate.ts";
import type { ClientCounts } from "./client-counts.ts";
import { Connection } from "./connection.ts";
import { readHeaderFirst } from "./read-header-first.ts";
import { TLS_SUITES } from "./tls-suites.ts";

export interface GateServerOptions {
  readonly settings: ListenerSettings;
  readonly certificate: Certificate;
  readonly services: SessionServices;
  readonly counts: ClientCounts;
}

const HANDSHAKE_MS = 30_000;
const TOO_MANY = "421 4.3.2 Too many connections, try again later\r\n";

export class GateServer extends SMTPServer {
  /** Read for each new connection: changes that need no new socket are put here. */
  settings: ListenerSettings;
  /** Every connection until its socket is closed; `connections` forgets them when they begin to close. */
  readonly live = new Set<Connection>();
  readonly #services: SessionServices;
  readonly #counts: ClientCounts;
  #connectionsMade = 0;

  constructor({ settings, certificate, services, counts }: GateServerOptions) {
    super({
      secure: settings.tls === "implicit",
      key: certificate.key,
      cert: certificate.cert,
      minVersion: "TLSv1.2",
      ciphers: TLS_SUITES,
      logger: false,
      // A client may close its side after its last command and still wants the answers.
      allowHalfOpen: true,
      maxClients: settings.max_connections,
      socketTimeout: HANDSHAKE_MS,
    });
    this.settings = settings;
    this.#services = services;
    this.#counts = counts;
  }

  /** smtp-server's own reader knows version 1 only, and from fixed addresses. */
  override _expectsProxyHeader(): boolean {
    return false;
  }

  override _handleProxy(
    socket: net.Socket,
    callback: (
      err: Error | null,
      options?: { id: string; remoteAddress?: string; remotePort?: number },
    ) => void,
  ): void {
    this.#connectionsMade++;
    const id = this.#connectionsMade.toString(36);
    const peer = normalIp(socket.remoteAddress ?? "");
    const { tls: mode, proxy_from: proxies } = this.settings;
    if (!this.#takePlace(socket, peer)) return;
    if (mode !== "implicit" || peer === null || !inNetworks(proxies, peer)) {
      callback(null, { id });
      return;
    }
    readHeaderFirst(socket, (err, client) => {
      callback(err, client === null ? { id } : { id, remoteAddress: client.ip, remotePort: client.port });
    });
  }

  /** A place among all connections, until the socket is closed. Without one the client is told and the socket is gone at once. */
  #takePlace(socket: net.Socket, peer: string | null): boolean {
    const { auth, proxy_from: proxies, tls: mode } = this.settings;
    const { connections, snapshot, metrics } = this.#services;
    const ip = peer ?? "0.0.0.0";
    const trusted = inNetworks(proxies, ip) || isTrusted(snapshot(), ip);
    const user = { key: trusted ? ip : neighbourhood(ip), known: trusted || auth === "required" };
    if (connections.enter(user)) {
      socket.once("close", () => connections.leave(user));
      return true;
    }
    metrics.connection(this.settings.name);
    socket.on("error", () => {});
    // Before a handshake nobody could read it.
    if (mode === "implicit") socket.destroy();
    else socket.end(TOO_MANY, () => socket.destroy());
    return false;
  }

  override connect(socket: net.Socket | tls.TLSSocket, options?: SMTPConnectionOptions): void {
    const { remoteAddress: ip, remotePort: port } = options ?? {};
    const connection = new Connection(this, socket, {
      id: options?.id ?? "",
      settings: this.settings,
      services: this.#services,
      counts: this.#counts,
      proxied: ip === undefined || port === undefined ? null : { ip, port },
      onClosed: () => this.live.delete(connection),
    });
    this.#services.metrics.connection(this.settings.name);
    this.connections.add(connection);
    this.live.add(connection);
    connection.init();
  }

  /** Failed handshakes and the like: the client's trouble, worth a line only when one looks for it. */
  override _onError(err: Error): void {
    this.#services.log.debug({ listener: this.settings.name, cause: err.message }, "connection refused");
  }
}
