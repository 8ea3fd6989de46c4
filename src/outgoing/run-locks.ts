// Who is stopped: locks fall in memory at once and are kept in the database, with their history and entries in the audit log.
// What brings a lock is decided elsewhere.
import { parseAddress } from "../message/address.ts";
import type { LockNews } from "../notify/outgoing-notices.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { DatabaseReader, DatabaseWriter, Statement } from "../store/database.ts";
import {
  type LockEventRow,
  type LockRow,
  loadLocks,
  lockDelete,
  lockEventStatements,
  lockUpsert,
} from "../store/outgoing-lock-rows.ts";
import { LockBook } from "./lock-book.ts";
import { LOCKED_BY_ITSELF } from "./outgoing.ts";
import { untilWords } from "./time-words.ts";

/** Events that wait for a database that takes none; more are left out of the history, never out of force. */
const MOST_WAITING = 10_000;

/** A lock to set. `name` is "" for the sender itself. */
export interface NewLock {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly words: string;
  /** Null: only a person lifts it. */
  readonly timeoutMs: number | null;
  /** After so many time-outs only a person lifts it. */
  readonly maxTimeouts: number;
  readonly template: string;
  /** The sender's login, where it has one. */
  readonly login: string | null;
}

export interface Locks {
  /** The lock in force, or null. A lock whose time is over ends here. */
  find(sender: string, name: string): LockRow | null;
  /** The reply to whoever is locked, else null. */
  refuse(sender: string, name: string): Reply | null;
  /** Locks at once; kept in the background. False: it was locked. */
  fall(lock: NewLock): boolean;
  /** A person locks: resolves when it is kept. Replaces a lock in force. */
  lock(lock: NewLock, by: string): Promise<void>;
  /** A person unlocks: resolves when it is kept; the count of time-outs begins anew. False: it was not locked. */
  unlock(key: { readonly sender: string; readonly name: string }, by: string): Promise<boolean>;
  list(domain?: string): readonly LockRow[];
  /** How many identities of the sender are locked. */
  identitiesLocked(sender: string): number;
  /** Resolves when what fell or ended is kept, or was not taken by the database. Never rejects. */
  kept(): Promise<void>;
  /** Tries again to keep what the database did not take. */
  save(): Promise<void>;
  close(): Promise<void>;
}

export interface LocksOptions {
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
  readonly clock: Clock;
  readonly log: Log;
  readonly onLock: (news: LockNews) => void;
  readonly onAlarm: OnAlarm;
}

/** Loads the locks; those whose time ended meanwhile are ended. */
export async function createLocks(options: LocksOptions): Promise<Locks> {
  const locks = new RunningLocks(options);
  await locks.load();
  return locks;
}

class RunningLocks implements Locks {
  readonly #options: LocksOptions;
  readonly #book = new LockBook();
  /** What the database has not taken yet: rows as they are now, and their events. */
  readonly #unkept = new Map<string, Pick<LockRow, "sender" | "name">>();
  #waiting: LockEventRow[] = [];
  readonly #writes = new Set<Promise<void>>();
  #cancelTimer: (() => void) | null = null;
  #timerAt: number | null = null;

  constructor(options: LocksOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    for (const row of await loadLocks(this.#options.reader)) this.#book.set(row);
    this.#endDue();
  }

  find(sender: string, name: string): LockRow | null {
    if (this.#book.isEmpty) return null;
    const held = this.#book.get(sender, name);
    if (held === null || !held.active) return null;
    const now = this.#options.clock.now();
    const row = this.#begun(held, now);
    if (row.until === null || row.until > now) return row;
    this.#end(row);
    return null;
  }

  refuse(sender: string, name: string): Reply | null {
    const row = this.find(sender, name);
    return row === null ? null : lockReply(row);
  }

  fall(lock: NewLock): boolean {
    if (this.find(lock.sender, lock.name) !== null || !this.#makeRoom()) return false;
    const timeouts = this.#book.get(lock.sender, lock.name)?.timeouts ?? 0;
    const timed = lock.timeoutMs !== null && timeouts < lock.maxTimeouts;
    const now = this.#options.clock.now();
    const row = this.#row(lock, {
      by: LOCKED_BY_ITSELF,
      timeouts,
      until: timed ? now + (lock.timeoutMs ?? 0) : null,
    });
    this.#book.set(row);
    // Nobody is told of a lock that a crash could still forget.
    void this.#keep(row, eventOf(row, { what: "locked", at: now })).then(() => this.#tell(row, lock));
    this.#options.log.warn(
      { sender: row.sender, identity: row.name, until: row.until, why: row.words },
      "locked",
    );
    if (row.until !== null && (this.#timerAt === null || row.until < this.#timerAt)) this.#wakeAt(row.until);
    return true;
  }

  async lock(lock: NewLock, by: string): Promise<void> {
    const before = this.#book.get(lock.sender, lock.name);
    if (!this.#makeRoom()) throw new Error("there is no room for a further lock; unlock some first");
    const row = this.#row(lock, { by, timeouts: before?.timeouts ?? 0, until: null });
    this.#book.set(row);
    try {
      await this.#commit([
        lockUpsert(row),
        ...statementsOf(eventOf(row, { what: "locked", at: row.since }), doorOf(by)),
      ]);
    } catch (error) {
      // What was not kept did not happen.
      if (this.#book.get(row.sender, row.name) === row) this.#restore(row, before);
      throw error;
    }
    this.#options.log.warn({ sender: row.sender, identity: row.name, by, why: row.words }, "locked");
    this.#tell(row, lock);
  }

  async unlock(key: { readonly sender: string; readonly name: string }, by: string): Promise<boolean> {
    const row = this.find(key.sender, key.name);
    if (row === null) return false;
    this.#book.delete(row);
    const event = eventOf({ ...row, by, until: null }, { what: "unlocked", at: this.#options.clock.now() });
    try {
      await this.#commit([lockDelete(row), ...statementsOf(event, doorOf(by))]);
    } catch (error) {
      if (this.#book.get(row.sender, row.name) === null) this.#restore(row, row);
      throw error;
    }
    this.#options.log.info({ sender: row.sender, identity: row.name, by }, "unlocked");
    this.#noteRoom();
    return true;
  }

  list(domain?: string): readonly LockRow[] {
    this.#endDue();
    return this.#book.active(domain);
  }

  identitiesLocked(sender: string): number {
    return this.#book.identitiesLocked(sender, this.#options.clock.now());
  }

  async kept(): Promise<void> {
    await Promise.all(this.#writes);
  }

  async save(): Promise<void> {
    await this.kept();
    if (this.#unkept.size === 0 && this.#waiting.length === 0) return;
    const keys = [...this.#unkept.values()];
    const events = this.#waiting;
    this.#unkept.clear();
    this.#waiting = [];
    await this.#write(keys, events);
  }

  async close(): Promise<void> {
    this.#cancelTimer?.();
    await this.save();
  }

  #row({ sender, name, domain, words }: NewLock, rest: Pick<LockRow, "by" | "timeouts" | "until">): LockRow {
    return { sender, name, domain, since: this.#options.clock.now(), words, active: true, ...rest };
  }

  #restore(row: LockRow, before: LockRow | null): void {
    if (before === null) this.#book.delete(row);
    else this.#book.set(before);
    this.#setTimer();
  }

  /** A lock of the future: the clock was put back. It begins now, or it would hold the longer for it. */
  #begun(row: LockRow, now: number): LockRow {
    if (row.until === null || row.since <= now) return row;
    const moved = { ...row, since: now, until: now + row.until - row.since };
    this.#book.set(moved);
    this.#unkept.set(`${row.sender}\n${row.name}`, row);
    return moved;
  }

  /** The lock ends by time-out: counted, told in the history, and no longer in force. */
  #end(row: LockRow): void {
    const ended: LockRow = { ...row, active: false, timeouts: row.timeouts + 1 };
    this.#book.set(ended);
    const at = row.until ?? this.#options.clock.now();
    void this.#keep(
      ended,
      eventOf({ ...ended, by: LOCKED_BY_ITSELF, until: null }, { what: "timed-out", at }),
    );
    this.#options.log.info({ sender: row.sender, identity: row.name }, "lock timed out");
  }

  #endDue(): void {
    const now = this.#options.clock.now();
    for (const held of [...this.#book.all()]) {
      if (!held.active) continue;
      const row = this.#begun(held, now);
      if (row.until !== null && row.until <= now) this.#end(row);
    }
    this.#noteRoom();
    this.#setTimer();
  }

  #setTimer(): void {
    const next = this.#book.nextEnd();
    if (next !== this.#timerAt) this.#wakeAt(next);
  }

  #wakeAt(at: number | null): void {
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer =
      at === null
        ? null
        : this.#options.clock.after(Math.max(0, at - this.#options.clock.now()), () => {
            this.#timerAt = null;
            this.#endDue();
          });
  }

  /** The alarm does not wait for the next lock to find out that there is room. */
  #noteRoom(): void {
    const givenUp = this.#book.toGiveUp();
    if (givenUp === null ? !this.#book.isFull : !givenUp.active) this.#options.onAlarm("locks", null);
  }

  #makeRoom(): boolean {
    const row = this.#book.toGiveUp();
    if (row?.active === true) this.#end(row);
    if (row !== null) {
      this.#book.delete(row);
      this.#unkept.set(`${row.sender}\n${row.name}`, row);
    }
    const full = this.#book.isFull;
    const what = full
      ? "a further one is not held"
      : row?.active === true
        ? "those that end first end early"
        : null;
    this.#options.onAlarm(
      "locks",
      what === null
        ? null
        : `More identities are locked than can be held, so ${what}; unlock some, or lock their sender.`,
    );
    return !full;
  }

  #tell(row: LockRow, { template, login }: NewLock): void {
    const user = row.name !== "" && parseAddress(row.name).ok ? row.name : login;
    const { sender, domain, until, words, by } = row;
    this.#options.onLock({
      ...(by === LOCKED_BY_ITSELF ? {} : { by }),
      at: row.since,
      domain,
      sender,
      identity: row.name === "" ? null : row.name,
      until,
      words,
      template,
      user,
    });
  }

  /** Keeps the row and the event in the background. Never rejects. */
  #keep(row: LockRow, event: LockEventRow): Promise<void> {
    const write = this.#write([row], [event]).finally(() => this.#writes.delete(write));
    this.#writes.add(write);
    return write;
  }

  async #write(
    keys: readonly Pick<LockRow, "sender" | "name">[],
    events: readonly LockEventRow[],
  ): Promise<void> {
    const rows = keys.map((key) => {
      const row = this.#book.get(key.sender, key.name);
      return row === null ? lockDelete(key) : lockUpsert(row);
    });
    try {
      await this.#commit([...rows, ...events.flatMap((event) => statementsOf(event, "system"))]);
      this.#options.onAlarm("lock-records", null);
    } catch (error) {
      for (const key of keys) this.#unkept.set(`${key.sender}\n${key.name}`, key);
      this.#waiting = [...events, ...this.#waiting].slice(0, MOST_WAITING);
      const why = error instanceof Error ? error.message : String(error);
      this.#options.onAlarm("lock-records", `Locks are in force but cannot be kept over a restart: ${why}`);
    }
  }

  async #commit(statements: readonly Statement[]): Promise<void> {
    await this.#options.db.commit(statements);
  }
}

/** A lock with a time-out is a matter of waiting (4xx); one that only a person lifts is final (5xx). */
function lockReply({ sender, name, until, words }: LockRow): Reply {
  const who = name === "" ? "sender" : "identity";
  const cause = `${name === "" ? sender : `"${name}" of ${sender}`} is locked: ${words}`;
  return until === null
    ? reply(550, "7.1", `This ${who} is locked and may not send; ask the administrator`, cause)
    : reply(450, "7.1", `This ${who} is locked and may not send until ${untilWords(until)}`, cause);
}

function eventOf(
  { sender, name, domain, by, words, until }: LockRow,
  { what, at }: Pick<LockEventRow, "what" | "at">,
): LockEventRow {
  return { sender, name, domain, at, what, by, words, until };
}

const ACTIONS: Readonly<Record<LockEventRow["what"], string>> = {
  locked: "outgoing.lock",
  unlocked: "outgoing.unlock",
  "timed-out": "outgoing.lock-timed-out",
};

/** Which door somebody came by: who acts is known by name only. */
function doorOf(by: string): "console" | "api" | "cli" {
  if (by === "command line") return "cli";
  return by.startsWith("api token ") ? "api" : "console";
}

function statementsOf(event: LockEventRow, via: "console" | "api" | "cli" | "system"): Statement[] {
  const { at, by, what, sender, name, words, until } = event;
  const ends =
    what !== "locked" ? "" : until === null ? "; only a person lifts it" : `; until ${untilWords(until)}`;
  return lockEventStatements(event, {
    at,
    actor: by,
    via,
    ip: null,
    action: ACTIONS[what],
    subject: name === "" ? `sender ${sender}` : `identity "${name}" of sender ${sender}`,
    detail: `${words}${ends}`,
  });
}
