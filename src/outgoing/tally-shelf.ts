// Where tallies lie in memory: open while they are asked for, packed to octets when they are not, and no more than there is room for.
import type { IdentityRow } from "../store/outgoing-identity-rows.ts";
import { newTally, type Tally, trim, weigh } from "./tally.ts";
import { encodeTally, restoreTally } from "./tally-state.ts";

/** Identities held. Whoever is behind a smart host chooses their names. */
const MOST_TALLIES = 200_000;
const MOST_BYTES = 128 * 1024 * 1024;
/** So many of those that are too many go at once: finding the longest unseen looks at all. */
const MAKE_ROOM = 0.95;
/** Who was not seen for so long is packed. */
const IDLE_MS = 20_000;
/** What a packed one takes besides its state. */
const PACKED_BYTES = 250;

/** A tally nobody asks for now; everything of it is saved. */
interface PackedTally {
  readonly domain: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly state: Uint8Array;
}

type Held = Tally | PackedTally;

/** Senders themselves are always open and never let go. */
export class TallyShelf {
  readonly #most: number;
  /** By sender, then by identity; "" is the sender itself. */
  readonly #senders = new Map<string, Map<string, Held>>();
  /** Open identities. */
  readonly #open = new Set<Tally>();
  #size = 0;
  #bytes = 0;

  constructor(most = MOST_TALLIES) {
    this.#most = most;
  }

  get isNearlyFull(): boolean {
    return this.#isCrowded(MAKE_ROOM);
  }

  /** The tally, unpacked; null when there is none. */
  take(sender: string, name: string): Tally | null {
    const names = this.#senders.get(sender);
    const held = names?.get(name);
    if (names === undefined || held === undefined) return null;
    if ("changes" in held) return held;
    const tally = unpacked(sender, name, held);
    this.#bytes -= packedWeight(held);
    // The key that is there stays: it is in memory of its own.
    names.set(name, tally);
    this.#opened(tally);
    return tally;
  }

  /** Puts a tally where there is none. */
  put(tally: Tally): void {
    this.#namesOf(tally.sender).set(tally.name, tally);
    this.#size++;
    this.#opened(tally);
  }

  /** Puts one as the database has it, where there is none. */
  putPacked({ sender, name, domain, firstSeen, lastSeen, state }: IdentityRow): void {
    const names = this.#namesOf(sender);
    if (names.has(name)) return;
    const packed: PackedTally = { domain, firstSeen, lastSeen, state: state.slice() };
    names.set(name, packed);
    this.#size++;
    this.#bytes += packedWeight(packed);
  }

  /** Packs what was not seen lately and is saved, where `mayPack` agrees. */
  pack(now: number, mayPack: (tally: Tally) => boolean): void {
    for (const tally of this.#open) {
      if (now - tally.lastSeen < IDLE_MS || !isSaved(tally) || !mayPack(tally)) {
        this.#weigh(tally);
        continue;
      }
      trim(tally, now);
      const { domain, firstSeen, lastSeen } = tally;
      const packed: PackedTally = { domain, firstSeen, lastSeen, state: encodeTally(tally) };
      this.#senders.get(tally.sender)?.set(tally.name, packed);
      this.#open.delete(tally);
      this.#bytes += packedWeight(packed) - tally.weight;
    }
  }

  /** Lets the longest unseen go when there are too many; those that are not saved only when there are far too many. The open ones among them are told. */
  *makeRoom(): Generator<Tally | null> {
    if (!this.#isCrowded(1)) return;
    const unsavedToo = this.#isCrowded(2);
    const mayGo = (held: Held): boolean => !("changes" in held) || unsavedToo || isSaved(held);
    while (this.#isCrowded(MAKE_ROOM)) {
      const sizeBefore = this.#size;
      const latest = this.#seenBefore(mayGo);
      for (const names of this.#senders.values()) {
        for (const [name, held] of names) {
          if (name === "" || held.lastSeen > latest || !mayGo(held)) continue;
          if (!this.#isCrowded(MAKE_ROOM)) return;
          yield this.#letGo(names, name, held);
        }
      }
      // What is left may not go.
      if (this.#size === sizeBefore) return;
    }
  }

  /** The time before which the longest unseen twentieth of those that may go was seen last. Plain numbers sort ten times as fast as the tallies. */
  #seenBefore(mayGo: (held: Held) => boolean): number {
    const times = new Float64Array(this.#size);
    let count = 0;
    for (const names of this.#senders.values())
      for (const [name, held] of names) if (name !== "" && mayGo(held)) times[count++] = held.lastSeen;
    return times.subarray(0, count).sort()[Math.floor(count * (1 - MAKE_ROOM))] ?? 0;
  }

  /** The tally, when it is an open one. */
  #letGo(names: Map<string, Held>, name: string, held: Held): Tally | null {
    names.delete(name);
    this.#size--;
    if (!("changes" in held)) {
      this.#bytes -= packedWeight(held);
      return null;
    }
    this.#bytes -= held.weight;
    this.#open.delete(held);
    return held;
  }

  #namesOf(sender: string): Map<string, Held> {
    const names = this.#senders.get(sender) ?? new Map<string, Held>();
    this.#senders.set(sender, names);
    return names;
  }

  #opened(tally: Tally): void {
    if (tally.name !== "") this.#open.add(tally);
    this.#weigh(tally);
  }

  #weigh(tally: Tally): void {
    const weight = weigh(tally);
    this.#bytes += weight - tally.weight;
    tally.weight = weight;
  }

  #isCrowded(share: number): boolean {
    return this.#size > this.#most * share || this.#bytes > MOST_BYTES * share;
  }
}

/** Nothing of it would be lost, and no message of it is being checked. */
function isSaved({ savedAs, changes, reserved }: Tally): boolean {
  return savedAs === changes && reserved === 0;
}

function packedWeight({ state }: PackedTally): number {
  return PACKED_BYTES + state.byteLength;
}

function unpacked(sender: string, name: string, { domain, firstSeen, lastSeen, state }: PackedTally): Tally {
  const tally = newTally(sender, name, firstSeen);
  tally.domain = domain;
  tally.lastSeen = lastSeen;
  restoreTally(tally, state);
  return tally;
}
