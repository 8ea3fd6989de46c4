// A real listener on a loopback port with a queue that keeps what it is given in memory. For tests.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificate, loadOrMakeCertificate } from "../../src/listener/certificate.ts";
import { createListeners, type Listeners } from "../../src/listener/run-listeners.ts";
import type { StoppedMessage } from "../../src/notify/outgoing-notices.ts";
import { type Clock, systemClock } from "../../src/observe/clock.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";
import { createSnapshot } from "../../src/policy/create-snapshot.ts";
import {
  deliverySchema,
  domainSchema,
  listenerSchema,
  networksSchema,
  type Policy,
  ruleSchema,
  senderSchema,
  settingsSchema,
  templateSchema,
} from "../../src/policy/schema.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import type { Acceptance, Queue } from "../../src/queue/queue.ts";
import { type LoginBook, openLoginBook } from "../../src/session/login-book.ts";
import type { GatewayServices, RecipientAnswer } from "../../src/session/services.ts";
import { BodyFileWriter } from "../../src/store/body-file.ts";
import { StoreError } from "../../src/store/database.ts";
import type { MessageRecord } from "../../src/store/log-record.ts";
import { createTrialLogins } from "./trial-logins.ts";
import { createTrialOutgoing, type TrialOutgoing } from "./trial-outgoing.ts";

export interface KeptQueue extends Pick<Queue, "accept" | "handOver" | "record"> {
  readonly accepted: Acceptance[];
  readonly records: MessageRecord[];
  /** The next accepts fail like this. */
  failing: "disk-full" | "failed" | null;
}

/** A queue that keeps everything in memory. */
function createKeptQueue(): KeptQueue {
  const accepted: Acceptance[] = [];
  const records: MessageRecord[] = [];
  return {
    accepted,
    records,
    failing: null,
    async accept(acceptance) {
      await Promise.resolve();
      if (this.failing !== null) throw new StoreError(this.failing, "the disk says no");
      accepted.push(acceptance);
    },
    async handOver(acceptance) {
      await this.accept(acceptance);
      return { kind: "kept" };
    },
    record(record) {
      records.push(record);
    },
  };
}

let made: Promise<Certificate> | null = null;

/** One self-signed certificate for all tests of the process. */
function trialCertificate(): Promise<Certificate> {
  made ??= mkdtemp(join(tmpdir(), "gatepost-certificate-")).then(async (dir) => {
    const certificate = await loadOrMakeCertificate(dir, "gate.example.test");
    await rm(dir, { recursive: true });
    return certificate;
  });
  return made;
}

export interface TrialPolicy {
  readonly listener?: readonly object[];
  readonly networks?: object;
  readonly domain?: readonly object[];
  readonly sender?: readonly object[];
  readonly rule?: readonly object[];
  readonly template?: readonly object[];
  readonly delivery?: object;
}

/** A whole policy from the parts a test cares for. */
export function trialPolicy(parts: TrialPolicy): Policy {
  return {
    listener: (parts.listener ?? []).map((one) => listenerSchema.parse(one)),
    networks: networksSchema.parse(parts.networks ?? {}),
    domain: (parts.domain ?? []).map((one) => domainSchema.parse(one)),
    sender: (parts.sender ?? []).map((one) => senderSchema.parse(one)),
    rule: (parts.rule ?? []).map((one) => ruleSchema.parse(one)),
    template: (parts.template ?? []).map((one) => templateSchema.parse(one)),
    hook: [],
    delivery: deliverySchema.parse(parts.delivery ?? {}),
    settings: settingsSchema.parse({}),
  };
}

export interface TrialGateway extends AsyncDisposable {
  readonly queue: KeptQueue;
  readonly outgoing: TrialOutgoing;
  /** What was told of stopped outgoing mail. */
  readonly stopped: StoppedMessage[];
  readonly bans: GatewayServices["bans"];
  readonly logins: LoginBook;
  readonly listeners: Listeners;
  readonly metrics: { readonly messages: string[]; readonly logins: string[] };
  /** The alarms that are raised: words by name. */
  readonly alarms: ReadonlyMap<string, string>;
  draining: boolean;
  port(name?: string): number;
  /** Swaps the policy as a change in the console would. */
  change(policy: Policy): Promise<void>;
}

export interface TrialOptions {
  readonly policy: Policy;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly verifyRecipient?: (address: string) => RecipientAnswer | Promise<RecipientAnswer>;
  /** Why mail cannot be kept; left out: it can. */
  readonly storage?: GatewayServices["storage"]["refusal"];
  readonly checker?: GatewayServices["checker"];
  readonly mailServerLogin?: GatewayServices["mailServerLogin"];
  /** What is known of mail servers; nothing when left out. */
  readonly takenBy?: GatewayServices["takenBy"];
  /** Another outgoing control than the trial one. */
  readonly outgoing?: GatewayServices["outgoing"];
  /** Told of clients that connect. */
  readonly onClient?: GatewayServices["onClient"];
  readonly snapshot?: (made: PolicySnapshot) => PolicySnapshot;
}

/** Opens the policy's listeners. */
export async function openTrialGateway(options: TrialOptions): Promise<TrialGateway> {
  const wrap = options.snapshot ?? ((snapshot) => snapshot);
  const queue = createKeptQueue();
  const followers = new Set<(now: PolicySnapshot, before: PolicySnapshot) => void>();
  const outgoing = createTrialOutgoing();
  const stopped: StoppedMessage[] = [];
  const alarms = new Map<string, string>();
  const metrics = { messages: [] as string[], logins: [] as string[] };
  let current = wrap(createSnapshot(options.policy, 1));
  const gateway = { draining: false };
  const state = { load: async () => [], keep: async () => {} };
  const book = await openLoginBook({ state, clock: systemClock, log: silentLog });
  const logins = createTrialLogins({
    clock: options.clock ?? systemClock,
    snapshot: () => current,
    ...(options.mailServerLogin === undefined ? {} : { mailServerLogin: options.mailServerLogin }),
  });
  const bodyFolder = await mkdtemp(join(tmpdir(), "gatepost-bodies-"));
  let bodies = 0;
  const listeners = await createListeners({
    settings: {
      current: () => current,
      onChange(follow) {
        followers.add(follow);
        return () => followers.delete(follow);
      },
    },
    certificate: await trialCertificate(),
    onAlarm: (name, words) => void (words === null ? alarms.delete(name) : alarms.set(name, words)),
    services: {
      hostname: "gate.example.test",
      snapshot: () => current,
      storage: { refusal: options.storage ?? (() => null) },
      checker: options.checker ?? { run: () => Promise.resolve([]) },
      queue,
      verifyRecipient: async (address) =>
        (await options.verifyRecipient?.(address)) ?? { known: "yes", text: "" },
      outgoing: options.outgoing ?? outgoing.outgoing,
      takenBy: options.takenBy ?? (() => null),
      onStopped: (message) => stopped.push(message),
      ...logins,
      logins: book,
      reverseName: null,
      onClient: (ip) => options.onClient?.(ip),
      bodyFolder,
      newBodyFile: () => new BodyFileWriter(join(bodyFolder, `body-${++bodies}`)),
      clock: options.clock ?? systemClock,
      log: options.log ?? silentLog,
      draining: () => gateway.draining,
      metrics: {
        message: (outcome) => metrics.messages.push(outcome),
        connection: () => {},
        login: (result) => metrics.logins.push(result),
      },
    },
  });
  return Object.assign(gateway, {
    queue,
    bans: logins.bans,
    logins: book,
    outgoing,
    stopped,
    listeners,
    metrics,
    alarms,
    port(name = "mx") {
      const port = listeners.port(name);
      if (port === null)
        throw new Error(`listener ${name} is not open: ${JSON.stringify(listeners.status())}`);
      return port;
    },
    async change(policy: Policy) {
      const before = current;
      current = wrap(createSnapshot(policy, before.version + 1));
      for (const follow of followers) follow(current, before);
      await listeners.settled();
    },
    async [Symbol.asyncDispose]() {
      await listeners.close(0);
      await rm(bodyFolder, { recursive: true, force: true });
    },
  });
}
