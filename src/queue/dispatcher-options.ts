// What the dispatcher needs of the parts around it.
import type { Deliverer } from "../delivery/attempt.ts";
import type { DestinationFor } from "../delivery/route.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import type { EndedAttempt } from "./ended-attempt.ts";
import type { LostBodies } from "./lost-bodies.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { Sign } from "./sign-copy.ts";
import type { Work } from "./work.ts";

export interface DispatcherOptions {
  readonly spool: Spool;
  readonly deliverer: Deliverer;
  readonly clock: Clock;
  readonly log: Log;
  /** Signs a copy; raises its own alarm when it cannot. */
  readonly sign: Sign;
  readonly settings: () => QueueSettings;
  readonly random: () => number;
  /** Where mail for an address goes now; routes may have changed since it was accepted. */
  readonly destinationFor: DestinationFor;
  /** Writes the result. When it is written, `noteDue` is owed for the destination. */
  readonly settle: (ended: EndedAttempt) => void;
  /** Writes work back to disk that was taken but not dialled. When it is written, `noteDue` is owed for it. */
  readonly handBack: (works: readonly Work[]) => void;
  /** Work that must not be dialled after all: held or dropped while it waited in memory. */
  readonly withdraw: (work: Work) => void;
  /** False while the spool cannot be written. */
  readonly mayBegin: () => boolean;
  readonly onAlarm: OnAlarm;
  readonly lostBodies: LostBodies;
}
