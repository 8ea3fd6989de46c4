// May mail be taken? Looks at the disk and at the files of the data directory: refuses in time when space or inodes run out, and at once
// when a file is not the one it was; says so, keeps the reserve, and finds out when all is well again.
import { type Stats, statSync } from "node:fs";
import { join } from "node:path";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { bytesInWords } from "../observe/size-words.ts";
import { StoreError } from "../store/database.ts";
import { type DiskReserve, type DiskSpace, diskSpace } from "../store/disk-reserve.ts";
import { isLogShort } from "../store/log-mark.ts";
import type { Spool } from "../store/spool.ts";

const LOOK_EVERY_MS = 5000;
/** So old may what is known of the disk be. */
const FRESH_MS = 100;
// Larger than what stands in a row, so that the try writes a file: it leaves no trace in the database.
const TRY_BYTES = 256 * 1024;
/** Unless `min_free` is set: this much, or this share of a smaller disk. */
const USUAL_MIN_FREE = 128 * 1024 * 1024;
const USUAL_SHARE = 0.1;
const MIN_INODES = 1000;
const MIN_INODE_SHARE = 0.02;
/** Mail is taken again when there is a little more than the least. */
const ENOUGH = 1.05;

/** Files and folders that must stay what they are while the gateway runs. */
const WATCHED = ["spool.db", "spool.db-wal", "gatepost.db", "gatepost.db-wal", "spool", "vault"] as const;

export interface StorageWatch {
  /** Why new mail of so many octets cannot be kept now; null when it can. Costs next to nothing. */
  refusal(bytes: number): StoreError | null;
  /** Mail was written. */
  written(): void;
  /** Mail was not written. */
  failed(error: unknown): void;
  stop(): void;
}

export interface StorageParts {
  /** The data directory; its databases are open. */
  readonly data: string;
  readonly reserve: DiskReserve;
  readonly spool: Pick<Spool, "keepBody" | "removeBody" | "onFileWritten">;
  /** Octets that must be free for mail to be taken; null: as is usual. */
  readonly minFree: () => number | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
  /** For tests; the disk of the data directory when left out. */
  readonly look?: () => DiskSpace;
}

/**
 * Makes the watch. Alarms: "disk-full" while new mail is refused for want of space, "data-files" while a file is not what it was, "storage"
 * when mail, or the files of large mail, could not be written for another reason. Each is lifted when its cause is gone: every five seconds it looks, and tries.
 */
export function createStorageWatch(parts: StorageParts): StorageWatch {
  const { data, reserve, spool, clock, log, onAlarm } = parts;
  const look = parts.look ?? (() => diskSpace(data));
  const places = rememberedPlaces(data);
  let space = look();
  let lookedAt = clock.now();
  let full: string | null = null;
  let displaced: string | null = null;
  /** Why the last write failed, until one does not. */
  let trouble: StoreError | null = null;
  /** The same of body files: mail that needs none goes on, and says nothing about them. */
  let fileTrouble: StoreError | null = null;
  /** The newest failure of a file; who was to store that mail tells of it as well. */
  let fileFailure: StoreError | null = null;
  let making = false;
  let tries = 0;
  let stopped = false;

  const minFree = (): number =>
    parts.minFree() ?? Math.min(USUAL_MIN_FREE, Math.floor(space.total * USUAL_SHARE));
  /** A reserve that was given up is no space to fill with new mail; what is made of it again is no free space already. */
  const least = (): number => minFree() + reserve.missing();

  const judge = (): void => {
    const wanted = least() * (full === null ? 1 : ENOUGH);
    const inodes = Math.min(MIN_INODES, space.inodes * MIN_INODE_SHARE) * (full === null ? 1 : ENOUGH);
    if (space.free < wanted) full = `less than ${bytesInWords(least())} are free (min_free)`;
    else if (space.inodesFree < inodes) full = "hardly any file can still be made: it is out of inodes";
    else full = null;
    tell();
  };
  const tell = (): void => {
    const troubles = [trouble, fileTrouble].filter((one) => one !== null);
    const why = full ?? troubles.find(({ kind }) => kind === "disk-full")?.message ?? null;
    onAlarm(
      "disk-full",
      why === null
        ? null
        : `There is no space for mail. It is refused with 452, and its senders try again; what is here is delivered. On the disk of "${data}" ${why}. Make room on it.`,
    );
    onAlarm("data-files", displaced);
    const other = troubles.find(({ kind }) => kind !== "disk-full");
    const which =
      other !== undefined && other === fileTrouble ? "Large mail, whose body needs a file," : "Mail";
    onAlarm(
      "storage",
      other === undefined ? null : `${which} cannot be stored and is refused with 451: ${other.message}`,
    );
  };
  const refresh = (): void => {
    lookedAt = clock.now();
    try {
      space = look();
    } catch (error) {
      displaced = `The data directory "${data}" cannot be looked at: ${String(error)}`;
      tell();
      return;
    }
    judge();
  };
  const keepReserve = async (): Promise<void> => {
    if (making || reserve.isHeld() || space.free < (minFree() + reserve.bytes) * ENOUGH) return;
    making = true;
    try {
      await reserve.make();
    } catch (err) {
      log.warn({ err }, "the reserve of disk space cannot be made; it is tried again");
    } finally {
      making = false;
    }
  };
  const tryToWrite = async (): Promise<void> => {
    try {
      const { file } = await spool.keepBody("space", ++tries, new Uint8Array(TRY_BYTES));
      if (file !== null) await spool.removeBody(file);
      trouble = null;
    } catch {
      // As the alarm says.
    }
  };
  const turn = async (): Promise<void> => {
    displaced = places.difference();
    refresh();
    if ((trouble ?? fileTrouble) !== null && displaced === null) await tryToWrite();
    await keepReserve();
    if (!stopped) tell();
  };
  const begin = (): void => {
    turn()
      .catch((err: unknown) => log.error({ err }, "the disk cannot be looked at"))
      .finally(() => {
        if (!stopped) cancel = clock.after(LOOK_EVERY_MS, begin);
      });
  };
  spool.onFileWritten((failure) => {
    fileFailure = failure;
    if (failure === fileTrouble) return;
    if (failure !== null) displaced = places.difference();
    // Of the same trouble the first words stay. In a folder that is gone nothing can be written: that is said already.
    if (failure === null || displaced !== null) fileTrouble = null;
    else if (fileTrouble?.kind !== failure.kind) fileTrouble = failure;
    tell();
  });
  let cancel = clock.after(0, begin);
  return {
    refusal(bytes) {
      // While the reserve is made the free space shrinks quickly.
      if (making || clock.now() - lookedAt > FRESH_MS) refresh();
      if (displaced !== null) return new StoreError("failed", displaced);
      if (full !== null) return new StoreError("disk-full", full);
      if (space.free - bytes >= least()) return null;
      return new StoreError(
        "disk-full",
        `${bytesInWords(space.free)} are free, too little for ${bytesInWords(bytes)}`,
      );
    },
    written() {
      if (trouble === null) return;
      trouble = null;
      tell();
    },
    failed(error) {
      if (!(error instanceof StoreError) || (error.kind !== "disk-full" && error.kind !== "failed")) return;
      displaced = places.difference();
      if (error !== fileFailure) trouble = error;
      refresh();
      tell();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** What the files are now; later, in words, which of them is another or shorter, or cannot be looked at. Never throws. */
function rememberedPlaces(data: string): { difference(): string | null } {
  const known = new Map<string, { readonly place: string; size: number }>();
  const difference = (): string | null => {
    for (const name of WATCHED) {
      let info: Stats | undefined;
      try {
        info = statSync(join(data, name), { throwIfNoEntry: false });
      } catch (error) {
        return `${name} cannot be looked at (${String(error)}). New mail is refused with 451, for it may be lost. It is taken again when "${join(data, name)}" can be looked at; see whether the disk fails.`;
      }
      const before = known.get(name);
      if (before === undefined) {
        if (info !== undefined) known.set(name, { place: `${info.dev}:${info.ino}`, size: info.size });
        continue;
      }
      const place = info === undefined ? null : `${info.dev}:${info.ino}`;
      // A log may be begun anew, and is empty then; its mark says what must be in it. A folder's size says nothing.
      const isShorter = name.endsWith("-wal")
        ? isLogShort(join(data, name.slice(0, -"-wal".length)))
        : info?.isFile() === true && info.size < before.size;
      if (place === before.place && !isShorter) {
        before.size = info?.size ?? 0;
        continue;
      }
      const what = place === null ? "was removed" : isShorter ? "was cut short" : "was replaced";
      return `${name} ${what} while the gateway runs. New mail is refused with 451, for it would be lost. Stop the gateway, put "${join(data, name)}" back or restore a backup, and start it.`;
    }
    return null;
  };
  difference();
  return { difference };
}
