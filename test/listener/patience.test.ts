// How long each kind of waiting may last, as pure numbers.

import { expect, test } from "bun:test";
import { cutOff, type Patience } from "../../src/listener/patience.ts";

const IDLE = 300_000;

function ask(
  waiting: Patience["waiting"],
  afterMs: number,
  more: { bytes?: number; quietMs?: number; blocked?: boolean } = {},
) {
  const since = more.quietMs === undefined ? 0 : afterMs - more.quietMs;
  const bodyBytes = more.bytes ?? 0;
  const moment = { nowMs: afterMs, bodyBytes, blocked: more.blocked ?? false, idleMs: IDLE, leastRate: 64 };
  return cutOff({ waiting, since, bodySince: 0, marks: [START, START] }, moment);
}

const START = { atMs: 0, bytes: 0 };

/** A body that brings so many octets in each second, looked at every second; the second in which it is cut off, or null. */
function secondOfCut(octetsAt: (second: number) => number, seconds: number): number | null {
  const patience: Patience = { waiting: "body", since: 0, bodySince: 0, marks: [START, START] };
  let bodyBytes = 0;
  for (let second = 1; second <= seconds; second++) {
    bodyBytes += octetsAt(second);
    patience.since = second * 1000;
    const moment = { nowMs: second * 1000, bodyBytes, blocked: false, idleMs: IDLE, leastRate: 500 };
    if (cutOff(patience, moment) !== null) return second;
  }
  return null;
}

test("what was sent at first buys no time: the rate is that of the last minute", () => {
  expect(secondOfCut((second) => (second <= 10 ? 4_000_000 : 10), 7000)).toBeLessThan(120);
  expect(secondOfCut((second) => (second < 1000 ? 5000 : 1), 7000)).toBeLessThan(1070);
  expect(secondOfCut(() => 499, 7000)).toBe(60);
});

test("who keeps the rate, in drops or in gulps, is left alone", () => {
  expect(secondOfCut(() => 500, 7000)).toBeNull();
  expect(secondOfCut((second) => (second % 30 === 0 ? 30_000 : 0), 7000)).toBeNull();
});

test("idle commands", () => {
  expect(ask("command", IDLE - 1)).toBeNull();
  expect(ask("command", IDLE)).toContain("Nothing heard");
  expect(ask("command", IDLE, { blocked: true })).toBe("silently");
});

test("handshakes have half a minute", () => {
  expect(ask("tls", 29_999)).toBeNull();
  expect(ask("tls", 30_000)).toBe("silently");
});

test("a body needs progress and a least rate", () => {
  expect(ask("body", 59_000, { bytes: 5, quietMs: 10 })).toBeNull();
  expect(ask("body", 61_000, { bytes: 5, quietMs: 10 })).toContain("too slowly");
  expect(ask("body", 61_000, { bytes: 61 * 64, quietMs: 10 })).toBeNull();
  expect(ask("body", 3 * 3_600_000, { bytes: 1e9, quietMs: 10 })).toContain("too slowly");
  expect(ask("body", IDLE, { bytes: 1e9 })).toContain("Nothing heard");
});

test("we wait for ourselves and for the greeting as long as it takes", () => {
  expect(ask("us", 1e9)).toBeNull();
  expect(ask("greeting", 1e9)).toBeNull();
});
