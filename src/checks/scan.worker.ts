// The scan worker: parses hostile bytes away from the main thread. One message at a time is parsed; authentication goes on beside it
// while it waits for DNS, which it asks of the main thread. It touches no socket, and no file but that of a large message.

import { isLarge, type MessageBody } from "../message/body.ts";
import { wholeBody } from "../store/body-file.ts";
import type { AuthenticationClient, Resolve } from "./authenticate-message.ts";
import { type AuthenticationCheck, authenticateMessage } from "./authenticate-message.ts";
import { createRecentAnswers } from "./recent-answers.ts";
import { renderView } from "./render-view.ts";
import { scanMessage } from "./scan-message.ts";
import type { DnsReply, ScanOrder, ScanReply } from "./scan-protocol.ts";

declare const self: Worker;

// RFC 7208 §4.6.4 lets SPF ask 10 names with 10 hosts each; the rest is for DKIM keys, DMARC and ARC.
const MAX_QUESTIONS_PER_MESSAGE = 150;

const waiting = new Map<number, (answer: DnsReply) => void>();
const recent = createRecentAnswers(() => performance.now());
let questions = 0;
/** Settles when the message that is being parsed is through: one at a time, so that each has its whole budget. */
let parsing: Promise<void> = Promise.resolve();
/** Replies to be sent together: crossing threads costs more than what is said. */
let outbox: ScanReply[] = [];
let flushing = false;

self.onmessage = (event: MessageEvent<ScanOrder>) => {
  const order = event.data;
  switch (order.kind) {
    case "scan":
      void scan(order);
      break;
    case "view":
      void view(order.id, order.raw);
      break;
    case "ping":
      reply({ kind: "parsed", id: order.id, findings: [], failure: null });
      flush();
      break;
    case "dns": {
      const resolve = waiting.get(order.question);
      waiting.delete(order.question);
      resolve?.(order.answer);
      break;
    }
  }
};

async function scan({
  id,
  raw: body,
  content,
  authentication,
}: Extract<ScanOrder, { kind: "scan" }>): Promise<void> {
  const before = parsing;
  const { promise, resolve: done } = Promise.withResolvers<void>();
  parsing = promise;
  await before;
  let raw: Uint8Array | null = null;
  try {
    raw = await wholeBody(body);
    const findings = content.length === 0 ? [] : [...(await scanMessage(raw, content))];
    reply({ kind: "parsed", id, findings, failure: null });
  } catch (error) {
    reply({ kind: "parsed", id, findings: [], failure: reasonOf(error) });
  }
  done();
  if (authentication !== null) {
    if (raw === null)
      reply({ kind: "authenticated", id, findings: [], failure: "the message could not be read" });
    else await authenticate(id, raw, authentication.client, authentication.wanted);
  }
  flush();
  raw = null;
  // The next large message must not find the memory of this one still in use.
  if (isLarge(body)) Bun.gc(true);
}

async function authenticate(
  id: number,
  raw: Uint8Array,
  client: AuthenticationClient,
  wanted: readonly AuthenticationCheck[],
): Promise<void> {
  try {
    const findings = await authenticateMessage({
      raw,
      client,
      wanted: new Set(wanted),
      resolve: askingMain(),
    });
    reply({ kind: "authenticated", id, findings: [...findings], failure: null });
  } catch (error) {
    reply({ kind: "authenticated", id, findings: [], failure: reasonOf(error) });
  }
}

async function view(id: number, body: MessageBody): Promise<void> {
  try {
    reply({ kind: "viewed", id, view: await renderView(body), failure: null });
  } catch (error) {
    reply({ kind: "viewed", id, view: null, failure: reasonOf(error) });
  }
  flush();
}

/** DNS for one message, asked of the main thread, at most `MAX_QUESTIONS_PER_MESSAGE` times. */
function askingMain(): Resolve {
  let asked = 0;
  return async (name, rrtype) => {
    if (++asked > MAX_QUESTIONS_PER_MESSAGE) {
      throw lookupError("ESERVFAIL", `more than ${MAX_QUESTIONS_PER_MESSAGE} DNS look-ups for one message`);
    }
    const found = recent.find(name, rrtype) ?? ask(name, rrtype);
    if (found instanceof Promise) flushSoon();
    const answer = found instanceof Promise ? await found : found;
    // A copy: mailauth sorts MX records in place.
    if (answer.ok) return answer.records.slice() as typeof answer.records;
    throw lookupError(answer.code, answer.message);
  };
}

function ask(name: string, rrtype: string): Promise<DnsReply> {
  const question = ++questions;
  const coming = new Promise<DnsReply>((resolve) => waiting.set(question, resolve));
  reply({ kind: "dns", question, name, rrtype });
  recent.keep(name, rrtype, coming);
  return coming;
}

function lookupError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : "unknown failure";
}

function reply(message: ScanReply): void {
  outbox.push(message);
}

function flush(): void {
  flushing = false;
  if (outbox.length === 0) return;
  self.postMessage(outbox);
  outbox = [];
}

/** For what others wait on while this message waits for DNS. */
function flushSoon(): void {
  if (flushing) return;
  flushing = true;
  queueMicrotask(flush);
}

reply({ kind: "ready" });
flush();
