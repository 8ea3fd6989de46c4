// What every stage of the composition root stands on: the boot file, the stack that closes the parts in reverse, log, clock, figures, alarms.
import type { Config } from "../config/config.ts";
import { newOwnMark } from "../delivery/own-mark.ts";
import { type Alarms, createAlarms } from "../observe/alarms.ts";
import { type Clock, systemClock } from "../observe/clock.ts";
import { createLog, type Log } from "../observe/log.ts";
import { createMetrics, type Metrics } from "../observe/metrics.ts";

export interface Ground {
  readonly config: Config;
  /** Whatever is opened is put on it, so that it is closed in reverse, also when a later stage does not start. */
  readonly parts: AsyncDisposableStack;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly alarms: Alarms;
  /** By which this gateway knows itself behind a route. */
  readonly ownMark: string;
  readonly startedAt: number;
  /** True from the moment the gateway begins to stop. */
  readonly draining: () => boolean;
}

/** Lays the ground; `parts` gets the log's last flush. */
export function layGround(
  config: Config,
  parts: AsyncDisposableStack,
  draining: () => boolean,
): Ground & { flushLog(): Promise<void> } {
  const clock = systemClock;
  const log = createLog(config.log.level);
  parts.defer(() => log.flush());
  return {
    config,
    parts,
    clock,
    log,
    metrics: createMetrics(),
    alarms: createAlarms(clock, log),
    ownMark: newOwnMark(),
    startedAt: clock.now(),
    draining,
    flushLog: () => log.flush(),
  };
}
