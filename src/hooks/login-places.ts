// The places at one mail server that is asked for passwords. Bounded; nobody's guesses take them all: turns by login and by client
// network, and a part kept for logins and networks without a wrong password of late. No I/O.
import type { Clock } from "../observe/clock.ts";

/** Who wants a place; one object for each time. */
export interface PlaceAsker {
  /** As it is compared. */
  readonly login: string;
  /** The client's address. */
  readonly client: string;
  /** With whom the client counts. */
  readonly network: string;
}

interface Waiting {
  readonly asker: PlaceAsker;
  settle(entered: boolean): void;
}

/** Dialogues with one server side by side. */
const MAX_DIALOGUES = 8;
/** A wrong password may take a server 20 s: of those, the half is free. */
const MAX_OF_SUSPECTS = 4;
const MAX_OF_ONE_NETWORK = 4;
const MAX_OF_ONE_LOGIN = 2;
const MAX_WAITING = 64;
/** Of one address, asking and waiting. */
const MAX_OF_ONE_CLIENT = 16;
/** Whoever has not had a place by then hears that there are too many. */
const MAX_WAIT_MS = 20_000;
/** For so long a wrong password is remembered of a login and a network. */
const SUSPECT_MS = 600_000;
const MAX_SUSPECTS = 10_000;

export class LoginPlaces {
  readonly #clock: Clock;
  readonly #asking = new Set<PlaceAsker>();
  readonly #waiting: Waiting[] = [];
  /** Until when; the oldest first. */
  readonly #suspects = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get idle(): boolean {
    return this.#asking.size === 0 && this.#waiting.length === 0;
  }

  /** true: there is a place, until `leave`. false: too many ask. */
  enter(asker: PlaceAsker): Promise<boolean> {
    const ofClient = this.#countAll(({ client }) => client === asker.client);
    if (ofClient >= MAX_OF_ONE_CLIENT) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#clock.after(MAX_WAIT_MS, () => this.#settle(waiting, false));
    const waiting: Waiting = {
      asker,
      settle(entered) {
        cancel();
        resolve(entered);
      },
    };
    this.#waiting.push(waiting);
    this.#fill();
    if (this.#waiting.length > MAX_WAITING) this.#refuseOne();
    return promise;
  }

  leave(asker: PlaceAsker): void {
    this.#asking.delete(asker);
    this.#fill();
  }

  /** The password was wrong, or the server did not answer. */
  suspect({ login, network }: PlaceAsker): void {
    const until = this.#clock.now() + SUSPECT_MS;
    for (const key of [loginKey(login), networkKey(network)]) {
      this.#suspects.delete(key);
      this.#suspects.set(key, until);
    }
    for (const [key, suspectUntil] of this.#suspects) {
      if (this.#suspects.size <= MAX_SUSPECTS && suspectUntil > this.#clock.now()) break;
      this.#suspects.delete(key);
    }
  }

  #isSuspect({ login, network }: PlaceAsker): boolean {
    const now = this.#clock.now();
    const has = (key: string) => (this.#suspects.get(key) ?? 0) > now;
    return has(loginKey(login)) || has(networkKey(network));
  }

  #fill(): void {
    while (this.#asking.size < MAX_DIALOGUES) {
      const next = this.#next();
      if (next === null) return;
      this.#asking.add(next.asker);
      this.#settle(next, true);
    }
  }

  /** Of those who may, the one whose network and login ask least; of equals the oldest. */
  #next(): Waiting | null {
    const asking = [...this.#asking];
    const suspects = count(asking, (one) => this.#isSuspect(one));
    let best: { readonly waiting: Waiting; readonly load: number } | null = null;
    for (const waiting of this.#waiting) {
      const { asker } = waiting;
      const ofLogin = count(asking, (one) => one.login === asker.login);
      const ofNetwork = count(asking, (one) => sameNetwork(one, asker));
      if (ofLogin >= MAX_OF_ONE_LOGIN || ofNetwork >= MAX_OF_ONE_NETWORK) continue;
      const load = ofLogin + ofNetwork;
      if (best !== null && load >= best.load) continue;
      if (suspects >= MAX_OF_SUSPECTS && this.#isSuspect(asker)) continue;
      best = { waiting, load };
    }
    return best?.waiting ?? null;
  }

  /** Too many wait: a suspect goes, or the newest of whoever has most here. */
  #refuseOne(): void {
    const all = this.#waiting.map(({ asker }) => asker);
    const rank = (asker: PlaceAsker) =>
      Math.max(
        count(all, (one) => one.login === asker.login),
        count(all, (one) => sameNetwork(one, asker)),
      ) + (this.#isSuspect(asker) ? MAX_WAITING * 2 : 0);
    let worst: { readonly waiting: Waiting; readonly rank: number } | null = null;
    for (const waiting of this.#waiting) {
      const own = rank(waiting.asker);
      if (worst === null || own >= worst.rank) worst = { waiting, rank: own };
    }
    if (worst !== null) this.#settle(worst.waiting, false);
  }

  #settle(waiting: Waiting, entered: boolean): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    waiting.settle(entered);
  }

  #countAll(is: (asker: PlaceAsker) => boolean): number {
    return (
      count([...this.#asking], is) +
      count(
        this.#waiting.map(({ asker }) => asker),
        is,
      )
    );
  }
}

function count(askers: readonly PlaceAsker[], is: (asker: PlaceAsker) => boolean): number {
  return askers.filter(is).length;
}

function sameNetwork(one: PlaceAsker, other: PlaceAsker): boolean {
  return one.network === other.network;
}

function loginKey(login: string): string {
  return `login ${login}`;
}

function networkKey(network: string): string {
  return `network ${network}`;
}
