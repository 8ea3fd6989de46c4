// The memory and the disk that messages may take while they come in, all sessions together, in shares: one stranger with a hundred half-sent
// bodies takes his own share and nobody else's.
import { statfsSync } from "node:fs";
import type { Clock } from "../observe/clock.ts";
import { createShares, type Shares, type ShareUser } from "../observe/shares.ts";
import { BLOCK_BYTES } from "../store/body-file.ts";
import { createBodyPace } from "./body-pace.ts";

/** What one body takes. */
export interface BodyShare {
  /** False: there is no memory for so many octets more. */
  memory(bytes: number): boolean;
  /** False: there is no room on the disk for so many octets more. */
  disk(bytes: number): boolean;
  /** The body goes to disk: `headBytes` stay in memory, and what its writer needs. False: there is no room for it. */
  spill(headBytes: number, diskBytes: number): boolean;
  /** When the next piece of a body that goes to disk may come in, of about so many octets; null: at once. */
  turn(bytes: number): Promise<void> | null;
  /** Gives everything back; harmless twice. */
  release(): void;
}

export interface BodyRoom {
  shareOf(user: ShareUser): BodyShare;
  memoryUsed(): number;
}

const MEMORY_BYTES = 96 * 1024 * 1024;
/** For log-ins and trusted hosts. */
const RESERVE = 0.25;
/** A block that fills and one that is being written. */
const WRITER_BYTES = 2 * BLOCK_BYTES;
/** What comes in may take half of the free disk: the other half is for what is accepted. */
const DISK_PART = 0.5;
const LOOK_EVERY_MS = 2000;

/** Makes the room. `folder` is where the files go: the space left there bounds them. */
export function createBodyRoom(options: {
  readonly folder: string;
  readonly clock: Clock;
  readonly memoryBytes?: number;
  readonly freeBytes?: (folder: string) => number;
}): BodyRoom {
  const { folder, clock, memoryBytes = MEMORY_BYTES, freeBytes = freeSpace } = options;
  const memory = createShares({ limit: () => memoryBytes, reserve: RESERVE });
  const pace = createBodyPace();
  let free = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const disk: Shares = createShares({
    limit() {
      if (clock.now() - lookedAt >= LOOK_EVERY_MS) {
        free = freeBytes(folder);
        lookedAt = clock.now();
      }
      return (free + disk.used()) * DISK_PART;
    },
    reserve: RESERVE,
  });
  return {
    memoryUsed: () => memory.used(),
    shareOf(user) {
      let inMemory = 0;
      let onDisk = 0;
      const share: BodyShare = {
        memory(bytes) {
          if (!memory.take(user, bytes)) return false;
          inMemory += bytes;
          return true;
        },
        disk(bytes) {
          if (!disk.take(user, bytes)) return false;
          onDisk += bytes;
          return true;
        },
        spill(headBytes, diskBytes) {
          memory.give(user, inMemory);
          inMemory = 0;
          return share.memory(headBytes + WRITER_BYTES) && share.disk(diskBytes);
        },
        turn: (bytes) => pace.turn(user.key, bytes),
        release() {
          memory.give(user, inMemory);
          disk.give(user, onDisk);
          inMemory = 0;
          onDisk = 0;
        },
      };
      return share;
    },
  };
}

/** What a file system that cannot be asked has: plenty; a write that fails says so. */
function freeSpace(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}
