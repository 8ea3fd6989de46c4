// Messages in the queue whose body is gone or damaged: what an administrator must know of them until they are dropped or whole again.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { lookAgain } from "../observe/look-again.ts";
import type { Spool } from "../store/spool.ts";

const NAMED = 5;

export interface LostBodies {
  /** The body of a message cannot be read, and trying again does not help. */
  found(id: string, words: string): void;
  /** It was read after all: somebody put it back. */
  readable(id: string): void;
  /** Looks which of them are still in the queue. Rejects with StoreError. */
  review(): Promise<void>;
  stop(): void;
}

/** Makes the list; the alarm "lost-bodies" stands while something is on it. */
export function createLostBodies({
  spool,
  clock,
  log,
  onAlarm,
}: {
  readonly spool: Pick<Spool, "ofMessage">;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
}): LostBodies {
  const lost = new Map<string, string>();
  const isGone = async (id: string) => (await spool.ofMessage(id)).length === 0;
  // One whose time is over leaves the queue by itself.
  const again = lookAgain<string>({
    isOver: isGone,
    onOver: whole,
    onFailure: (err) => log.warn({ err }, "whether lost messages are in the queue cannot be found out"),
    clock,
  });

  function whole(id: string): void {
    if (!lost.delete(id)) return;
    again.forget(id);
    tell();
  }

  function tell(): void {
    const [first] = lost.values();
    if (first === undefined) {
      onAlarm("lost-bodies", null);
      return;
    }
    const ids = [...lost.keys()].slice(0, NAMED).join(", ");
    const more = lost.size > NAMED ? ` and ${lost.size - NAMED} more` : "";
    onAlarm(
      "lost-bodies",
      `What is left of ${lost.size === 1 ? "a message" : `${lost.size} messages`} in the queue cannot be delivered (${ids}${more}): ${first}. Put the file back from a backup and try again, or drop it.`,
    );
  }

  return {
    found(id, words) {
      lost.set(id, words);
      again.note(id, id);
      tell();
    },
    readable: whole,
    async review() {
      for (const id of [...lost.keys()]) if (await isGone(id)) whole(id);
    },
    stop: again.stop,
  };
}
