// The outbox: log events leave spool.db for gatepost.db at least once. Truth is on disk; what is in memory only saves reading it.
// Mail never waits for the message log.
import { type OnAlarm, TOLD_FOR_MS } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { type Statement, StoreError } from "../store/database.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import { forgetOutbox, insertOutbox } from "../store/spool-writing.ts";

// Gathers what comes within this time, so that a busy gateway syncs gatepost.db forty times a second, not four thousand.
const LINGER_MS = 25;
const MAX_EVENTS_PER_COMMIT = 400;
const ROWS_PER_READ = 100;
/** What stays in memory while gatepost.db cannot be written, in events and characters of their JSON; the rest is read from disk again. */
const MAX_HELD = { events: 4000, characters: 16_000_000 } as const;
/** Characters of one commit to gatepost.db: a record of 10,000 recipients has millions. */
const MAX_CHARACTERS_PER_COMMIT = 4_000_000;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 60_000;

export interface Outbox {
  /** Commits a unit together with its events for the log. Rejects with StoreError, and nothing is kept. */
  commit(unit: readonly Statement[], events: readonly LogEvent[]): Promise<readonly number[]>;
  /** The same for events whose JSON is at hand. */
  commitLogged(unit: readonly Statement[], events: readonly WrittenEvent[]): Promise<readonly number[]>;
  /** Starts moving events, first those a crash left behind. */
  start(): void;
  /** Resolves when everything was moved, or gatepost.db refuses. */
  drain(): Promise<void>;
  stop(): void;
}

/** An event on its way to the log, with its JSON when that is at hand. */
export interface LoggedEvent {
  readonly event: LogEvent;
  readonly json?: string;
}

type WrittenEvent = Required<LoggedEvent>;

/** Writes events to gatepost.db; applying one twice must change nothing. Rejects with StoreError. */
export type WriteLog = (events: readonly LoggedEvent[]) => Promise<void>;

export interface OutboxOptions {
  readonly spool: Spool;
  readonly writeLog: WriteLog;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
}

interface HeldRow {
  readonly seq: number;
  readonly events: readonly LoggedEvent[];
  /** Of their JSON. */
  readonly characters: number;
  state: "pending" | "stored" | "void";
}

/** Makes the outbox of a spool. */
export function createOutbox(options: OutboxOptions): Outbox {
  return new RunningOutbox(options);
}

class RunningOutbox implements Outbox {
  readonly #spool: Spool;
  readonly #options: OutboxOptions;
  /** Rows in the order of their numbers; every row on disk with a number not below the first of these is here. */
  #held: HeldRow[] = [];
  #heldEvents = 0;
  #heldCharacters = 0;
  /** Rows older than the held ones may be on disk. True at start: a crash leaves some. */
  #behind = true;
  #running: Promise<void> | null = null;
  #planned: (() => void) | null = null;
  #waitMs = 0;
  /** Set after a refusal: rows go one by one until the guilty one is found. */
  #careful = false;
  #stopped = true;

  constructor(options: OutboxOptions) {
    this.#spool = options.spool;
    this.#options = options;
  }

  commit(unit: readonly Statement[], events: readonly LogEvent[]): Promise<readonly number[]> {
    return this.commitLogged(
      unit,
      events.map((event) => ({ event, json: JSON.stringify(event) })),
    );
  }

  async commitLogged(
    unit: readonly Statement[],
    logged: readonly WrittenEvent[],
  ): Promise<readonly number[]> {
    if (logged.length === 0) return this.#spool.commit(unit);
    const payload = payloadOf(logged);
    const { length: characters } = payload;
    const row: HeldRow = { seq: this.#spool.nextOutboxSeq(), events: logged, characters, state: "pending" };
    this.#held.push(row);
    this.#heldEvents += logged.length;
    this.#heldCharacters += characters;
    try {
      const changed = await this.#spool.commit([...unit, insertOutbox(row.seq, payload)]);
      row.state = "stored";
      this.#trim();
      this.#plan(this.#waitMs > 0 ? this.#waitMs : LINGER_MS);
      return changed;
    } catch (error) {
      row.state = "void";
      throw error;
    }
  }

  start(): void {
    this.#stopped = false;
    this.#plan(0);
  }

  async drain(): Promise<void> {
    this.#planned?.();
    this.#planned = null;
    await this.#running;
    if (!this.#stopped) await this.#begin();
  }

  stop(): void {
    this.#stopped = true;
    this.#planned?.();
    this.#planned = null;
  }

  #plan(waitMs: number): void {
    if (this.#stopped || this.#running !== null || this.#planned !== null) return;
    this.#planned = this.#options.clock.after(waitMs, () => {
      this.#planned = null;
      void this.#begin();
    });
  }

  #begin(): Promise<void> {
    this.#running ??= this.#run().then(() => {
      this.#running = null;
      if (this.#waitMs > 0) this.#plan(this.#waitMs);
      else if (this.#behind || this.#held[0]?.state === "stored") this.#plan(LINGER_MS);
    });
    return this.#running;
  }

  /** Moves until there is nothing to move or something refuses. Never rejects. */
  async #run(): Promise<void> {
    try {
      while (!this.#stopped && (this.#behind ? await this.#moveFromDisk() : await this.#moveHeld()));
      if (this.#waitMs > 0) {
        this.#waitMs = 0;
        this.#options.onAlarm("message-log", null);
      }
    } catch (error) {
      this.#careful = true;
      this.#waitMs = Math.min(Math.max(this.#waitMs * 2, FIRST_WAIT_MS), MAX_WAIT_MS);
      this.#options.log.warn(
        { err: error, retryInMs: this.#waitMs },
        "message log not written; events wait in the spool",
      );
      this.#options.onAlarm(
        "message-log",
        `The message log is behind: ${wordsOf(error)}. Mail flows on; the log is caught up when it can be written again.`,
      );
    }
  }

  async #moveFromDisk(): Promise<boolean> {
    const beforeSeq = this.#held[0]?.seq ?? Number.MAX_SAFE_INTEGER;
    const rows = await this.#spool.events({
      afterSeq: 0,
      beforeSeq,
      limit: this.#careful ? 1 : ROWS_PER_READ,
      characters: MAX_CHARACTERS_PER_COMMIT,
    });
    const last = rows.at(-1);
    if (last === undefined) {
      this.#behind = false;
      return true;
    }
    await this.#write(
      rows.flatMap((row) => this.#parse(row)),
      last.seq,
    );
    return true;
  }

  async #moveHeld(): Promise<boolean> {
    const events: LoggedEvent[] = [];
    let rows = 0;
    let characters = 0;
    let lastSeq = 0;
    for (const row of this.#held) {
      characters += row.characters;
      const full =
        this.#careful ||
        events.length + row.events.length > MAX_EVENTS_PER_COMMIT ||
        characters > MAX_CHARACTERS_PER_COMMIT;
      if (row.state === "pending" || (rows > 0 && full)) break;
      if (row.state === "stored") for (const event of row.events) events.push(event);
      lastSeq = row.seq;
      rows++;
    }
    if (rows === 0) return false;
    await this.#write(events, lastSeq);
    // While it was written, `#trim` may have forgotten some of them.
    this.#forget((row) => row.seq <= lastSeq);
    return true;
  }

  /** Drops rows from the front, as long as `which` says so. False when there was none. */
  #forget(which: (row: HeldRow) => boolean): boolean {
    let count = 0;
    for (const row of this.#held) {
      if (!which(row)) break;
      this.#heldEvents -= row.events.length;
      this.#heldCharacters -= row.characters;
      count++;
    }
    if (count > 0) this.#held = this.#held.slice(count);
    return count > 0;
  }

  /** First the log, then the outbox: a crash in between repeats events, which changes nothing. */
  async #write(events: readonly LoggedEvent[], lastSeq: number): Promise<void> {
    if (events.length > 0) {
      try {
        await this.#options.writeLog(events);
      } catch (error) {
        if (!this.#careful || !(error instanceof StoreError) || error.kind !== "constraint") throw error;
        // The log contradicts this one row and always will: it is set aside in the log lines, or nothing would follow it.
        this.#options.log.error({ err: error, events }, "the message log refuses an event; it is left out");
        this.#options.onAlarm(
          "message-log-event",
          `The message log refused an event, which is kept in the log lines: ${wordsOf(error)}`,
          { forMs: TOLD_FOR_MS },
        );
      }
    }
    await this.#spool.commit([forgetOutbox(lastSeq)]);
    this.#careful = false;
  }

  #parse(row: { readonly seq: number; readonly payload: string }): readonly LoggedEvent[] {
    try {
      const events: readonly LogEvent[] = JSON.parse(row.payload);
      return events.map((event) => ({ event }));
    } catch (error) {
      this.#options.log.error(
        { err: error, seq: row.seq, payload: row.payload.slice(0, 2000) },
        "an event of the outbox cannot be read; it is left out",
      );
      return [];
    }
  }

  /** Forgets the oldest events in memory when there are too many; they are on disk. */
  #trim(): void {
    const exceeds = (part: number) =>
      this.#heldEvents > MAX_HELD.events * part || this.#heldCharacters > MAX_HELD.characters * part;
    if (!exceeds(1)) return;
    if (this.#forget((row) => row.state !== "pending" && exceeds(0.5))) this.#behind = true;
  }
}

function payloadOf(events: readonly { readonly json: string }[]): string {
  let payload = "[";
  for (const [index, { json }] of events.entries()) payload += index === 0 ? json : `,${json}`;
  return `${payload}]`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
