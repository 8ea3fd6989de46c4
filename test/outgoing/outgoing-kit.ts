// What the tests of outgoing control stand on: the real thing over a real database, and a clock that the test turns.
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MailAddress } from "../../src/message/address.ts";
import type { LockNews } from "../../src/notify/outgoing-notices.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import type {
  Outgoing,
  OutgoingConnection,
  OutgoingMessage,
  OutgoingResult,
} from "../../src/outgoing/outgoing.ts";
import { createOutgoing } from "../../src/outgoing/run-outgoing.ts";
import { formatReply } from "../../src/policy/reply.ts";
import type { OutgoingParty, PolicySnapshot } from "../../src/policy/snapshot.ts";
import { factsOf } from "../../src/rules/fact.ts";
import { type DatabaseWriter, type SqlRow, StoreError } from "../../src/store/database.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { type Database, openDatabase } from "../../src/store/open-database.ts";
import { address, client, snapshotOf } from "../policy/policy-fixtures.ts";
import { readyDatabase } from "../store/ready-database.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const START = Date.UTC(2026, 10, 21, 12);

/** A clock that stands still until it is turned; timers fire on the way. */
export class HandClock implements Clock {
  #now = START;
  #timers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + ms, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Goes on by so many milliseconds. */
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = until;
  }

  /** Somebody sets it; nothing fires. */
  set(now: number): void {
    this.#now = now;
  }
}

/** A database whose writes can be made to fail. */
export interface Brittle {
  failWith: StoreError | null;
  /** Writes wait for it. */
  heldBy: Promise<void> | null;
}

export interface Bench {
  readonly clock: HandClock;
  readonly news: LockNews[];
  readonly alarms: Map<string, string>;
  readonly brittle: Brittle;
  outgoing: Outgoing;
  snapshot: PolicySnapshot;
  rows(sql: string): Promise<readonly SqlRow[]>;
  /** The gateway ends and starts again; `crash`: nothing is saved at the end. */
  restart(options?: { readonly crash?: boolean; readonly downMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DOMAINS = [{ name: "example.test" }, { name: "example.org" }];

/** Senders with the settings given, and outgoing control over an empty database. */
export async function benchOf(
  document: { readonly sender: readonly object[]; readonly domain?: readonly object[] },
  options: { readonly mostTallies?: number } = {},
): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-outgoing-"));
  const clock = new HandClock();
  const news: LockNews[] = [];
  const alarms = new Map<string, string>();
  const brittle: Brittle = { failWith: null, heldBy: null };
  const path = join(directory, "gatepost.db");
  await readyDatabase(path, gatepostMigrations);
  const open = (): Promise<Database> =>
    openDatabase({
      path,
      migrations: gatepostMigrations,
      log: silentLog,
      onBroken: (error) => {
        throw error;
      },
    });
  let database = await open();
  const writer: DatabaseWriter = {
    query: (statement) => database.query(statement),
    commit: async (statements) => {
      if (brittle.heldBy !== null) await brittle.heldBy;
      if (brittle.failWith !== null) throw brittle.failWith;
      return database.commit(statements);
    },
  };
  const snapshot = await snapshotOf({ domain: DOMAINS, ...document });
  const start = (): Promise<Outgoing> =>
    createOutgoing({
      db: writer,
      reader: writer,
      snapshot: () => bench.snapshot,
      clock,
      log: silentLog,
      onLock: (one) => news.push(one),
      onAlarm: (name, words) => {
        if (words === null) alarms.delete(name);
        else alarms.set(name, words);
      },
      ...options,
    });
  const bench: Omit<Bench, "outgoing"> & { outgoing?: Outgoing } = {
    clock,
    news,
    alarms,
    brittle,
    snapshot,
    rows: (sql) => database.query({ sql, params: [] }),
    async restart({ crash = false, downMs = 0 } = {}) {
      if (crash) brittle.failWith = new StoreError("failed", "the process is gone");
      await bench.outgoing?.close();
      await database.close();
      brittle.failWith = null;
      clock.pass(downMs);
      database = await open();
      bench.outgoing = await start();
    },
    async [Symbol.asyncDispose]() {
      await bench.outgoing?.close();
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  const outgoing = await start();
  return Object.assign(bench, { outgoing });
}

/** The party a login sends as. */
export function partyOf(bench: Pick<Bench, "snapshot">, login: string): OutgoingParty {
  return party(bench, { login });
}

/** The party an address sends as. */
export function partyAt(bench: Pick<Bench, "snapshot">, ip: string): OutgoingParty {
  return party(bench, { ip });
}

function party({ snapshot }: Pick<Bench, "snapshot">, over: object): OutgoingParty {
  const listener = snapshot.policy.listener[0] ?? LISTENER;
  const found = snapshot.outgoingParty(listener, client(over));
  if (found === null) throw new Error("there is no such sender");
  return found;
}

const LISTENER = (
  await snapshotOf({
    listener: [
      {
        name: "submission",
        listen: "127.0.0.1:2525",
        auth: "optional",
        relay: ["trusted-networks", "authenticated"],
      },
    ],
  })
).policy.listener[0] as NonNullable<PolicySnapshot["policy"]["listener"][0]>;

export function connect(clientIp = "192.0.2.1"): OutgoingConnection {
  return { clientIp };
}

let lastMessage = 0;

export function messageOf(
  from: OutgoingParty,
  identity: string | null,
  recipients: readonly (string | MailAddress)[] = ["bob@example.net"],
  connection: OutgoingConnection = connect(),
): OutgoingMessage {
  return {
    id: `m${++lastMessage}`,
    party: from,
    identity,
    connection,
    recipients: recipients.map((one) => address(one)),
  };
}

export const CLEAN = { spam: false, lock: false, kind: null, rule: null, words: "" } as const;
export const SPAM = {
  spam: true,
  lock: false,
  kind: "spam",
  rule: "spam",
  words: "GTUBE",
  counted: [],
} as const;

/** Takes the message as it is. Returns the reply of outgoing control, or null. */
export function send(
  { outgoing }: Bench,
  message: OutgoingMessage,
  result: Partial<OutgoingResult> = {},
): string | null {
  const refused = outgoing.admitMessage(message);
  if (refused !== null) {
    outgoing.noteRefused(message.party, message.identity);
    return formatReply(refused);
  }
  const reply = outgoing.settle(message, { ...CLEAN, counted: message.recipients, ...result });
  return reply === null ? null : formatReply(reply);
}

/** As the shipped rules would have it: level 1 put off, 2 held, 3 stopped and locked. Returns what became of it. */
export function sendByRules(
  bench: Bench,
  message: OutgoingMessage,
): "taken" | "held" | "slowed" | "stopped" | string {
  const refused = bench.outgoing.admitMessage(message);
  if (refused !== null) return formatReply(refused);
  const facts = factsOf(bench.outgoing.findings(message));
  const level = Number(facts["bulk.level"]);
  const bulk = { ...CLEAN, kind: "bulk", words: "bulk" } as const;
  const counted = message.recipients;
  if (level >= 3) {
    bench.outgoing.settle(message, { ...bulk, rule: "bulk-lock", spam: true, lock: true, counted: [] });
    return "stopped";
  }
  if (level === 2) {
    bench.outgoing.settle(message, { ...bulk, rule: "bulk-hold", counted });
    return "held";
  }
  if (level === 1 && facts["bulk.waited"] !== true) {
    bench.outgoing.settle(message, { ...bulk, rule: "bulk-slow", counted: [] });
    return "slowed";
  }
  bench.outgoing.settle(message, { ...CLEAN, counted });
  return "taken";
}

/** So many addresses nobody wrote to before. */
export function strangers(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}@example.net`);
}

/** What a promise rejects with, in words. */
export async function refusalOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "it was done";
}
