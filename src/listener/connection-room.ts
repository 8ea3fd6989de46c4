// The connections of all listeners together, in shares: each takes a descriptor of the process, and without descriptors nothing works, neither
// delivery nor the databases. Counts, and says when there is no more room.
import type { OnAlarm } from "../observe/alarms.ts";
import { createShares, type ShareUser } from "../observe/shares.ts";
import type { ConnectionRoom } from "../session/services.ts";

/** Of the descriptors; the others are for deliveries, body files, databases and the console. */
const PART_OF_DESCRIPTORS = 0.4;
/** For trusted hosts and for listeners where everybody must log in. */
const RESERVE = 0.25;
/** Of the places for strangers; one client alone gets no more (shares.ts). */
const ONE_SHARE = 0.5;
/** The alarm ends when no more than this of one share is taken. */
const CALM = 0.8;

/** Makes the room for a process with `descriptors`. */
export function createConnectionRoom(options: {
  readonly descriptors: number;
  readonly onAlarm: OnAlarm;
}): ConnectionRoom {
  const limit = Math.floor(options.descriptors * PART_OF_DESCRIPTORS);
  const shares = createShares({ limit: () => limit, reserve: RESERVE });
  /** What is told at present: that one client has its share, or that there is no place for anybody new. */
  let told: "connections of one client" | "connections" | null = null;

  function tell({ key, known }: ShareUser): void {
    // A newcomer of this kind must leave as much as it takes.
    const isFull = shares.used() + 2 > (known ? limit : limit * (1 - RESERVE));
    if (told === "connections" || (told !== null && !isFull)) return;
    const before = told;
    told = isFull ? "connections" : "connections of one client";
    options.onAlarm(
      told,
      isFull
        ? `There are too many SMTP connections (${shares.used()}); some are answered 421. The process may have ${options.descriptors} descriptors: raise LimitNOFILE if the clients are welcome.`
        : `${key} has as many SMTP connections as one client or network may have here; more of it are answered 421, others are still taken (${shares.used()} of ${limit} places are in use). If it is one of your own, add it to the trusted networks or let it open fewer; raise LimitNOFILE only if it needs more.`,
    );
    if (before !== null) options.onAlarm(before, null);
  }

  return {
    enter(user) {
      if (shares.take(user, 1)) return true;
      tell(user);
      return false;
    },
    leave(user) {
      shares.give(user, 1);
      if (told === null || shares.used() > limit * (1 - RESERVE) * ONE_SHARE * CALM) return;
      options.onAlarm(told, null);
      told = null;
    },
  };
}
