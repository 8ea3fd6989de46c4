// Says that mail is refused because the disk is full, and finds out when it no longer is. Refuses nothing itself.
import type { Clock } from "../observe/clock.ts";
import { StoreError } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";

const LOOK_EVERY_MS = 5000;
// Larger than what stands in a row, so that the try writes a file: it leaves no trace in the database.
const TRY_BYTES = 256 * 1024;

export interface SpaceWatch {
  /** Mail was written. */
  written(): void;
  /** Mail was not written; only a full disk is of interest here. */
  failed(error: unknown): void;
  stop(): void;
}

/**
 * Makes the watch. The alarm "disk-full" is lifted by the next mail that is written, or by a try every five seconds:
 * a gateway that is taken out of service while it is not healthy gets no mail to try with.
 */
export function createSpaceWatch(parts: {
  readonly spool: Pick<Spool, "keepBody" | "removeBody">;
  readonly clock: Clock;
  readonly onAlarm: (name: string, words: string | null) => void;
}): SpaceWatch {
  const { spool, clock, onAlarm } = parts;
  let full = false;
  let tries = 0;
  let cancel = () => {};

  const end = (): void => {
    full = false;
    cancel();
    onAlarm("disk-full", null);
  };
  const plan = (): void => {
    cancel();
    cancel = clock.after(LOOK_EVERY_MS, () => void look());
  };
  async function look(): Promise<void> {
    try {
      const { file } = await spool.keepBody("space", ++tries, new Uint8Array(TRY_BYTES));
      if (file !== null) await spool.removeBody(file);
      if (full) end();
    } catch {
      // As the alarm says.
      if (full) plan();
    }
  }
  return {
    written() {
      if (full) end();
    },
    failed(error) {
      if (!(error instanceof StoreError) || error.kind !== "disk-full") return;
      onAlarm(
        "disk-full",
        `There is no space for mail. It is refused with 452, and its senders try again: ${error.message}`,
      );
      if (full) return;
      full = true;
      plan();
    },
    stop() {
      full = false;
      cancel();
    },
  };
}
