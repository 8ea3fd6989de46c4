// What the dispatcher hands to whoever settles an attempt.

import type { Statement } from "../store/database.ts";
import type { AttemptRun } from "./run-attempt.ts";
import type { Work } from "./work.ts";

/** An attempt that ended. */
export interface EndedAttempt extends AttemptRun {
  readonly work: Work;
  /** When the destination is tried again; in the past when it is open. */
  readonly closedUntil: number;
  /** What the destination's back-off changes on disk; belongs into the unit that settles the recipients. */
  readonly statements: readonly Statement[];
  /** To be called once the result is on disk: the attempt's place is free for the next one from then on. */
  readonly written: () => void;
}
