// How long things are kept and tried. Where a time cannot be read nothing goes earlier than it may have been set to. No I/O.
import type { QueueSettings } from "../queue/queue-settings.ts";
import { durationMs } from "./duration.ts";
import type { PolicySnapshot } from "./snapshot.ts";

type Now = Pick<PolicySnapshot, "policy" | "unread">;

/** Longer than anybody keeps mail. */
const QUARANTINE_KEEP_UNREAD_MS = 3650 * 86_400_000;
/** Longer than anybody tries; and while the setting is unread nothing is given up at all. */
const GIVE_UP_UNREAD_MS = 30 * 86_400_000;

/** How long mail that is filed now stays in the quarantine. */
export function quarantineKeepMs({ policy, unread }: Now): number {
  return unread.settings.has("quarantine_keep")
    ? QUARANTINE_KEEP_UNREAD_MS
    : durationMs(policy.settings.quarantine_keep);
}

/** How long the message log is kept; null: that cannot be known now, and nothing of it goes. */
export function logKeepMs({ policy, unread }: Now): number | null {
  return unread.settings.has("log_keep") ? null : durationMs(policy.settings.log_keep);
}

/** How long mail is tried. Of a delay nobody is told while it is not known until when mail is tried, or whether anybody is to be. */
export function tryingTimes({ policy: { delivery }, unread }: Now): Omit<QueueSettings, "retryMs"> {
  const givesUp = !unread.deliveryFields.has("give_up_after");
  const giveUpAfterMs = givesUp ? durationMs(delivery.give_up_after) : GIVE_UP_UNREAD_MS;
  const tells = givesUp && !unread.deliveryFields.has("delay_notice_after");
  return {
    giveUpAfterMs,
    delayNoticeAfterMs: tells ? durationMs(delivery.delay_notice_after) : giveUpAfterMs,
    ...(givesUp ? {} : { givesNothingUp: true }),
  };
}
