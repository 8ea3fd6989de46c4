// Large bodies come in by turns. A socket hands over half a megabyte at a time: of twenty that send at once each turn of the event loop would
// be ten, and whoever has a short question waits for all of it, at each of his steps.
import { FairQueue } from "../observe/fair-queue.ts";

/** Octets of large bodies that may come in within one turn of the event loop: a few milliseconds of work. */
const BYTES_A_TURN = 524_288;

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

export interface BodyPace {
  /** May the next piece of a user's body, of about so many octets, come in? Null: at once. Users take turns. */
  turn(user: string, bytes: number): Promise<void> | null;
}

/** Makes the pace that all bodies share. `soon` calls back in the next turn of the event loop. */
export function createBodyPace(soon: (next: () => void) => void = setImmediate): BodyPace {
  const waiting = new FairQueue<Waiting>();
  let granted = 0;
  let planned = false;

  function nextTurn(): void {
    planned = false;
    granted = 0;
    for (let next = waiting.first(); next !== undefined; next = waiting.first()) {
      // One that is larger than a turn has a turn of its own.
      if (granted > 0 && granted + next.bytes > BYTES_A_TURN) break;
      waiting.shift();
      granted += next.bytes;
      next.go();
    }
    if (granted > 0) plan();
  }

  function plan(): void {
    if (planned) return;
    planned = true;
    soon(nextTurn);
  }

  return {
    turn(user, bytes) {
      plan();
      if (waiting.length === 0 && (granted === 0 || granted + bytes <= BYTES_A_TURN)) {
        granted += bytes;
        return null;
      }
      return new Promise((resolve) => waiting.push(user, { bytes, go: resolve }));
    },
  };
}
