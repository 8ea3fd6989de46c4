// The tallies in memory: found by sender and identity, saved when they changed, packed while nobody asks for them, and the longest
// unseen let go when there are too many; those come back from the database when they are seen. Counts nothing itself.
import type { Log } from "../observe/log.ts";
import type { DatabaseReader, DatabaseWriter, Statement } from "../store/database.ts";
import {
  dayAddition,
  type IdentityRow,
  identityUpsert,
  loadIdentities,
  loadIdentity,
  loadSenders,
} from "../store/outgoing-identity-rows.ts";
import { dayText, newTally, putBackVolume, type Tally, trim } from "./tally.ts";
import { TallyShelf } from "./tally-shelf.ts";
import { encodeTally, restoreTally } from "./tally-state.ts";

const SAVE_STEP = 250;
const LOAD_STEP = 2000;
/** So many changed tallies are saved without waiting for the next time. */
const MOST_UNSAVED = 10_000;
/** So many identities that came back are looked up at one time. */
const LOOKUPS = 32;

export interface TallyStoreOptions {
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
  readonly now: () => number;
  readonly log: Log;
  /** For tests: how many identities memory holds. */
  readonly mostTallies?: number;
}

/** All tallies. */
export class TallyStore {
  readonly #options: TallyStoreOptions;
  readonly #shelf: TallyShelf;
  readonly #dirty = new Set<Tally>();
  /** Identities that may be in the database: not saved before it was asked, or what it has of them would be lost. */
  readonly #unread = new Set<Tally>();
  #reading: Promise<void> | null = null;
  /** Whether the database may know identities that memory does not. */
  #moreOnDisk = false;
  #saving: Promise<void> | null = null;
  /** The database took nothing the last time: it is asked again when it is time, not for every message. */
  #isStuck = false;

  constructor(options: TallyStoreOptions) {
    this.#options = options;
    this.#shelf = new TallyShelf(options.mostTallies);
  }

  /** Loads the senders, and the identities seen last. */
  async load(): Promise<void> {
    for (const row of await loadSenders(this.#options.reader)) this.#restore(row);
    let after: IdentityRow | null = null;
    for (;;) {
      const rows: IdentityRow[] = await loadIdentities(this.#options.reader, { after, limit: LOAD_STEP });
      for (const row of rows) if (row.name !== "") this.#shelf.putPacked(row);
      after = rows.at(-1) ?? null;
      if (rows.length < LOAD_STEP) return;
      if (this.#shelf.isNearlyFull) {
        this.#moreOnDisk = true;
        return;
      }
    }
  }

  /** The tally, or null when memory has none. */
  find(sender: string, name: string): Tally | null {
    return this.#shelf.take(sender, name);
  }

  /** The tally, made when there is none. What the database knows of it comes a moment later. */
  get(sender: string, name: string, domain: string): Tally {
    const known = this.#shelf.take(sender, name);
    if (known !== null) {
      if (known.domain !== domain) {
        known.domain = domain;
        this.changed(known);
      }
      return known;
    }
    const tally = newTally(sender, ownText(name), this.#options.now());
    tally.domain = domain;
    this.#shelf.put(tally);
    if (this.#moreOnDisk) {
      this.#unread.add(tally);
      this.#readOn();
    }
    return tally;
  }

  /** Marks what was counted for saving. */
  changed(tally: Tally): void {
    tally.changes++;
    this.#dirty.add(tally);
    if (this.#dirty.size >= MOST_UNSAVED && this.#saving === null && !this.#isStuck) {
      this.save().catch((error: unknown) =>
        this.#options.log.warn({ err: error }, "identities were not saved"),
      );
    }
  }

  /** Resolves when identities that came back by now have what the database knew of them. */
  async whenRead(): Promise<void> {
    const waiting = [...this.#unread];
    while (this.#reading !== null && waiting.some((tally) => this.#unread.has(tally))) await this.#reading;
  }

  /** Saves what changed. Rejects with StoreError; what was not saved is saved the next time. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  /** Resolves when everything that changed before the call is saved. */
  async saveAll(): Promise<void> {
    await this.whenRead();
    await this.#saving?.catch(() => {});
    await this.save();
  }

  async #save(): Promise<void> {
    const due = [...this.#dirty].filter((tally) => !this.#unread.has(tally));
    for (const tally of due) this.#dirty.delete(tally);
    for (let at = 0; at < due.length; at += SAVE_STEP) {
      try {
        await this.#saveStep(due.slice(at, at + SAVE_STEP));
      } catch (error) {
        this.#isStuck = true;
        for (const tally of due.slice(at)) this.#dirty.add(tally);
        this.#tidyUp();
        throw error;
      }
    }
    this.#isStuck = false;
    this.#tidyUp();
  }

  async #saveStep(tallies: readonly Tally[]): Promise<void> {
    const now = this.#options.now();
    const statements: Statement[] = [];
    const taken = tallies.map((tally) => {
      trim(tally, now);
      const { unsaved, changes, sender, name, domain, firstSeen, lastSeen } = tally;
      tally.unsaved = null;
      statements.push(
        identityUpsert({ sender, name, domain, firstSeen, lastSeen, state: encodeTally(tally) }),
      );
      for (const volume of unsaved ?? [])
        statements.push(dayAddition({ sender, name, ...volume, day: dayText(volume.day) }));
      return { tally, unsaved, changes };
    });
    try {
      await this.#options.db.commit(statements);
      for (const { tally, changes } of taken) tally.savedAs = changes;
    } catch (error) {
      for (const { tally, unsaved } of taken) putBackVolume(tally, unsaved ?? []);
      throw error;
    }
  }

  /** Packs those nobody asks for, and makes room. */
  #tidyUp(): void {
    this.#shelf.pack(this.#options.now(), (tally) => !this.#unread.has(tally));
    for (const gone of this.#shelf.makeRoom()) {
      this.#moreOnDisk = true;
      if (gone !== null) this.#dirty.delete(gone);
    }
  }

  #restore(row: IdentityRow): void {
    const tally = newTally(row.sender, row.name, row.firstSeen);
    tally.domain = row.domain;
    tally.lastSeen = row.lastSeen;
    restoreTally(tally, row.state);
    trim(tally, this.#options.now());
    this.#shelf.put(tally);
  }

  /** Reads the next of the identities that came back, and after them those that came meanwhile. */
  #readOn(): void {
    if (this.#reading !== null || this.#unread.size === 0) return;
    this.#reading = this.#readSome([...this.#unread.values().take(LOOKUPS)]).finally(() => {
      this.#reading = null;
      this.#readOn();
    });
  }

  /** Puts what the database knows into the tallies; what was counted since stays. */
  async #readSome(tallies: readonly Tally[]): Promise<void> {
    for (const { tally, row } of await Promise.all(tallies.map((one) => this.#readOne(one)))) {
      this.#unread.delete(tally);
      if (row === null) continue;
      tally.firstSeen = Math.min(tally.firstSeen, row.firstSeen);
      restoreTally(tally, row.state);
    }
  }

  async #readOne(tally: Tally): Promise<{ readonly tally: Tally; readonly row: IdentityRow | null }> {
    try {
      return { tally, row: await loadIdentity(this.#options.reader, tally) };
    } catch (error) {
      this.#options.log.warn({ err: error, sender: tally.sender }, "an identity was not read");
      return { tally, row: null };
    }
  }
}

/** The text in memory of its own: a part of a header section would keep the whole of it in memory. */
function ownText(text: string): string {
  const encoding = /^[\x00-\xff]*$/.test(text) ? "latin1" : "utf16le";
  return Buffer.from(text, encoding).toString(encoding);
}
