// A consistent copy of databases in use, made by Workers of its own: a long copy delays no write and no other reading.
import { statSync } from "node:fs";
import type { Log } from "../observe/log.ts";
import { type Database, openReader, type Reader } from "./open-database.ts";

/** How often it is looked whether a copy has begun, and how long commits wait for that at most. */
const LOOK_EVERY_MS = 1;
const MOST_WAIT_MS = 10_000;

/** A database that this process has open, and the new file for its copy. */
export interface DatabaseCopy {
  readonly database: Pick<Database, "pause">;
  readonly path: string;
  readonly file: string;
}

/**
 * Copies all as they stand at one and the same moment (`VACUUM INTO`): commits wait until each copy has begun, and go on while they are
 * written. Rejects with StoreError when a file exists or cannot be written.
 */
export async function copyDatabases(copies: readonly DatabaseCopy[], log: Log): Promise<void> {
  const readers: Reader[] = [];
  try {
    for (const { path } of copies) {
      const reader = await openReader({ path, log });
      readers.push(reader);
      // SQLite counts the copy as writing. Nothing else is ever asked of this connection.
      await reader.query({ sql: "pragma query_only = off", params: [] });
    }
    const resume = await pauseAll(copies);
    const begun: (() => boolean)[] = [];
    const copying = readers.map((reader, index) => {
      const file = copies[index]?.file ?? "";
      let ended = false;
      // What is written to the file was read in a transaction that had begun before.
      begun.push(() => ended || (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0);
      return reader.query({ sql: "vacuum into ?", params: [file] }).finally(() => {
        ended = true;
      });
    });
    const all = Promise.allSettled(copying);
    try {
      await until(() => begun.every((has) => has()));
    } finally {
      resume();
    }
    for (const result of await all) if (result.status === "rejected") throw result.reason;
  } finally {
    for (const reader of readers) await reader.close();
  }
}

/** Resolves when no commit is under way in any of them, to the function that lets them go on. */
async function pauseAll(copies: readonly DatabaseCopy[]): Promise<() => void> {
  const resumes = await Promise.all(copies.map(({ database }) => database.pause()));
  return () => {
    for (const resume of resumes) resume();
  };
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + MOST_WAIT_MS;
  while (!done()) {
    if (performance.now() > deadline)
      throw new Error("the copies of the databases did not begin; nothing was backed up, try it again");
    await Bun.sleep(LOOK_EVERY_MS);
  }
}
