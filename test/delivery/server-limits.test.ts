// What a domain's mail servers take, learnt from their EHLO in deliveries and call-outs, and for how long it counts.
import { expect, test } from "bun:test";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { createServerLimits } from "../../src/delivery/server-limits.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { attemptFor, makeDeliverer, noDns, routes, withoutStore } from "./deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "./scripted-peer.ts";

const HOUR = 3_600_000;
const route = (host: string, port = 25) => ({ host, port });

test("the widest of the routes counts, once all are known, for six hours", () => {
  let now = 0;
  const clock: Clock = { now: () => now, after: () => () => {} };
  const limits = createServerLimits(clock);
  const both = [route("A.example"), route("[2001:db8::1]", 2525)];
  expect(limits.of(both)).toBeNull();
  limits.learn({ name: "a.example", port: 25 }, { maxBytes: 1000, smtpUtf8: false });
  expect(limits.of(both)).toBeNull();
  expect(limits.of([route("a.example")])).toEqual({ maxBytes: 1000, smtpUtf8: false });
  limits.learn({ name: "2001:db8::1", port: 2525 }, { maxBytes: 3000, smtpUtf8: true });
  expect(limits.of(both)).toEqual({ maxBytes: 3000, smtpUtf8: true });
  limits.learn({ name: "a.example", port: 25 }, { maxBytes: 0, smtpUtf8: false });
  expect(limits.of(both)).toEqual({ maxBytes: 0, smtpUtf8: true });
  now = 7 * HOUR;
  expect(limits.of(both)).toBeNull();
  expect(limits.of([])).toBeNull();
});

test("deliveries and call-outs teach it, and each new connection anew", async () => {
  let size = 5000;
  const peer = await startScriptedPeer((talk) =>
    usualServer({ ehlo: ["250-peer", `250-SIZE ${size}`, "250 SMTPUTF8"] })(talk),
  );
  const limits = createServerLimits(systemClock);
  const own = [route("127.0.0.1", peer.port)];
  const deliverer = makeDeliverer({ limits });
  await deliverer.attempt(attemptFor(routes({ port: peer.port })));
  expect(limits.of(own)).toEqual({ maxBytes: 5000, smtpUtf8: true });
  await deliverer.close(0);
  size = 9000;
  const verifier = createRecipientVerifier({
    ...(await withoutStore()),
    resolver: noDns,
    hostname: "gate.example.com",
    clock: systemClock,
    log: silentLog,
    limits,
  });
  const way = { host: "127.0.0.1", port: peer.port, priority: 1, tls: "none" as const };
  await verifier.verify({ address: "b@example.test", routes: [way], cacheMs: 1000 });
  expect(limits.of(own)).toEqual({ maxBytes: 9000, smtpUtf8: true });
  await verifier.close();
  await peer.close();
});
