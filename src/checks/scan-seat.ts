// One place of the scan pool: a worker, what it is doing, and its replacement when it hangs or dies.

import { headOf, withHead } from "../message/body.ts";
import type { Log } from "../observe/log.ts";
import type { Resolve } from "./authenticate-message.ts";
import { orderOf, type ScanJob } from "./scan-job.ts";
import type { DnsReply, ScanOrder, ScanReply } from "./scan-protocol.ts";

export interface ScanSeatOptions {
  readonly newWorker: () => Worker;
  readonly resolve: Resolve;
  readonly log: Log;
  readonly parseBudgetMs: number;
  readonly authenticationBudgetMs: number;
  /** The seat can take another job. */
  readonly onIdle: () => void;
  /** Nothing more will be heard of this job. */
  readonly onDone: (job: ScanJob) => void;
  /** The worker was replaced while it had these jobs. */
  readonly onBroken: (jobs: readonly ScanJob[], reason: string) => void;
}

/** Jobs a worker has at a time: the one it parses and the next, so that it need not wait for the main thread between two. */
const MAX_HANDED_OVER = 2;
const RESTART_DELAY_MS = 1000;
const PING_BUDGET_MS = 2000;
const LARGE_MS_PER_MEGABYTE = 1000;
/** The id of a ping; jobs count from 1. */
const PING = 0;

export class ScanSeat {
  readonly #options: ScanSeatOptions;
  readonly #authenticating = new Map<
    number,
    { readonly job: ScanJob; readonly timer: ReturnType<typeof setTimeout> }
  >();
  #worker: Worker | null = null;
  #ready = false;
  /** In the order the worker has them; the first is being parsed. */
  #parsing: (ScanJob | "ping")[] = [];
  #parseTimer: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(options: ScanSeatOptions) {
    this.#options = options;
    this.#spawn();
  }

  /** Can take a job: loaded, none waits there behind the one it parses, and there is no doubt whether it is stuck. */
  get idle(): boolean {
    if (!this.#ready || this.#parsing.length >= MAX_HANDED_OVER) return false;
    const [first] = this.#parsing;
    // What waits behind a large message waits long.
    return first === undefined || (first !== "ping" && !first.large);
  }

  /** Parses nothing: a large message may begin. */
  get free(): boolean {
    return this.#ready && this.#parsing.length === 0;
  }

  /** Has nothing at all to do, also nothing that waits for DNS. */
  get empty(): boolean {
    return this.#ready && this.#parsing.length === 0 && this.#authenticating.size === 0;
  }

  /** Takes the job. Only when `idle`. */
  start(job: ScanJob): void {
    this.#parsing.push(job);
    if (this.#parsing.length === 1) this.#startClock();
    // What is in memory is copied once and handed over; the caller's own bytes stay, for delivery. The rest the worker reads itself.
    const copy = new Uint8Array(headOf(job.raw));
    this.#post(orderOf(job, withHead(job.raw, copy)), [copy.buffer]);
  }

  /** The budget is that of the job in front: the worker begins the next one when it has answered for this. */
  #startClock(): void {
    const [first] = this.#parsing;
    const parseBudgetMs = budgetFor(first, this.#options.parseBudgetMs);
    this.#parseTimer = setTimeout(
      () => this.#broke(`it took longer than ${parseBudgetMs} ms`),
      parseBudgetMs,
    );
  }

  close(): readonly ScanJob[] {
    this.#closed = true;
    return this.#clear();
  }

  #spawn(): void {
    if (this.#closed) return;
    const worker = this.#options.newWorker();
    this.#worker = worker;
    worker.onmessage = (event: MessageEvent<readonly ScanReply[]>) => {
      for (const reply of event.data) if (worker === this.#worker) this.#heard(reply);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.#broke(`it broke: ${errorLine(event.message)}`);
    };
    worker.addEventListener("close", () => {
      if (worker === this.#worker) this.#broke("it stopped");
    });
  }

  #heard(reply: ScanReply): void {
    switch (reply.kind) {
      case "ready":
        this.#ready = true;
        this.#options.onIdle();
        break;
      case "dns":
        void this.#lookUp(reply.question, reply.name, reply.rrtype);
        break;
      case "parsed":
        this.#parsed(reply);
        break;
      case "authenticated":
        this.#authenticated(reply);
        break;
      case "viewed": {
        const job = this.#endParsing();
        if (job === null) return;
        if (reply.view !== null) job.viewed.resolve(reply.view);
        else job.viewed.reject(new Error(reply.failure ?? "no view"));
        this.#finished(job);
        break;
      }
    }
  }

  #parsed(reply: Extract<ScanReply, { kind: "parsed" }>): void {
    const job = this.#endParsing();
    if (job !== null) {
      job.parseDone = true;
      if (reply.failure === null) job.parsed.resolve(reply.findings);
      else job.parsed.reject(new Error(reply.failure));
      if (job.request?.authentication === null) this.#options.onDone(job);
      else {
        const timer = setTimeout(
          () => this.#authenticationTimedOut(job),
          budgetFor(job, this.#options.authenticationBudgetMs),
        );
        this.#authenticating.set(job.id, { job, timer });
      }
    }
    this.#options.onIdle();
  }

  #authenticated(reply: Extract<ScanReply, { kind: "authenticated" }>): void {
    const waiting = this.#authenticating.get(reply.id);
    if (waiting === undefined) return;
    this.#authenticating.delete(reply.id);
    clearTimeout(waiting.timer);
    if (reply.failure === null) waiting.job.authenticated.resolve(reply.findings);
    else waiting.job.authenticated.reject(new Error(reply.failure));
    this.#finished(waiting.job);
  }

  #finished(job: ScanJob): void {
    this.#options.onDone(job);
    this.#options.onIdle();
  }

  #endParsing(): ScanJob | null {
    if (this.#parseTimer !== null) clearTimeout(this.#parseTimer);
    this.#parseTimer = null;
    const job = this.#parsing.shift();
    if (this.#parsing.length > 0) this.#startClock();
    return job === undefined || job === "ping" ? null : job;
  }

  /** Slow DNS fails the one message; whether the worker itself is stuck shows a ping. */
  #authenticationTimedOut(job: ScanJob): void {
    this.#authenticating.delete(job.id);
    job.authenticated.reject(
      new Error(`proving the sender took longer than ${this.#options.authenticationBudgetMs} ms`),
    );
    this.#options.onDone(job);
    if (this.#parsing.length > 0) return;
    this.#parsing.push("ping");
    this.#parseTimer = setTimeout(() => this.#broke("it does not answer"), PING_BUDGET_MS);
    this.#post({ kind: "ping", id: PING }, []);
  }

  async #lookUp(question: number, name: string, rrtype: string): Promise<void> {
    const worker = this.#worker;
    const answer = await askDns(this.#options.resolve, name, rrtype);
    if (worker !== null && worker === this.#worker) this.#post({ kind: "dns", question, answer }, []);
  }

  #post(order: ScanOrder, transfer: ArrayBuffer[]): void {
    this.#worker?.postMessage(order, transfer);
  }

  #broke(reason: string): void {
    const wasReady = this.#ready;
    const jobs = this.#clear();
    this.#options.log.error({ reason, messages: jobs.length }, "a scan worker was replaced");
    // A worker that never got ready is not started again in a tight loop.
    if (wasReady) this.#spawn();
    else setTimeout(() => this.#spawn(), RESTART_DELAY_MS).unref();
    this.#options.onBroken(jobs, reason);
  }

  /** Ends the worker; gives back what it had. */
  #clear(): readonly ScanJob[] {
    const worker = this.#worker;
    this.#worker = null;
    this.#ready = false;
    if (this.#parseTimer !== null) clearTimeout(this.#parseTimer);
    this.#parseTimer = null;
    const jobs = [
      ...this.#parsing.splice(0).filter((job) => job !== "ping"),
      ...[...this.#authenticating.values()].map(({ job }) => job),
    ];
    for (const { timer } of this.#authenticating.values()) clearTimeout(timer);
    this.#authenticating.clear();
    worker?.terminate();
    return jobs;
  }
}

/** A large message may take longer. */
function budgetFor(job: ScanJob | "ping" | undefined, budgetMs: number): number {
  if (job === undefined || job === "ping" || !job.large) return budgetMs;
  return budgetMs + (job.raw.length / 1_048_576) * LARGE_MS_PER_MEGABYTE;
}

/** Of what the runtime prints for an uncaught error (source lines, then the error, then a trace) the line that says it. */
function errorLine(printed: string): string {
  const lines = printed.split("\n");
  return (lines.find((line) => /^\w*error: /i.test(line)) ?? lines[0] ?? "").slice(0, 200);
}

async function askDns(resolve: Resolve, name: string, rrtype: string): Promise<DnsReply> {
  try {
    return { ok: true, records: await resolve(name, rrtype) };
  } catch (error) {
    const code =
      error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "ESERVFAIL";
    return { ok: false, code, message: error instanceof Error ? error.message : "the look-up failed" };
  }
}
