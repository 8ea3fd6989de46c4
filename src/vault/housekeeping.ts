// What has to be tidied now and then: releases that were begun, expired quarantine, bodies nobody refers to, the old end of the message log.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { DatabaseWriter } from "../store/database.ts";
import { AUDIT_KEEP_MS, expireAuditLog } from "../store/expire-audit-log.ts";
import { expireMessageLog } from "../store/expire-message-log.ts";
import type { RunningQuarantine } from "./run-quarantine.ts";

const FIRST_AFTER_MS = 60_000;
const EVERY_MS = 3_600_000;
const STOP_GRACE_MS = 2000;

/** Starts it: a minute from now, then every hour. A failure raises an alarm and is tried again an hour later. Returns the way to stop. */
export function startHousekeeping(parts: {
  readonly quarantine: RunningQuarantine;
  readonly database: DatabaseWriter;
  readonly clock: Clock;
  readonly log: Log;
  /** Raises (words) or clears (null) an alarm. */
  readonly onAlarm: OnAlarm;
  /** How long the message log is kept, in milliseconds; read at each run. null: that cannot be known now, and nothing of it goes. */
  readonly keepLogMs: () => number | null;
}): () => Promise<void> {
  const { quarantine, database, clock, log } = parts;
  let running = Promise.resolve();
  let stopped = false;

  const tidy = async (): Promise<void> => {
    try {
      await resume();
      await look();
      const now = clock.now();
      const expired = await quarantine.expire(now);
      const swept = await quarantine.sweep();
      const keepMs = parts.keepLogMs();
      const forgotten = keepMs === null ? 0 : await expireMessageLog(database, now - keepMs, () => !stopped);
      if (keepMs !== null) await expireAuditLog(database, now - Math.max(keepMs, AUDIT_KEEP_MS));
      if (expired + swept + forgotten > 0) log.info({ expired, swept, forgotten }, "tidied");
      parts.onAlarm("housekeeping", null);
    } catch (err) {
      if (stopped) return;
      log.error({ err }, "tidying up failed; it is tried again within the hour");
      const why = err instanceof Error ? err.message : String(err);
      parts.onAlarm("housekeeping", `Old mail cannot be tidied away, and the disk may fill: ${why}`);
    }
    if (!stopped) cancel = clock.after(EVERY_MS, begin);
  };
  /** One body that is lost must not keep the disk from being tidied. */
  const resume = async (): Promise<void> => {
    try {
      await quarantine.resumeReleases();
      parts.onAlarm("releases", null);
    } catch (err) {
      log.error({ err }, "releases that were begun cannot be finished; they are tried again within the hour");
      parts.onAlarm("releases", `${String(err)}. They are tried again within the hour; the log says which.`);
    }
  };
  const look = async (): Promise<void> => {
    const missing = await quarantine.missingBodies();
    parts.onAlarm(
      "vault-bodies",
      missing === 0
        ? null
        : `${missing} bodies of mail in quarantine or archive are missing in the vault: these messages cannot be shown, released or found any more. Restore the folder "vault" from a backup.`,
    );
  };
  // Bodies that are gone are said right after the start.
  running = look().catch((err: unknown) => log.error({ err }, "the vault cannot be looked through"));
  const begin = (): void => {
    running = tidy();
  };
  let cancel = clock.after(FIRST_AFTER_MS, begin);
  return async () => {
    stopped = true;
    cancel();
    // Each of its steps is whole; what is left to tidy is tidied after the next start.
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancelGrace = clock.after(STOP_GRACE_MS, resolve);
    await Promise.race([running, late]);
    cancelGrace();
  };
}
