// The pool of scan workers. A message is handed to a worker once and all wanted checks answer from there. When a worker hangs or dies, the
// messages it had are tried once more, each alone, so that only the one that breaks workers fails. Users take turns, and large messages pass
// one after the other through one worker, while the others serve the small ones.

import type { MessageBody } from "../message/body.ts";
import { FairQueue } from "../observe/fair-queue.ts";
import type { Log } from "../observe/log.ts";
import { createShares } from "../observe/shares.ts";
import type { Resolve } from "./authenticate-message.ts";
import type { MessageView } from "./message-view.ts";
import { failJob, newScanJob, type ScanJob, type ScanRequest } from "./scan-job.ts";
import type { FindingsByCheck } from "./scan-protocol.ts";
import { ScanSeat } from "./scan-seat.ts";

/** The two halves of a scan; each rejects with an Error people can read. `authenticated` is empty when nothing was asked of it. */
export interface ScanAnswer {
  readonly parsed: Promise<FindingsByCheck>;
  readonly authenticated: Promise<FindingsByCheck>;
}

export interface ScanPool {
  /** `raw` is copied when a worker takes it; until then it must not change. */
  scan(request: ScanRequest): ScanAnswer;
  view(raw: MessageBody): Promise<MessageView>;
  /** Ends the workers; what is under way fails. */
  close(): Promise<void>;
}

export interface ScanPoolOptions {
  readonly resolve: Resolve;
  readonly log: Log;
  /** Default 2. */
  readonly workers?: number;
  /** How long a worker may parse one message before it counts as hung. Default 10 s. */
  readonly parseBudgetMs?: number;
  /** How long proving the sender may take with all its DNS look-ups: SPF has 20 s, what comes behind it two questions' time. Default 45 s. */
  readonly authenticationBudgetMs?: number;
  /** How long a message may wait for a worker. Default 15 s. */
  readonly maxWaitMs?: number;
  /** The same for a large one, whose turn comes after the other large ones. Default 4 minutes: its client waits 10 (RFC 5321 §4.5.3.2.6). */
  readonly maxLargeWaitMs?: number;
  /** Octets of small messages in the workers at a time, where each is a copy. Default 128 MB. */
  readonly maxBytes?: number;
  /** Messages that may wait, in shares; more are refused. Default 5000. */
  readonly maxQueued?: number;
  /** Another worker that speaks the same protocol; for tests. */
  readonly newWorker?: () => Worker;
}

// A string relative to the project: the one form that works compiled too (stack.md T16).
function newScanWorker(): Worker {
  return new Worker("./src/checks/scan.worker.ts");
}

/** Of the places to wait in, for log-ins and trusted hosts. */
const RESERVE = 0.25;

/** Makes the pool; its workers start with the first message, which waits for them a fraction of a second. */
export function createScanPool(options: ScanPoolOptions): ScanPool {
  const maxWaitMs = options.maxWaitMs ?? 15_000;
  const maxBytes = options.maxBytes ?? 134_217_728;
  const maxLargeWaitMs = options.maxLargeWaitMs ?? 240_000;
  const maxQueued = options.maxQueued ?? 5000;
  const waiting = createShares({ limit: () => maxQueued, reserve: RESERVE });
  const small = new FairQueue<ScanJob>();
  const large = new FairQueue<ScanJob>();
  /** Jobs that shared a worker when it broke: tried again in the first seat, with nothing beside them. */
  const suspects: ScanJob[] = [];
  let bytesInWork = 0;
  let largeInWork = 0;
  let lastId = 0;
  let closed = false;

  /** Empty until the first message: a gateway whose rules ask no check spares their memory, tens of megabytes. */
  let seats: readonly ScanSeat[] = [];

  function startWorkers(): void {
    const newSeat = (): ScanSeat =>
      new ScanSeat({
        newWorker: options.newWorker ?? newScanWorker,
        resolve: options.resolve,
        log: options.log,
        parseBudgetMs: options.parseBudgetMs ?? 10_000,
        authenticationBudgetMs: options.authenticationBudgetMs ?? 45_000,
        onIdle: dispatch,
        onDone: release,
        onBroken,
      });
    seats = Array.from({ length: options.workers ?? 2 }, newSeat);
  }

  function submit(raw: MessageBody, request: Omit<ScanRequest, "raw"> | null): ScanJob {
    const job = newScanJob(++lastId, raw, request);
    if (closed || !waiting.take(job.user, 1)) {
      const words = closed ? "the gateway is stopping" : "too many messages from there wait to be scanned";
      failJob(job, new Error(words));
      return job;
    }
    (job.large ? large : small).push(job.user.key, job);
    if (seats.length === 0) startWorkers();
    dispatch();
    return job;
  }

  function dispatch(): void {
    for (const [index, seat] of seats.entries()) {
      if (index === 0 && suspects.length > 0) {
        const suspect = seat.empty ? suspects.shift() : undefined;
        if (suspect !== undefined) seat.start(suspect);
      } else if (seat.idle) {
        const takesLarge = index === seats.length - 1 && largeInWork === 0 && seat.free;
        const job = (takesLarge ? nextThatFits(large) : undefined) ?? nextThatFits(small);
        if (job === undefined) continue;
        bytesInWork += job.raw.length;
        if (job.large) largeInWork++;
        seat.start(job);
      }
    }
  }

  function nextThatFits(queue: FairQueue<ScanJob>): ScanJob | undefined {
    for (;;) {
      const job = queue.first();
      if (job === undefined) return undefined;
      const mayWaitMs = job.large ? maxLargeWaitMs : maxWaitMs;
      const late = performance.now() - job.queuedAt > mayWaitMs;
      // A large one passes beside the small ones: there is only one.
      if (!late && !job.large && bytesInWork > 0 && bytesInWork + job.raw.length > maxBytes) return undefined;
      queue.shift();
      waiting.give(job.user, 1);
      if (!late) return job;
      failJob(job, new Error(`no scan worker was free for ${mayWaitMs} ms`));
    }
  }

  function release(job: ScanJob): void {
    bytesInWork -= job.raw.length;
    if (job.large) largeInWork--;
  }

  function onBroken(jobs: readonly ScanJob[], reason: string): void {
    const [only] = jobs;
    if (jobs.length === 1 && only !== undefined) {
      failJob(only, new Error(`the scan worker had to be replaced: ${reason}`));
      release(only);
    } else suspects.push(...jobs);
    dispatch();
  }

  return {
    scan({ raw, ...request }) {
      const job = submit(raw, request);
      return { parsed: job.parsed.promise, authenticated: job.authenticated.promise };
    },
    view(raw) {
      return submit(raw, null).viewed.promise;
    },
    async close() {
      closed = true;
      const left = [
        ...small.drain(),
        ...large.drain(),
        ...suspects.splice(0),
        ...seats.flatMap((seat) => seat.close()),
      ];
      for (const job of left) failJob(job, new Error("the gateway is stopping"));
    },
  };
}
