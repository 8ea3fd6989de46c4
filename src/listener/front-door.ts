// The console's own port: counts connections before anything is spent on them, and passes their bytes on to the server behind. Thousands
// that say nothing cost one descriptor each up to a cap, then the oldest silent one makes room. Knows nothing of TLS and HTTP.
import type { Socket } from "bun";
import { clientNetwork } from "../message/client-network.ts";
import { normalIp } from "../session/ip-address.ts";

export interface FrontDoorLimits {
  /** Connections in all. One that is passed on takes three descriptors. */
  readonly all: number;
  /** Of one IPv4 address or IPv6 /64. */
  readonly perClient: number;
  /** A client that has not begun to speak by then is cut off. */
  readonly silentSeconds: number;
  /** One that has said nothing for this long may be cut off for a newcomer when all places are taken. */
  readonly restingMs: number;
}

const FRONT_DOOR_LIMITS: FrontDoorLimits = {
  all: 240,
  perClient: 48,
  silentSeconds: 10,
  restingMs: 3000,
};

export interface FrontDoorOptions {
  readonly hostname: string;
  readonly port: number;
  /** The port on 127.0.0.1 the bytes go to. */
  readonly target: () => number;
  /** Reverse proxies: everybody has their address, so only the cap of all holds for them. */
  readonly isProxy: (ip: string) => boolean;
  readonly limits?: FrontDoorLimits;
  /** Somebody was turned away or cut off because there were too many. */
  readonly onCrowded?: () => void;
}

export interface FrontDoor {
  /** The port in use, also when 0 was asked for. */
  readonly port: number;
  readonly hostname: string;
  /** The address behind the connection that came to the target from this port of 127.0.0.1; null: it did not come by here. */
  peerOf(port: number): string | null;
  connections(): number;
  /** Waits until nobody is passed on to this port any more, at most `withinMs`. */
  left(targetPort: number, withinMs: number): Promise<void>;
  /** Takes no more. Connections that are passed on go on until `cut`. */
  stop(): void;
  cut(): void;
}

/** No client gets to its first request with less: what has said less is no loss. */
const HANDSHAKE_BYTES = 300;

/** One end of a passage: what it could not take at once waits here, and the other end is paused meanwhile. */
interface End {
  socket: Socket<End> | null;
  readonly passage: Passage;
  readonly waiting: Uint8Array[];
  ending: boolean;
}

/** A connection, and what it is passed on by. */
class Passage {
  readonly ip: string;
  /** What counts as one client. */
  readonly network: string;
  readonly outer: End = { socket: null, passage: this, waiting: [], ending: false };
  readonly inner: End = { socket: null, passage: this, waiting: [], ending: false };
  /** It has said something, and is passed on. */
  begun = false;
  /** Octets that came from the client. */
  heard = 0;
  lastAt = performance.now();
  /** The port of the target it is passed on to. */
  targetPort: number | null = null;
  /** Our own port towards the target. */
  innerPort: number | null = null;

  constructor(ip: string, network: string) {
    this.ip = ip;
    this.network = network;
  }
}

function write(end: End, from: End, chunk: Uint8Array): void {
  if (end.socket === null || end.waiting.length > 0) {
    end.waiting.push(chunk.slice());
    from.socket?.pause();
    return;
  }
  const taken = Math.max(0, end.socket.write(chunk));
  if (taken === chunk.length) return;
  end.waiting.push(chunk.slice(taken));
  from.socket?.pause();
}

function drain(end: End, from: End): void {
  while (end.socket !== null) {
    const [chunk] = end.waiting;
    if (chunk === undefined) break;
    const taken = Math.max(0, end.socket.write(chunk));
    if (taken < chunk.length) {
      end.waiting[0] = chunk.subarray(taken);
      return;
    }
    end.waiting.shift();
  }
  if (end.ending) end.socket?.end();
  else from.socket?.resume();
}

class RunningFrontDoor implements FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #limits: FrontDoorLimits;
  /** In order of arrival. */
  readonly #open = new Set<Passage>();
  readonly #perClient = new Map<string, number>();
  readonly #byInnerPort = new Map<number, Passage>();
  readonly #listener: Bun.TCPSocketListener<End>;
  /** Who waits until a target has nobody left. */
  readonly #awaited = new Set<() => void>();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#limits = options.limits ?? FRONT_DOOR_LIMITS;
    this.#listener = Bun.listen<End>({
      hostname: options.hostname,
      port: options.port,
      socket: {
        open: (socket) => this.#enter(socket),
        data: (socket, chunk) => this.#heard(socket.data, chunk),
        drain: (socket) => drain(socket.data, socket.data.passage.inner),
        timeout: (socket) => this.#leave(socket.data.passage),
        close: (socket) => this.#ended(socket.data),
        error: (socket) => this.#leave(socket.data.passage),
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  get hostname(): string {
    return this.#options.hostname;
  }

  peerOf(port: number): string | null {
    return this.#byInnerPort.get(port)?.ip ?? null;
  }

  connections(): number {
    return this.#open.size;
  }

  async left(targetPort: number, withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      for (const passage of this.#open) if (passage.targetPort === targetPort) return;
      resolve();
    };
    const late = setTimeout(resolve, withinMs);
    this.#awaited.add(look);
    look();
    await promise;
    clearTimeout(late);
    this.#awaited.delete(look);
  }

  stop(): void {
    this.#listener.stop(false);
  }

  cut(): void {
    for (const passage of [...this.#open]) this.#leave(passage);
    this.#listener.stop(true);
  }

  #enter(socket: Socket<End>): void {
    const ip = normalIp(socket.remoteAddress) ?? socket.remoteAddress;
    const network = clientNetwork(ip)?.host ?? ip;
    const passage = new Passage(ip, network);
    passage.outer.socket = socket;
    socket.data = passage.outer;
    if (!this.#makeRoom(ip, network)) {
      socket.terminate();
      return;
    }
    this.#open.add(passage);
    this.#perClient.set(network, (this.#perClient.get(network) ?? 0) + 1);
    socket.timeout(this.#limits.silentSeconds);
  }

  /** Room for one more: of the same client when that has too many, else of all. */
  #makeRoom(ip: string, network: string): boolean {
    const ofClient = this.#perClient.get(network) ?? 0;
    const crowdedByOne = ofClient >= this.#limits.perClient && !this.#options.isProxy(ip);
    if (!crowdedByOne && this.#open.size < this.#limits.all) return true;
    this.#options.onCrowded?.();
    const gone = this.#toGiveUp(crowdedByOne ? network : null);
    if (gone === null) return false;
    this.#leave(gone);
    return true;
  }

  /** The one that waits longest without having said what a handshake takes, else the one at rest for longest. */
  #toGiveUp(network: string | null): Passage | null {
    const restingSince = performance.now() - this.#limits.restingMs;
    let resting: Passage | null = null;
    for (const passage of this.#open) {
      if (network !== null && passage.network !== network) continue;
      if (passage.heard < HANDSHAKE_BYTES) return passage;
      if (passage.lastAt < restingSince && passage.lastAt < (resting?.lastAt ?? Number.POSITIVE_INFINITY))
        resting = passage;
    }
    return resting;
  }

  #heard(outer: End, chunk: Uint8Array): void {
    const { passage } = outer;
    passage.lastAt = performance.now();
    passage.heard += chunk.length;
    if (!passage.begun) this.#begin(passage);
    write(passage.inner, outer, chunk);
  }

  #begin(passage: Passage): void {
    const { inner, outer } = passage;
    passage.begun = true;
    // From here on the server behind says how long somebody may be silent.
    outer.socket?.timeout(0);
    const port = this.#options.target();
    passage.targetPort = port;
    Bun.connect<End>({
      hostname: "127.0.0.1",
      port,
      data: inner,
      socket: {
        open: (socket) => {
          if (!this.#open.has(passage)) {
            socket.terminate();
            return;
          }
          inner.socket = socket;
          passage.innerPort = socket.localPort;
          this.#byInnerPort.set(socket.localPort, passage);
          drain(inner, outer);
        },
        data: (_socket, bytes) => {
          passage.lastAt = performance.now();
          write(outer, inner, bytes);
        },
        drain: () => drain(inner, outer),
        close: () => this.#ended(inner),
        error: () => this.#leave(passage),
        connectError: () => this.#leave(passage),
      },
    }).catch(() => this.#leave(passage));
  }

  /** One end is closed: the other one gets what is still waiting for it, then ends too. */
  #ended(end: End): void {
    const { passage } = end;
    end.socket = null;
    const other = end === passage.outer ? passage.inner : passage.outer;
    other.ending = true;
    if (other.socket === null || other.waiting.length === 0) this.#leave(passage);
  }

  #leave(passage: Passage): void {
    const { outer, inner, network, innerPort } = passage;
    outer.socket?.end();
    inner.socket?.end();
    if (innerPort !== null && this.#byInnerPort.get(innerPort) === passage)
      this.#byInnerPort.delete(innerPort);
    if (!this.#open.delete(passage)) return;
    const left = (this.#perClient.get(network) ?? 1) - 1;
    if (left === 0) this.#perClient.delete(network);
    else this.#perClient.set(network, left);
    for (const look of this.#awaited) look();
  }
}

/** Opens the port. Throws when it cannot be had. */
export function openFrontDoor(options: FrontDoorOptions): FrontDoor {
  return new RunningFrontDoor(options);
}
