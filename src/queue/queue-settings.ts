// What the queue needs to know of the settings, in milliseconds. The composition root reads it from `[delivery]`.

export interface QueueSettings {
  /** Waits between tries; the last one repeats. At least one. */
  readonly retryMs: readonly number[];
  readonly giveUpAfterMs: number;
  readonly delayNoticeAfterMs: number;
  /** Until when mail is to be tried is not known now: none is given up. */
  readonly givesNothingUp?: true;
}
