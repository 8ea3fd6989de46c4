// The connections of all listeners together, in shares: each takes a descriptor of the process, and without descriptors nothing works, neither
// delivery nor the databases. Counts, and says when there is no more room.
import { createShares } from "../observe/shares.ts";
import type { ConnectionRoom } from "../session/services.ts";

/** Of the descriptors; the others are for deliveries, body files, databases and the console. */
const PART_OF_DESCRIPTORS = 0.4;
/** For trusted hosts and for listeners where everybody must log in. */
const RESERVE = 0.25;
/** The alarm ends when so much is free again. */
const CALM = 0.8;

/** Makes the room for a process with `descriptors`. */
export function createConnectionRoom(options: {
  readonly descriptors: number;
  readonly onAlarm: (name: string, words: string | null) => void;
}): ConnectionRoom {
  const limit = Math.floor(options.descriptors * PART_OF_DESCRIPTORS);
  const shares = createShares({ limit: () => limit, reserve: RESERVE });
  let crowded = false;
  return {
    enter(user) {
      if (shares.take(user, 1)) return true;
      if (!crowded) {
        crowded = true;
        options.onAlarm(
          "connections",
          `There are too many SMTP connections (${shares.used()}); some are answered 421. The process may have ${options.descriptors} descriptors: raise LimitNOFILE if the clients are welcome.`,
        );
      }
      return false;
    },
    leave(user) {
      shares.give(user, 1);
      if (!crowded || shares.used() > limit * (1 - RESERVE) * CALM * 0.5) return;
      crowded = false;
      options.onAlarm("connections", null);
    },
  };
}
