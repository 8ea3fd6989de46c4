// Guesses of hosts that cannot be banned are remembered whatever strangers do.
import { expect, test } from "bun:test";
import { createGuessCounts, GUESS_LIMITS } from "../../src/session/guess-counts.ts";

test("strangers do not push out what is known of our own devices: an old password counts once", () => {
  const counts = createGuessCounts({ now: () => 1_795_000_000_000 });
  const device = { login: "scanner@example.test", host: "10.0.0.9/32", digest: "old", known: false };
  counts.failed(device, true);
  const delayMs = counts.delayMs(device);
  expect(delayMs).toBe(GUESS_LIMITS.firstDelayMs);
  for (let n = 0; n <= GUESS_LIMITS.maxKeys; n++)
    counts.failed({ login: `u${n}`, host: `stranger ${n}`, digest: `d${n}`, known: false }, false);
  for (let n = 0; n < 5; n++) counts.failed(device, true);
  expect(counts.delayMs(device)).toBe(delayMs);
});
