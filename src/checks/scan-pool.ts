// The pool of scan workers. A message is handed to a worker once and all wanted checks answer from there. When a worker hangs or dies, the
// messages it had are tried once more, each alone, so that only the one that breaks workers fails.

import type { MessageBody } from "../message/body.ts";
import type { Log } from "../observe/log.ts";
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
  /** Octets of messages in the workers at a time, where each is a copy; a larger message is scanned alone. Default 128 MB. */
  readonly maxBytes?: number;
  /** Messages that may wait; more are refused. Default 5000. */
  readonly maxQueued?: number;
  /** Another worker that speaks the same protocol; for tests. */
  readonly newWorker?: () => Worker;
}

// A string relative to the project: the one form that works compiled too (stack.md T16).
function newScanWorker(): Worker {
  return new Worker("./src/checks/scan.worker.ts");
}

/** Makes the pool; its workers start with the first message, which waits for them a fraction of a second. */
export function createScanPool(options: ScanPoolOptions): ScanPool {
  const maxWaitMs = options.maxWaitMs ?? 15_000;
  const maxBytes = options.maxBytes ?? 134_217_728;
  const maxQueued = options.maxQueued ?? 5000;
  const queue: ScanJob[] = [];
  /** Jobs that shared a worker when it broke: tried again in the first seat, with nothing beside them. */
  const suspects: ScanJob[] = [];
  let bytesInWork = 0;
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
    if (closed || queue.length >= maxQueued) {
      failJob(
        job,
        new Error(closed ? "the gateway is stopping" : "too many messages are waiting to be scanned"),
      );
      return job;
    }
    queue.push(job);
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
        const job = nextThatFits();
        if (job === undefined) return;
        bytesInWork += job.raw.length;
        seat.start(job);
      }
    }
  }

  function nextThatFits(): ScanJob | undefined {
    for (;;) {
      const job = queue[0];
      if (job === undefined) return undefined;
      const late = performance.now() - job.queuedAt > maxWaitMs;
      if (!late && bytesInWork > 0 && bytesInWork + job.raw.length > maxBytes) return undefined;
      queue.shift();
      if (!late) return job;
      failJob(job, new Error(`no scan worker was free for ${maxWaitMs} ms`));
    }
  }

  function release(job: ScanJob): void {
    bytesInWork -= job.raw.length;
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
    scan({ raw, content, authentication }) {
      const job = submit(raw, { content, authentication });
      return { parsed: job.parsed.promise, authenticated: job.authenticated.promise };
    },
    view(raw) {
      return submit(raw, null).viewed.promise;
    },
    async close() {
      closed = true;
      const left = [...queue.splice(0), ...suspects.splice(0), ...seats.flatMap((seat) => seat.close())];
      for (const job of left) failJob(job, new Error("the gateway is stopping"));
    },
  };
}
