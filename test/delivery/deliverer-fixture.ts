// What the deliverer's tests share: attempts and a deliverer with short times.
import type { Attempt, Deliverer } from "../../src/delivery/attempt.ts";
import { createKnownRecipients, NO_STORE } from "../../src/delivery/known-recipients.ts";
import type { Destination, Route } from "../../src/delivery/route.ts";
import { createDeliverer, type DelivererOptions } from "../../src/delivery/run-deliverer.ts";
import { DEFAULT_TIMEOUTS, type DeliveryTimeouts } from "../../src/delivery/timeouts.ts";
import type { DnsAnswer, Resolver } from "../../src/dns/resolver.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";

export const MESSAGE = "From: a@example.org\r\nSubject: hello\r\n\r\nOne line\r\n";

/** Answers nothing: for tests whose routes are IP addresses. */
export const noDns: Resolver = {
  a: () => noAnswer(),
  aaaa: () => noAnswer(),
  mx: () => noAnswer(),
  txt: () => noAnswer(),
  ptr: () => noAnswer(),
  close: () => {},
};

function noAnswer(): Promise<DnsAnswer<never>> {
  return Promise.reject(new Error("this test asks no DNS"));
}

export function routes(...list: (Partial<Route> & { readonly port: number })[]): Destination {
  return {
    kind: "routes",
    key: "example.test",
    routes: list.map((route, at) => ({ host: "127.0.0.1", priority: at, tls: "none", ...route })),
  };
}

/** An attempt for `b@example.test` (and more recipients), with what a test changes. */
export function attemptFor(
  destination: Destination,
  change: Partial<Omit<Attempt, "destination" | "recipients" | "message">> & {
    readonly to?: readonly string[];
    readonly message?: string | Uint8Array;
    readonly recipients?: Attempt["recipients"];
  } = {},
): Attempt {
  const { to, message, ...rest } = change;
  return {
    messageId: "01h000000000000000ab",
    destination,
    reversePath: "a@example.org",
    recipients: (to ?? ["b@example.test"]).map((address, n) => ({ n, address, dsn: null })),
    message: typeof message === "object" ? message : Buffer.from(message ?? MESSAGE),
    smtpUtf8: false,
    eightBit: false,
    requireTls: false,
    dsnRet: null,
    dsnEnvid: null,
    ...rest,
  };
}

/** Times for peers that hang: every step 300 ms. */
export const SHORT: DeliveryTimeouts = {
  ...DEFAULT_TIMEOUTS,
  greeting: 300,
  command: 300,
  mail: 300,
  rcpt: 300,
  data: 300,
  block: 300,
  final: 300,
};

export function makeDeliverer(
  change: Partial<DelivererOptions> & {
    readonly connectTimeoutMs?: number;
    readonly maxConnections?: number;
  } = {},
): Deliverer {
  const { connectTimeoutMs, maxConnections, ...rest } = change;
  return createDeliverer({
    resolver: noDns,
    hostname: "gate.example.com",
    settings: () => ({
      tls: "opportunistic",
      maxConnectionsPerDestination: maxConnections ?? 20,
      connectTimeoutMs: connectTimeoutMs ?? 1000,
    }),
    log: silentLog,
    clock: systemClock,
    ...rest,
  });
}

/** What a recipient verifier needs besides, for tests in which nothing of it matters. */
export async function withoutStore() {
  const confirmed = await createKnownRecipients({ store: NO_STORE, clock: systemClock, log: silentLog });
  return { confirmed, onAlarm: () => {}, onAnswer: () => {} };
}
