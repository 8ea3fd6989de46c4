// One message on its way through the scan pool, with the promises its asker waits on. No I/O.
import { MAX_BODY_IN_MEMORY, type MessageBody } from "../message/body.ts";
import type { ShareUser } from "../observe/shares.ts";
import type { AuthenticationCheck, AuthenticationClient } from "./authenticate-message.ts";
import type { MessageView } from "./message-view.ts";
import type { ContentCheck } from "./scan-message.ts";
import type { FindingsByCheck, ScanOrder } from "./scan-protocol.ts";

export interface ScanRequest {
  /** Whose message it is. */
  readonly user: ShareUser;
  readonly raw: MessageBody;
  readonly content: readonly ContentCheck[];
  /** null: nothing of the sender is to be proven. */
  readonly authentication: {
    readonly client: AuthenticationClient;
    readonly wanted: readonly AuthenticationCheck[];
  } | null;
}

export interface ScanJob {
  readonly id: number;
  readonly raw: MessageBody;
  /** null: a view is wanted. */
  readonly request: Omit<ScanRequest, "raw"> | null;
  readonly user: ShareUser;
  /** Too large for memory otherwise: one at a time is scanned. */
  readonly large: boolean;
  readonly queuedAt: number;
  readonly parsed: PromiseWithResolvers<FindingsByCheck>;
  readonly authenticated: PromiseWithResolvers<FindingsByCheck>;
  readonly viewed: PromiseWithResolvers<MessageView>;
  /** True once `parsed` is settled, so that a second try does not parse again. */
  parseDone: boolean;
}

/** Who looks at a message in the console. */
const VIEWER: ShareUser = { key: "viewer", known: true };

export function newScanJob(id: number, raw: MessageBody, request: Omit<ScanRequest, "raw"> | null): ScanJob {
  const job: ScanJob = {
    id,
    raw,
    request,
    user: request?.user ?? VIEWER,
    large: raw.length > MAX_BODY_IN_MEMORY,
    queuedAt: performance.now(),
    parsed: Promise.withResolvers(),
    authenticated: Promise.withResolvers(),
    viewed: Promise.withResolvers(),
    parseDone: false,
  };
  // Who waits for one half only must not be told of the other as an unhandled rejection.
  for (const { promise } of [job.parsed, job.authenticated, job.viewed]) promise.catch(() => undefined);
  if (request?.authentication === null) job.authenticated.resolve([]);
  return job;
}

/** Fails whatever of the job is not settled yet. */
export function failJob(job: ScanJob, error: Error): void {
  job.parsed.reject(error);
  job.authenticated.reject(error);
  job.viewed.reject(error);
}

/** The order for a worker. What of `raw` is in memory is a copy of its own, to be transferred. */
export function orderOf(job: ScanJob, raw: MessageBody): ScanOrder {
  if (job.request === null) return { kind: "view", id: job.id, raw };
  const content = job.parseDone ? [] : job.request.content;
  return { kind: "scan", id: job.id, raw, content, authentication: job.request.authentication };
}
