// The watch over clamd: an alarm while one is away, cannot scan or takes less than a listener does, and its end.
import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { createClamdCheck, takesSize } from "../../src/hooks/clamd.ts";
import type { ClamdHook } from "../../src/hooks/clamd-dialogue.ts";
import { createFailedScans } from "../../src/hooks/failed-scans.ts";
import { isOfOwnTrouble, watchClamd } from "../../src/hooks/watch-clamd.ts";
import { envelope } from "../message/message-samples.ts";
import { TurnedClock } from "../queue/queue-kit.ts";
import { clamdInstalled, startClamd } from "./real-clamd.ts";

const MINUTE = 60_000;
const LIMIT = 1_000_000;

test.skipIf(!clamdInstalled())(
  "a real clamd that takes less than the listeners, is stopped, or is set no more",
  async () => {
    const daemon = await startClamd({ maxStreamBytes: LIMIT });
    const hookAt = (name: string, address: string): ClamdHook => ({ name, address, timeoutMs: 5000 });
    let hooks: readonly ClamdHook[] = [hookAt("av", daemon.tcp), hookAt("socket", daemon.unix)];
    let largest = 52_428_800;
    const clock = new TurnedClock(0);
    const alarms = new Map<string, string>();
    const scans = createFailedScans();
    const watch = watchClamd({
      scans,
      watched: () => ({ hooks, largest }),
      clock,
      onAlarm: (name, words) => {
        if (words === null) alarms.delete(name);
        else alarms.set(name, words);
      },
    });
    const looked = async (): Promise<ReadonlyMap<string, string>> => {
      while (!clock.isAwaited()) await Bun.sleep(5);
      return alarms;
    };
    /** Real mail of so many octets is scanned by the first; its failure. */
    const scanned = async (octets: number): Promise<string> => {
      const raw = Buffer.alloc(octets, "Subject: a letter\r\n");
      const asked = createClamdCheck(hookAt("av", daemon.tcp), scans).run({
        envelope: envelope(),
        raw,
        signal: AbortSignal.timeout(5000),
      });
      return asked.then(
        () => "",
        (error: unknown) => String(error),
      );
    };
    const minuteLater = async (): Promise<ReadonlyMap<string, string>> => {
      // The end of the rest, then the next look.
      clock.step(clock.now() + MINUTE);
      clock.step(clock.now() + MINUTE);
      return looked();
    };
    try {
      for (const hook of hooks)
        expect([await takesSize(hook, LIMIT), await takesSize(hook, LIMIT + 1)]).toEqual([true, false]);
      expect([...(await looked()).keys()].toSorted()).toEqual(['clamd size "av"', 'clamd size "socket"']);
      expect(alarms.get('clamd size "socket"')).toBe(
        `clamd "socket" at ${daemon.unix} takes no message of 50 MB, the most a listener takes: what is larger than its StreamMaxLength is put off with 451 for ever. Raise StreamMaxLength in its clamd.conf, or lower the largest message (max_message_bytes) of the listeners.`,
      );
      largest = LIMIT;
      expect((await minuteLater()).size).toBe(0);
      // It answers PING and cannot write what it is to scan, as with a full disk.
      rmSync(daemon.temporary, { recursive: true });
      expect([...(await minuteLater()).keys()].toSorted()).toEqual(['clamd "av"', 'clamd "socket"']);
      expect(alarms.get('clamd "av"')).toContain("its log");
      expect([...alarms.values()].every(isOfOwnTrouble)).toBe(true);
      mkdirSync(daemon.temporary);
      expect((await minuteLater()).size).toBe(0);
      // One message alone is the reason: the daemon scans another one of its size.
      scans.failed(hookAt("av", daemon.tcp), 500_000);
      expect((await minuteLater()).size).toBe(0);
      // Room for small mail alone.
      daemon.leaveRoom(200_000);
      expect((await minuteLater()).size).toBe(0);
      for (const octets of [300_000, 400_000, 300_000]) expect(await scanned(octets)).toContain("ERROR");
      expect(await scanned(20_000)).toBe("");
      for (let minute = 0; minute < 2; minute++) {
        expect([...(await minuteLater()).keys()]).toEqual(['clamd "av"']);
        expect(await scanned(20_000)).toBe("");
      }
      expect(alarms.get('clamd "av"')).toMatch(
        /^Mail as large as 391 KB .* put off with 451 until it can, it answers and cannot scan \(smaller mail is scanned\): clamd "av" at .* answered ".* ERROR"/,
      );
      expect(isOfOwnTrouble(alarms.get('clamd "av"') ?? "")).toBe(true);
      // There is room again: a message of that size says so.
      daemon.leaveRoom(null);
      expect(await scanned(400_000)).toBe("");
      expect(scans.largest(hookAt("av", daemon.tcp))).toBeNull();
      expect((await minuteLater()).size).toBe(0);
      // Set elsewhere, it is another daemon.
      daemon.leaveRoom(200_000);
      expect(await scanned(300_000)).toContain("ERROR");
      expect((await minuteLater()).size).toBe(1);
      hooks = [hookAt("av", daemon.unix), hookAt("socket", daemon.unix)];
      expect((await minuteLater()).size).toBe(0);
      hooks = [hookAt("av", daemon.tcp), hookAt("socket", daemon.unix)];
      expect((await minuteLater()).size).toBe(1);
      daemon.leaveRoom(null);
      expect((await minuteLater()).size).toBe(0);
      await daemon.stop();
      expect((await minuteLater()).get('clamd "av"')).toContain(daemon.tcp);
      expect([...alarms.values()].some(isOfOwnTrouble)).toBe(false);
      expect(alarms.get('clamd "socket"')).toContain(
        "Mail that clamd must scan is put off with 451 until it can: ",
      );
      hooks = hooks.slice(1);
      expect([...(await minuteLater()).keys()]).toEqual(['clamd "socket"']);
      hooks = [];
      expect((await minuteLater()).size).toBe(0);
    } finally {
      watch.stop();
    }
  },
  60_000,
);
