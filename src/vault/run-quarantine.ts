// The quarantine at work: rows in gatepost.db, bodies in the vault, release into the queue. A release survives a crash at any point.
import type { MessageBody } from "../message/body.ts";
import { archivedBodies, archiveRefersTo } from "../store/archive-rows.ts";
import { type BodyFileWriter, bodyOfPieces } from "../store/body-file.ts";
import { type DatabaseReader, type DatabaseWriter, StoreError } from "../store/database.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";
import {
  beginRelease,
  cancelRelease,
  deleteQuarantined,
  dueForExpiry,
  expireQuarantined,
  findQuarantined,
  finishRelease,
  forgetSettled,
  type KeptItem,
  keptBodies,
  listQuarantine,
  quarantinedSenders,
  refersToBody,
  releaseOf,
  unfinishedReleases,
} from "../store/quarantine-rows.ts";
import {
  keptUndeliverable,
  markSeen,
  newerItem,
  unseenUndeliverable,
} from "../store/quarantine-undeliverable.ts";
import type { BodyVault } from "./body-vault.ts";
import { type Quarantine, SHOWN_BYTES } from "./quarantine.ts";

const EXPIRY_STEP = 200;
const BODY_STEP = 500;
// How long a settled item is still shown after its time.
const SHOW_SETTLED_MS = 90 * 86_400_000;

/** What the quarantine works with. */
export interface QuarantineParts {
  readonly db: DatabaseWriter;
  /** For lists; may be the same database. */
  readonly reader: DatabaseReader;
  readonly vault: BodyVault;
  /**
   * Hands the message to the queue, durable when it resolves. Must be idempotent under a queue id derived from `item.id`:
   * after a crash between the two databases it is called again.
   */
  readonly release: (item: QuarantineItem, body: MessageBody) => Promise<void>;
  /** A file for a message that is too large for memory while it is released. */
  readonly newBodyFile: () => BodyFileWriter;
  /** Undeliverable mail may have been looked at, released or removed. */
  readonly onChange?: () => void;
  readonly now?: () => number;
}

/** The quarantine, and what the composition root calls besides. */
export interface RunningQuarantine extends Quarantine {
  /** Finishes the releases that a crash or a failure interrupted; call it at start when the queue runs, and now and then. Resolves to how many. */
  resumeReleases(): Promise<number>;
  /** How many bodies that are to be kept, in quarantine or archive, are not in the vault. Looks at each file. */
  missingBodies(): Promise<number>;
  /** Removes bodies that no item refers to; call it at start and every hour. Resolves to how many. */
  sweep(): Promise<number>;
}

/** Makes the quarantine. */
export function createQuarantine(parts: QuarantineParts): RunningQuarantine {
  const { db, reader, vault } = parts;
  const now = parts.now ?? Date.now;
  const onChange = parts.onChange ?? (() => {});
  // One vault for both: the archive may keep the same body.
  const isReferenced = async (hash: string): Promise<boolean> =>
    (await refersToBody(db, hash)) || archiveRefersTo(db, hash);

  /** A body that stays behind is removed by the next sweep. */
  const dropBody = async (hash: string | null): Promise<void> => {
    if (hash !== null) await vault.removeUnlessReferenced(hash, () => isReferenced(hash));
  };

  const finish = async (
    { item, bodyHash }: KeptItem,
    by: string,
    onTaken = () => {},
  ): Promise<"released" | "already" | "gone"> => {
    const pieces = bodyHash === null ? null : await vault.pieces(bodyHash);
    if (pieces === null) {
      const state = await stateNow(item.id);
      // Another call has ended it in between, else the file was lost.
      if (state !== "kept") return state;
      throw new Error(`the body of ${item.id} is missing from the vault; restore it from a backup`);
    }
    // Before it is handed over: the log must not say "released" after a delivery that was quicker than this.
    const at = now();
    const unpacked = await bodyOfPieces(pieces, parts.newBodyFile);
    try {
      await parts.release(item, unpacked.body);
    } finally {
      await unpacked.discard();
    }
    onTaken();
    if (!(await finishRelease(db, item, { by, at }))) return "already";
    await dropBody(bodyHash);
    onChange();
    return "released";
  };

  const stateNow = async (id: string): Promise<"kept" | "already" | "gone"> => {
    const state = (await findQuarantined(db, id))?.item.state;
    if (state === "kept") return "kept";
    return state === "released" ? "already" : "gone";
  };

  return {
    list: (filter) => listQuarantine(reader, filter),
    senders: (filter) => quarantinedSenders(reader, filter),

    releaseOf: (id) => releaseOf(reader, id),

    async get(id) {
      return (await findQuarantined(reader, id))?.item ?? null;
    },

    async body(id) {
      const hash = (await findQuarantined(reader, id))?.bodyHash ?? null;
      return hash === null ? null : vault.start(hash, SHOWN_BYTES);
    },

    async source(id) {
      const hash = (await findQuarantined(reader, id))?.bodyHash ?? null;
      return hash === null ? null : vault.pieces(hash);
    },

    async release(id, by) {
      // The wish is written down first: from here on the item can neither expire nor be deleted, and a restart finishes it.
      const begun = await beginRelease(db, id, { by, at: now() });
      const found = await findQuarantined(db, id);
      if (!begun || found?.item.state !== "kept")
        return found?.item.state === "released" ? "already" : "gone";
      let taken = false;
      try {
        return await finish(found, by, () => {
          taken = true;
        });
      } catch (error) {
        // A commit that failed may have reached the disk all the same. What the queue has or may have keeps its wish, and is
        // finished later: it must not be deleted or expire as if it had never left.
        const mayBeTaken = taken || (error instanceof StoreError && error.kind === "failed");
        if (!mayBeTaken) await cancelRelease(db, id);
        throw error;
      }
    },

    async remove(id, by) {
      const found = await findQuarantined(db, id);
      if (found === null || !(await deleteQuarantined(db, found.item, { by, at: now() }))) return false;
      await dropBody(found.bodyHash);
      onChange();
      return true;
    },

    async see(id) {
      if (await markSeen(db, id, now())) onChange();
    },

    async undeliverable() {
      const [unseen, kept] = await Promise.all([unseenUndeliverable(reader), keptUndeliverable(reader)]);
      return { ...unseen, kept };
    },

    newer: (id) => newerItem(reader, id),

    async expire(nowMs) {
      let expired = 0;
      for (;;) {
        const due = await dueForExpiry(db, nowMs, EXPIRY_STEP);
        for (const { item, bodyHash } of due) {
          if (!(await expireQuarantined(db, item, nowMs))) continue;
          expired++;
          await dropBody(bodyHash);
        }
        if (due.length < EXPIRY_STEP) break;
      }
      await forgetSettled(db, nowMs - SHOW_SETTLED_MS);
      if (expired > 0) onChange();
      return expired;
    },

    async resumeReleases() {
      let released = 0;
      const failures: unknown[] = [];
      for (const found of await unfinishedReleases(db)) {
        try {
          if ((await finish(found, found.releaseAskedBy ?? "gatepost")) === "released") released++;
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) {
        throw new AggregateError(
          failures,
          `${failures.length} releases from the quarantine could not be finished`,
        );
      }
      return released;
    },

    sweep: () => vault.sweep(isReferenced),

    async missingBodies() {
      let missing = 0;
      for (const next of [keptBodies, archivedBodies]) {
        let after = "";
        for (;;) {
          const hashes = await next(reader, { after, limit: BODY_STEP });
          for (const hash of hashes) if (!(await vault.has(hash))) missing++;
          after = hashes.at(-1) ?? "";
          if (hashes.length < BODY_STEP) break;
        }
      }
      return missing;
    },
  };
}
