// One SMTP connection: glue between smtp-server's socket handling and the session's verbs. Decides nothing about mail.
import type net from "node:net";
import type tls from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection";
import type { TlsInfo } from "../message/envelope.ts";
import { durationMs } from "../policy/duration.ts";
import type { ListenerSettings } from "../policy/schema.ts";
import { type Answer, answer, closing, wireText } from "../session/answer.ts";
import type { BodyCollector } from "../session/body-collector.ts";
import {
  greeting,
  greetingDelayMs,
  inNetworks,
  isTrusted,
  refuseClient,
  refuseConnection,
  TALKED_TOO_SOON,
} from "../session/connect.ts";
import { newBody, takeMessage } from "../session/data.ts";
import { normalIp } from "../session/ip-address.ts";
import { endTransaction } from "../session/record-refusal.ts";
import type { SessionServices } from "../session/services.ts";
import { forgetClient, newSession, type Session } from "../session/session.ts";
import { takeLine } from "../session/take-line.ts";
import type { ClientCounts } from "./client-counts.ts";
import { CommandStream, type StreamReader } from "./command-stream.ts";
import { bodyBegins, cutOff, type Patience } from "./patience.ts";
import { type ProxiedClient, readProxyHeader } from "./proxy-header.ts";

export interface ConnectionOptions {
  readonly id: string;
  readonly settings: ListenerSettings;
  readonly services: SessionServices;
  readonly counts: ClientCounts;
  /** What a PROXY header before an implicit TLS handshake said. */
  readonly proxied: ProxiedClient | null;
  /** Called once, when the socket is closed. */
  readonly onClosed: () => void;
}

const INTERNAL_ERROR = answer(451, "3.0", "Something went wrong here, try again later");

export class Connection extends SMTPConnection implements StreamReader {
  readonly dialog: Session;
  readonly #options: ConnectionOptions;
  readonly #peerIp: string;
  #countedIp: string;
  #out = "";
  #cancelGreeting: (() => void) | null = null;
  readonly #patience: Patience;
  readonly #idleMs: number;

  constructor(server: SMTPServer, socket: net.Socket | tls.TLSSocket, options: ConnectionOptions) {
    super(server, socket, { id: options.id });
    this.#options = options;
    this.#peerIp = normalIp(socket.remoteAddress ?? "") ?? "0.0.0.0";
    const ip = options.proxied?.ip ?? this.#peerIp;
    this.#countedIp = ip;
    const port = options.proxied?.port ?? socket.remotePort ?? 0;
    this.dialog = newSession(options.settings, {
      ip,
      port,
      helo: "",
      hostname: null,
      tls: tlsInfo(socket),
      login: null,
    });
    const now = options.services.clock.now();
    const start = { atMs: now, bytes: 0 };
    this.#patience = { waiting: "greeting", since: now, bodySince: now, marks: [start, start] };
    this.#idleMs = durationMs(options.settings.idle_timeout);
  }

  /** Admits the client and greets it; smtp-server would wait 100 ms with everyone. */
  override init(): void {
    const { settings, counts, proxied } = this.#options;
    const isProxy = inNetworks(settings.proxy_from, this.#peerIp);
    counts.enter(this.#countedIp);
    this.dialog.mayXclient = inNetworks(settings.proxy_from, this.dialog.client.ip);
    if (isProxy && proxied === null && settings.tls !== "implicit" && this._parser instanceof CommandStream)
      this._parser.expectsProxy = true;
    this._setListeners(() => this.#admit());
  }

  #admit(): void {
    const { services, counts } = this.#options;
    // A proxy is greeted before it names the client, who is judged then.
    const proxied = this._parser instanceof CommandStream && this._parser.expectsProxy;
    const refusal = proxied
      ? refuseConnection(this.dialog, { all: counts.all(), ofClient: 0 }, services)
      : this.#judgeClient();
    if (refusal !== null) {
      this.#perform(refusal);
      return;
    }
    const delayMs = proxied ? 0 : greetingDelayMs(this.dialog, services.snapshot());
    if (delayMs === 0) this.#greet();
    else this.#cancelGreeting = services.clock.after(delayMs, () => this.#greet());
  }

  /** Refuses the client that is known now, or begins to look up its name. */
  #judgeClient(): Answer | null {
    const { services, counts } = this.#options;
    const { ip } = this.dialog.client;
    const refusal =
      refuseClient(this.dialog) ??
      refuseConnection(this.dialog, { all: counts.all(), ofClient: counts.of(ip) }, services);
    if (refusal === null) services.onClient?.(ip);
    if (refusal === null && services.reverseName !== null && !isTrusted(services.snapshot(), ip))
      void services.reverseName(ip).then((name) => this.#named(ip, name));
    return refusal;
  }

  #named(ip: string, name: string | null): void {
    const { client } = this.dialog;
    if (client.ip === ip && client.hostname === null && name !== null)
      this.dialog.client = { ...client, hostname: name };
  }

  #greet(): void {
    this.#cancelGreeting = null;
    if (this._closing || this._closed) return;
    this.dialog.greeted = true;
    this.#wait("command");
    this.#perform(greeting(this.#options.services));
    this.#send();
  }

  #wait(waiting: Patience["waiting"]): void {
    this.#patience.waiting = waiting;
    this.#patience.since = this.#options.services.clock.now();
  }

  onInput(): boolean {
    if (this._closing || this._closed) return false;
    if (!this.dialog.greeted) {
      this.#perform(TALKED_TOO_SOON);
      return false;
    }
    if (this.#patience.waiting === "body") this.#patience.since = this.#options.services.clock.now();
    return true;
  }

  onFirst(bytes: Buffer): number {
    const header = readProxyHeader(bytes);
    switch (header.kind) {
      case "none":
        this.#becomes(null);
        return 0;
      case "partial":
        return -1;
      case "invalid":
        this.#perform(closing(421, "3.0", "The PROXY header is not usable"));
        this.#options.services.log.warn(
          { peer: this.#peerIp, reason: header.reason },
          "PROXY header refused",
        );
        return bytes.length;
      case "header":
        this.#becomes(header.client);
        return header.length;
    }
  }

  /** The proxy named the client, or (null) talks for itself. It was greeted already, so a refusal answers its first command. */
  #becomes(client: ProxiedClient | null): void {
    if (client !== null) {
      this.dialog.client = { ...this.dialog.client, ip: client.ip, port: client.port };
      this.dialog.mayXclient = inNetworks(this.#options.settings.proxy_from, client.ip);
      this.#recount();
    }
    const refusal = this.#judgeClient();
    if (refusal !== null) this.#perform(refusal);
  }

  #recount(): void {
    const { ip } = this.dialog.client;
    if (ip === this.#countedIp) return;
    this.#options.counts.leave(this.#countedIp);
    this.#options.counts.enter(ip);
    this.#countedIp = ip;
  }

  onLine(line: Buffer): Promise<void> | undefined {
    try {
      const given = takeLine(this.dialog, line, this.#options.services);
      if (given instanceof Promise) return this.#later(given);
      this.#wait("command");
      this.#perform(given);
    } catch (err) {
      this.#broke(err);
    }
    return undefined;
  }

  onBodyEnd(body: BodyCollector): Promise<void> {
    return this.#later(takeMessage(this.dialog, body, this.#options.services));
  }

  async #later(given: Promise<Answer>): Promise<void> {
    this.#wait("us");
    try {
      const late = await given;
      this.#wait("command");
      // The client left meanwhile: what was refused to it is still logged.
      if (this._closed) endTransaction(this.dialog, this.#options.services);
      this.#perform(late);
    } catch (err) {
      this.#wait("command");
      this.#broke(err);
    }
  }

  #broke(err: unknown): void {
    this.#options.services.log.error({ err, client: this.dialog.client.ip }, "a command broke");
    this.#perform(INTERNAL_ERROR);
  }

  onBrokenLine(flaw: "bare-lf" | "too-long"): void {
    const text = flaw === "bare-lf" ? "Lines end with CR LF" : "The line is too long";
    this.#perform(closing(500, "5.2", text));
  }

  #perform(given: Answer): void {
    if (this._closing || this._closed) return;
    if (given.next !== "greet") this.#out += wireText(given);
    switch (given.next) {
      case undefined:
        return;
      case "close":
        this.#send();
        this.close();
        return;
      case "data":
        if (this._parser instanceof CommandStream)
          this._parser.body = newBody(this.dialog, this.#options.services);
        this.#wait("body");
        bodyBegins(this.#patience, this.#patience.since);
        return;
      case "tls":
        this.#send();
        this.#wait("tls");
        this.upgrade(
          () => {},
          () => this.#secured(),
        );
        return;
      case "greet":
        this.#recount();
        this.#out += wireText(greeting(this.#options.services));
        return;
    }
  }

  /** RFC 3207 §4.2: what the client said before TLS is forgotten. What it pipelined was dropped with the old parser. */
  #secured(): void {
    endTransaction(this.dialog, this.#options.services);
    forgetClient(this.dialog, { ...this.dialog.client, tls: tlsInfo(this._socket) });
    this.#wait("command");
  }

  #send(): void {
    if (this.#out === "") return;
    const { _socket: socket } = this;
    if (!this._upgrading && !socket.destroyed && socket.writable) socket.write(this.#out, "latin1");
    this.#out = "";
  }

  flush(go: () => void): void {
    this.#send();
    const socket = this._socket;
    if (socket.writableNeedDrain && !socket.destroyed) socket.once("drain", go);
    else go();
  }

  /** Called every second or so: ends what has waited for the client too long. */
  tick(nowMs: number): void {
    if (this._closing || this._closed) return;
    const { _parser: parser } = this;
    const bodyBytes = parser instanceof CommandStream ? (parser.body?.received ?? 0) : 0;
    const blocked = this._socket.writableNeedDrain;
    const leastRate = this.#options.settings.min_data_rate;
    const end = cutOff(this.#patience, { nowMs, bodyBytes, blocked, idleMs: this.#idleMs, leastRate });
    if (end === null) return;
    if (end === "silently") {
      this.close();
      this._socket.destroy();
    } else this.#perform(closing(421, "4.2", end));
  }

  /** The listener closes: an idle client is told at once, one in a transaction only when `force` is set. */
  dismiss(options: { readonly force: boolean }): void {
    const busy = this.#patience.waiting === "us" || this.dialog.transaction !== null;
    if (busy && !options.force) return;
    this.#perform(
      closing(421, "3.2", `${this.#options.services.hostname} is shutting down, try again later`),
    );
  }

  /** Does not wait for the client any more. */
  destroy(): void {
    this._socket.destroy();
  }

  override _createParser(): CommandStream {
    const stream = new CommandStream(this);
    stream.once("finish", () => {
      // The client closed its side: what it had sent before is answered by now.
      if (stream !== this._parser || this._upgrading) return;
      this.#send();
      this.close();
    });
    stream.on("error", () => this.close());
    return stream;
  }

  /** The listener's sweep does this for all connections; smtp-server has a timer for each. */
  override _armTimeout(): void {}

  override _onError(err: Error): void {
    this.#options.services.log.debug(
      { client: this.dialog.client.ip, cause: err.message },
      "connection broke",
    );
    this.close();
    this._socket.destroy();
  }

  override _onClose(): void {
    const first = !this._closed;
    const { _parser: parser } = this;
    if (parser instanceof CommandStream) parser.body?.release();
    super._onClose();
    if (!first) return;
    this.#cancelGreeting?.();
    this.#options.counts.leave(this.#countedIp);
    this.#options.onClosed();
    if (this.#patience.waiting !== "us") endTransaction(this.dialog, this.#options.services);
  }
}

function tlsInfo(socket: net.Socket | tls.TLSSocket): TlsInfo | null {
  if (!("getProtocol" in socket)) return null;
  const cipher = socket.getCipher();
  return {
    protocol: socket.getProtocol() ?? "TLS",
    cipher: cipher?.standardName ?? cipher?.name ?? "unknown",
  };
}
