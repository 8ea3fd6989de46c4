// What the tests of the queue stand on: a real spool.db, a clock they turn, and a deliverer that answers by script.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attempt, Deliverer } from "../../src/delivery/attempt.ts";
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { Destination } from "../../src/delivery/route.ts";
import type { MailAddress } from "../../src/message/address.ts";
import type { RecipientDsn } from "../../src/message/envelope.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import type { Acceptance, Disposition } from "../../src/queue/queue.ts";
import { createQueue, type QueueOptions, type RunningQueue } from "../../src/queue/run-queue.ts";
import { type DatabaseWriter, type Statement, StoreError } from "../../src/store/database.ts";
import type { LogEvent } from "../../src/store/log-record.ts";
import { type Database, openDatabase } from "../../src/store/open-database.ts";
import { openSpool, type Spool } from "../../src/store/spool.ts";
import { spoolMigrations } from "../../src/store/spool-migrations.ts";
import type { ArchivedCopy } from "../../src/vault/keep-in-archive.ts";
import type { QuarantinedCopy } from "../../src/vault/keep-in-quarantine.ts";
import { readyDatabase } from "../store/ready-database.ts";
import { Busy } from "./busy.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const START = Date.UTC(2026, 10, 21, 12);

/** A clock that stands still until it is turned. */
export class TurnedClock implements Clock {
  #now: number;
  #timers: { at: number; order: number; wake: () => void }[] = [];
  #order = 0;

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Whether anybody waits for a time. */
  isAwaited(): boolean {
    return this.#timers.length > 0;
  }

  /** The machine's clock is set: timers still fire after the time they were given. */
  jump(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers) timer.at += ms;
  }

  /** Goes to the next timer that is due by `until` and wakes it; false when there is none. */
  step(until: number): boolean {
    const due = this.#timers.filter((timer) => timer.at <= until);
    due.sort((a, b) => a.at - b.at || a.order - b.order);
    const next = due[0];
    if (next === undefined) {
      this.#now = Math.max(this.#now, until);
      return false;
    }
    this.#timers = this.#timers.filter((timer) => timer !== next);
    this.#now = Math.max(this.#now, next.at);
    next.wake();
    return true;
  }
}

export type Script = (attempt: Attempt, now: number) => readonly Outcome[] | Promise<readonly Outcome[]>;

export interface SeenAttempt {
  readonly at: number;
  readonly attempt: Attempt;
  readonly outcomes: readonly Outcome[];
}

/** A deliverer that answers by script and remembers everything. */
export class ScriptedDeliverer implements Deliverer {
  readonly seen: SeenAttempt[] = [];
  script: Script;
  places = 20;
  underWay = 0;
  mostUnderWay = 0;
  readonly #clock: Clock;

  constructor(clock: Clock, script: Script) {
    this.#clock = clock;
    this.script = script;
  }

  async attempt(attempt: Attempt): Promise<readonly Outcome[]> {
    const at = this.#clock.now();
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    const outcomes = await this.script(attempt, at);
    this.underWay--;
    this.seen.push({ at, attempt, outcomes });
    return outcomes;
  }

  /** Whether servers that did not answer greet again. */
  greets: (destination: Destination, now: number) => boolean = () => false;
  looks = 0;

  async answers(destination: Destination, onAddress?: (address: string) => void): Promise<boolean> {
    this.looks++;
    if (destination.kind === "routes") for (const { host } of destination.routes) onAddress?.(host);
    return this.greets(destination, this.#clock.now());
  }

  capacity(): number {
    return this.places;
  }

  async close(): Promise<void> {}

  delivered(): readonly SeenAttempt[] {
    return this.seen.filter(({ outcomes }) => outcomes.some(({ result }) => result === "delivered"));
  }
}

const SERVER = "mx.example.org [192.0.2.7]:25";

export function answer(
  attempt: Attempt,
  result: Outcome["result"],
  reply: { code: number | null; enhanced?: string; text: string; server?: string | null },
): readonly Outcome[] {
  return attempt.recipients.map(({ n }) => ({
    n,
    result,
    code: reply.code,
    enhanced: reply.enhanced ?? null,
    text: reply.text,
    server: reply.server === undefined ? SERVER : reply.server,
    tls: null,
  }));
}

export const takes: Script = (attempt) =>
  answer(attempt, "delivered", { code: 250, enhanced: "2.0.0", text: "250 2.0.0 Ok" });
export const isDown: Script = (attempt) =>
  answer(attempt, "deferred", { code: null, text: "connection to 192.0.2.7:25 refused", server: null });
export const defers: Script = (attempt) =>
  answer(attempt, "deferred", { code: 451, enhanced: "4.7.1", text: "451 4.7.1 Greylisted" });
export const refuses: Script = (attempt) =>
  answer(attempt, "failed", { code: 550, enhanced: "5.1.1", text: "550 5.1.1 No such user" });

/** By MX: one destination per domain. */
export function byMx(address: string): Destination {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  return { kind: "mx", key: `mx:${domain}`, domain };
}

/** A spool on a disk of its own, and everything around a queue. Reopening gives a new process on the same files. */
export class Bench {
  readonly clock: TurnedClock;
  readonly busy = new Busy();
  readonly deliverer: ScriptedDeliverer;
  readonly events: LogEvent[] = [];
  readonly alarms: { name: string; words: string | null }[] = [];
  readonly filed: QuarantinedCopy[] = [];
  readonly archived: ArchivedCopy[] = [];
  readonly units: (readonly Statement[])[] = [];
  readonly folder: string;
  destinationFor: (address: string) => Destination = byMx;
  writeLog: (events: readonly LogEvent[]) => Promise<void> = async (events) =>
    void this.events.push(...events);
  file: (copy: QuarantinedCopy) => Promise<void> = async (copy) => void this.filed.push(copy);
  archive: (copy: ArchivedCopy) => Promise<void> = async (copy) => void this.archived.push(copy);
  /** Called before each commit; rejecting it makes the commit fail, never resolving it is a crash. */
  beforeCommit: (unit: readonly Statement[]) => Promise<void> = async () => {};
  maxBodyInRowBytes = 65_536;
  database: Database;
  spool!: Spool;
  #dead = { yes: false };

  private constructor(folder: string, database: Database, clock: TurnedClock) {
    this.folder = folder;
    this.database = database;
    this.clock = clock;
    this.deliverer = new ScriptedDeliverer(clock, takes);
  }

  static async open(): Promise<Bench> {
    const folder = await mkdtemp(join(tmpdir(), "queue-test-"));
    return new Bench(folder, await Bench.#database(folder), new TurnedClock(START));
  }

  static async #database(folder: string): Promise<Database> {
    const path = join(folder, "spool.db");
    await readyDatabase(path, spoolMigrations);
    return openDatabase({
      path,
      migrations: spoolMigrations,
      log: silentLog,
      onBroken: (error) => {
        throw error;
      },
    });
  }

  /** Room for everything; a write that failed for want of space raises the alarm as the real watch does. */
  #storage(): QueueOptions["storage"] {
    return {
      refusal: () => null,
      written: () => {},
      failed: (error) => {
        if (error instanceof StoreError && error.kind === "disk-full")
          this.alarms.push({ name: "disk-full", words: error.message });
      },
    };
  }

  async start(options: Partial<QueueOptions> = {}): Promise<RunningQueue> {
    const dead = { yes: false };
    this.#dead = dead;
    const { database, busy } = this;
    // What a dead process asks for is never answered, and nobody waits for it.
    const real = <T>(work: () => Promise<T>): Promise<T> =>
      dead.yes ? new Promise(() => {}) : busy.track(work());
    const watched: DatabaseWriter = {
      query: (query) => real(() => database.query(query)),
      commit: (unit) =>
        real(async () => {
          await this.beforeCommit(unit);
          this.units.push(unit);
          return database.commit(unit);
        }),
    };
    const spool = await openSpool({
      database: watched,
      bodiesFolder: join(this.folder, "bodies"),
      maxBodyInRowBytes: this.maxBodyInRowBytes,
    });
    // Reading and writing body files is real work too.
    this.spool = {
      ...spool,
      keepBody: (...args) => real(() => spool.keepBody(...args)),
      body: (...args) => real(() => spool.body(...args)),
      removeBody: (...args) => real(() => spool.removeBody(...args)),
    };
    return createQueue({
      spool: this.spool,
      storage: this.#storage(),
      deliverer: this.deliverer,
      clock: this.clock,
      log: silentLog,
      settings: () => ({
        retryMs: [1, 5, 15, 30, 60, 120, 240].map((minutes) => minutes * 60_000),
        giveUpAfterMs: 5 * DAY,
        delayNoticeAfterMs: 4 * HOUR,
      }),
      hostname: "gate.example.test",
      destinationFor: (address) => this.destinationFor(address),
      writeLog: (events) => this.writeLog(events.map(({ event }) => event)),
      fileInQuarantine: (copy) => this.file(copy),
      fileInArchive: (copy) => this.archive(copy),
      onAlarm: (name, words) => void this.alarms.push({ name, words }),
      random: () => 0.5,
      ...options,
    });
  }

  /** The process dies here: what it began stays as it is on disk, its timers and answers reach nobody. */
  async crash(): Promise<void> {
    this.#dead.yes = true;
    this.busy.forget();
    await this.database.close();
    this.database = await Bench.#database(this.folder);
  }

  /** Lets the clock run; real work is always finished before time goes on. */
  async run(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    await this.busy.rest();
    while (this.clock.step(until)) await this.busy.rest();
    await this.busy.rest();
  }

  bodyFiles(): Promise<readonly string[]> {
    return readdir(join(this.folder, "bodies"));
  }

  async close(): Promise<void> {
    await this.busy.rest();
    this.#dead.yes = true;
    await this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The words of a message's state events. */
  states(id: string): readonly string[] {
    return this.events.flatMap((event) =>
      event.kind === "state" && event.messageId === id ? [event.state] : [],
    );
  }
}

export const BODY =
  "Received: by gate.example.test\r\nFrom: <alice@example.test>\r\nTo: <bob@example.org>\r\nSubject: Offer\r\nMessage-ID: <m1@example.test>\r\n\r\nHello.\r\n";

export interface MailOptions {
  readonly id?: string;
  readonly now?: number;
  readonly from?: string | null;
  readonly to?: readonly string[];
  readonly body?: string;
  readonly mayBounce?: boolean;
  readonly dsn?: RecipientDsn | null;
  readonly disposition?: (address: string) => Disposition;
  readonly ret?: "FULL" | "HDRS" | null;
  readonly envid?: string | null;
}

/** An acceptance as the session would hand it in. */
export function mail(options: MailOptions = {}): Acceptance {
  const receivedAt = options.now ?? START;
  const id = options.id ?? newMessageId(receivedAt);
  const to = options.to ?? ["bob@example.org"];
  const from = options.from === undefined ? "alice@example.test" : options.from;
  const envelope = {
    id,
    listener: "submission",
    client: { ip: "192.0.2.1", port: 4711, helo: "pc.example.test", hostname: null, tls: null, login: from },
    reversePath: from as MailAddress | null,
    smtpUtf8: false,
    body: "7bit" as const,
    requireTls: false,
    dsnRet: options.ret ?? null,
    dsnEnvid: options.envid ?? null,
    receivedAt,
  };
  const deliver = (address: string): Disposition => ({
    kind: "deliver",
    destination: byMx(address),
    edits: [],
  });
  const grant = { by: "authenticated-sender" as const, sender: "alice@example.test" };
  const message = new TextEncoder().encode(options.body ?? BODY);
  return {
    envelope,
    recipients: to.map((address, index) => ({
      n: index + 1,
      address,
      dsn: options.dsn ?? null,
      mayBounce: options.mayBounce ?? true,
      disposition: (options.disposition ?? deliver)(address),
    })),
    message,
    record: {
      id,
      envelope,
      recipients: to.map((address, index) => ({
        n: index + 1,
        address: address as MailAddress,
        direction: "outbound" as const,
        grant,
        state: "queued" as const,
        verdict: null,
        reply: "250 2.1.5 Ok",
      })),
      size: message.length,
      subject: "Offer",
      headerFrom: "<alice@example.test>",
      headerMessageId: "<m1@example.test>",
      findings: [],
      reply: `250 2.0.0 Queued as ${id}`,
      cause: null,
    },
  };
}
