// Sends a day's outgoing mail of many identities through outgoing control over a real database, and tells what that costs in memory
// and time. A process of its own, so that nothing else is in its memory. Arguments: folder, identities, messages of each.
import { join } from "node:path";
import { parseAddress } from "../../../src/message/address.ts";
import type { Clock } from "../../../src/observe/clock.ts";
import { silentLog } from "../../../src/observe/log.ts";
import type { Outgoing } from "../../../src/outgoing/outgoing.ts";
import { createOutgoing } from "../../../src/outgoing/run-outgoing.ts";
import { createSnapshot } from "../../../src/policy/create-snapshot.ts";
import { draftChange } from "../../../src/policy/draft-change.ts";
import { DEFAULT_ITEMS, policyOf } from "../../../src/policy/policy-document.ts";
import { gatepostMigrations } from "../../../src/store/gatepost-migrations.ts";
import { openDatabase, openReader } from "../../../src/store/open-database.ts";

/** Recipients of a message. */
const RECIPIENTS = 2;
/** A connection carries so many messages, of so many identities. */
const ON_A_CONNECTION = 10;
/** Messages the meter runs for at a time. */
const BATCH = 100;
const DAY_MS = 86_400_000;

const LIMITS = {
  per_minute: 1_000_000,
  per_hour: 1_000_000,
  per_day: 1_000_000,
  per_week: 1_000_000,
  per_month: 1_000_000,
  recipients_per_day: 10_000_000,
};

const POLICY = {
  listener: [{ name: "mx", listen: "127.0.0.1:2525" }],
  domain: [{ name: "example.test" }],
  sender: [
    {
      kind: "ip",
      range: "192.0.2.0/28",
      domain: "example.test",
      identify_by: { header: "X-Client-ID", extract: "^([^;]+)", remove: true },
      limits: LIMITS,
      identity_limits: LIMITS,
    },
  ],
};

export interface IdentitiesCounted {
  readonly identities: number;
  readonly messages: number;
  /** Resident memory of the process with all identities held, and how much of it they added; 10^6 octets. */
  readonly residentMb: number;
  readonly addedMb: number;
  /** CPU of all answers about one message, microseconds. */
  readonly answersUs: number;
  /** CPU of saving what changed within 20 seconds, with the database's thread and the collector, milliseconds. */
  readonly saveMs: number;
  /** How long the next start loads them. */
  readonly loadSeconds: number;
  readonly databaseMb: number;
}

/** A day is sent within a minute: time goes on with each message, and what waits for it wakes. */
class DayClock implements Clock {
  #now = Date.UTC(2026, 10, 21);
  #timers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return Math.floor(this.#now);
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + ms, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get isAwaited(): boolean {
    return this.#timers.length > 0;
  }

  pass(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    if (due.length === 0) return;
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { wake } of due) wake();
  }
}

const clock = new DayClock();

function address(text: string) {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** Settled memory, 10^6 octets. */
async function residentMb(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    Bun.gc(true);
    await Bun.sleep(200);
  }
  return process.memoryUsage.rss() / 1e6;
}

async function start(folder: string): Promise<{
  readonly outgoing: Outgoing;
  readonly party: ReturnType<typeof partyOf>;
  close(): Promise<void>;
}> {
  const path = join(folder, "gatepost.db");
  const onBroken = (error: Error) => {
    throw error;
  };
  const database = await openDatabase({ path, migrations: gatepostMigrations, log: silentLog, onBroken });
  const reader = await openReader({ path, log: silentLog });
  const draft = await draftChange(DEFAULT_ITEMS, POLICY, { prune: false, hash: true, wholeFile: true });
  if (!draft.ok) throw new Error(JSON.stringify(draft.problems));
  const snapshot = createSnapshot(policyOf(draft.items), 1);
  const outgoing = await createOutgoing({
    db: database,
    reader,
    snapshot: () => snapshot,
    clock,
    log: silentLog,
    onLock: () => {},
    onAlarm: (name, words) => {
      if (words !== null) throw new Error(`${name}: ${words}`);
    },
  });
  return {
    outgoing,
    party: partyOf(snapshot),
    async close() {
      await outgoing.close();
      await reader.close();
      await database.close();
    },
  };
}

function partyOf(snapshot: ReturnType<typeof createSnapshot>) {
  const [listener] = snapshot.policy.listener;
  const client = {
    ip: "192.0.2.1",
    port: 25,
    helo: "web.example.test",
    hostname: null,
    tls: null,
    login: null,
  };
  const party = listener === undefined ? null : snapshot.outgoingParty(listener, client);
  if (party === null) throw new Error("the policy has no sender");
  return party;
}

const TOLD = { spam: false, lock: false, kind: null, rule: null, words: "" } as const;

/** A message of each identity, `everyMs` apart. Returns the CPU of all answers, microseconds. */
async function sendRound(
  { outgoing, party }: Awaited<ReturnType<typeof start>>,
  {
    identities,
    round,
    everyMs,
  }: { readonly identities: number; readonly round: number; readonly everyMs: number },
): Promise<number> {
  const from = address("shop@example.test");
  let answersUs = 0;
  for (let begin = 0; begin < identities; begin += BATCH) {
    // Made before the meter runs: a session has them anyway.
    const batch = Array.from({ length: Math.min(BATCH, identities - begin) }, (_, i) =>
      madeMessage(begin + i, round),
    );
    const before = process.cpuUsage();
    let connection = { clientIp: "192.0.2.1" };
    for (const [index, { id, header, recipients }] of batch.entries()) {
      if (index % ON_A_CONNECTION === 0) connection = { clientIp: "192.0.2.1" };
      let refused = outgoing.admitTransaction(party, connection, from);
      for (const [pending] of recipients.entries()) refused ??= outgoing.admitRecipient(party, from, pending);
      const { identity } = outgoing.identify(party, from, header);
      const message = { id, party, identity, connection, recipients };
      refused ??= outgoing.admitMessage(message);
      outgoing.findings(message);
      refused ??= outgoing.settle(message, { ...TOLD, counted: recipients });
      outgoing.noteOutcome(id, { delivered: recipients.length, rejected: 0 });
      if (refused !== null) throw new Error(`message ${id} was refused: ${refused.text}`);
      clock.pass(everyMs);
    }
    const { user, system } = process.cpuUsage(before);
    answersUs += user + system;
    // Saving goes on beside the mail; here it is done when it waits for its next time.
    do await Bun.sleep(0);
    while (!clock.isAwaited);
  }
  return answersUs;
}

function madeMessage(n: number, round: number) {
  return {
    id: `${round}-${n}`,
    header: Buffer.from(
      `From: <shop@example.test>\r\nX-Client-ID: client-${n}; host=web\r\nSubject: order\r\n\r\n`,
    ),
    recipients: Array.from({ length: RECIPIENTS }, (_, i) =>
      address(`customer${n}-${round % 3}-${i}@example.net`),
    ),
  };
}

async function main(folder: string, identities: number, rounds: number): Promise<IdentitiesCounted> {
  const messages = identities * rounds;
  const everyMs = DAY_MS / messages;
  const first = await start(folder);
  // The code is warm and the database open; what comes now is the identities'.
  for (let round = 0; round < 20; round++) await sendRound(first, { identities: 200, round, everyMs });
  const before = await residentMb();
  const cpuBefore = process.cpuUsage();
  let answersUs = 0;
  for (let round = 0; round < rounds; round++)
    answersUs += await sendRound(first, { identities, round, everyMs });
  const cpu = process.cpuUsage(cpuBefore);
  const resident = await residentMb();
  await first.close();
  const loadedFrom = performance.now();
  const second = await start(folder);
  const loadSeconds = (performance.now() - loadedFrom) / 1000;
  const { total } = await second.outgoing.identities({ limit: 1, offset: 0 });
  if (total !== identities + 1) throw new Error(`${total} of ${identities + 1} identities were kept`);
  await second.close();
  return {
    identities,
    messages,
    residentMb: resident,
    addedMb: resident - before,
    answersUs: answersUs / messages,
    saveMs: (cpu.user + cpu.system - answersUs) / 1000 / (DAY_MS / 20_000),
    loadSeconds,
    databaseMb: Bun.file(join(folder, "gatepost.db")).size / 1e6,
  };
}

const [folder = ".", identities = "100000", rounds = "5"] = process.argv.slice(2);
console.log(JSON.stringify(await main(folder, Number(identities), Number(rounds))));
