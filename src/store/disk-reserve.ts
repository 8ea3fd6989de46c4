// Space that is kept for bad days: files that are given up when the disk is full, so that what is here can still be delivered, dropped
// and started, and made anew when there is room. Several files: on a disk without inodes they give back those.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = "reserve";
const FILES = 32;
/** Enough to copy the logs of both databases into their files, and for all small changes after that. */
const MOST_BYTES = 48 * 1024 * 1024;
const SHARE = 0.06;

/** What the disk of a directory has, octets and inodes; `inodesFree` is infinite where the file system does not count them. */
export interface DiskSpace {
  readonly total: number;
  readonly free: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

/** Looks at the disk now; a few microseconds. */
export function diskSpace(directory: string): DiskSpace {
  const { blocks, bavail, bsize, files, ffree } = statfsSync(directory);
  const counted = files > 0;
  return {
    total: blocks * bsize,
    free: bavail * bsize,
    inodes: counted ? files : Number.POSITIVE_INFINITY,
    inodesFree: counted ? ffree : Number.POSITIVE_INFINITY,
  };
}

/** How much is kept in reserve on such a disk, octets. */
export function reserveBytes({ total }: Pick<DiskSpace, "total">): number {
  return Math.floor(Math.min(MOST_BYTES, total * SHARE));
}

export interface DiskReserve {
  readonly bytes: number;
  isHeld(): boolean;
  /** Octets of it that are not on the disk yet; while it is made they become fewer. */
  missing(): number;
  /** Gives it up at once. True when there was one. */
  giveUp(): boolean;
  /** Makes it. Rejects when there is no room after all or it was given up meanwhile; nothing of it stays then. */
  make(): Promise<void>;
}

/** The reserve of a data directory. One that a process before has left counts. */
export function createDiskReserve(data: string, bytes: number): DiskReserve {
  const folder = join(data, FOLDER);
  let held = existsSync(folder) && readdirSync(folder).length === FILES;
  const fileBytes = Math.ceil(bytes / FILES);
  /** Files that are written or being written. */
  let begun = 0;
  let timesGivenUp = 0;
  return {
    bytes,
    isHeld: () => held,
    missing: () => (held ? 0 : Math.max(0, bytes - begun * fileBytes)),
    giveUp() {
      const was = existsSync(folder);
      timesGivenUp++;
      giveUpReserve(data);
      held = false;
      begun = 0;
      return was;
    },
    async make() {
      const before = timesGivenUp;
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        // Not zeros: some file systems keep those without any space.
        const content = randomBytes(fileBytes);
        for (let n = 0; n < FILES; n++) {
          begun = n + 1;
          await using file = await open(join(folder, String(n).padStart(2, "0")), "w", 0o600);
          await file.writeFile(content);
          await file.datasync();
          // Its files are gone, and what was just written must not stay for a whole one.
          if (timesGivenUp !== before) throw new Error("it was given up while it was made");
        }
        held = true;
      } catch (error) {
        giveUpReserve(data);
        begun = 0;
        throw error;
      }
    },
  };
}

/** The same for whoever has only the directory. */
export function giveUpReserve(data: string): void {
  try {
    rmSync(join(data, FOLDER), { recursive: true, force: true });
  } catch {
    // What is to be written next says what is wrong with the disk.
  }
}
