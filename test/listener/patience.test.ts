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
  const moment = { nowMs: afterMs, bodyBytes: more.bytes ?? 0, blocked: more.blocked ?? false, idleMs: IDLE };
  return cutOff({ waiting, since, bodySince: 0 }, moment);
}

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
