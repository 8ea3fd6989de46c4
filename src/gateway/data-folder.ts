// Is the data directory what it was? What is missing, damaged or of another gateway stops the start, unless the operator has accepted
// the loss: a gateway that lost its mail must not come up as a new one in silence. Damage is decided on here, wherever it was found.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../observe/log.ts";
import {
  bootId,
  type DataLoss,
  type DataManifest,
  holdsBodies,
  keySum,
  MANIFEST_FILE,
  markFolder,
  missingFiles,
  newManifest,
  putAside,
  readableByAll,
  readManifest,
  writeManifest,
} from "../store/data-manifest.ts";
import { databaseDamage } from "../store/database-damage.ts";

/** The databases of a gateway. */
const DATABASES: readonly string[] = ["spool.db", "gatepost.db"];
const FOLDERS = ["spool", "vault"] as const;

const HELD: Readonly<Record<string, string>> = {
  "spool.db": "the mail that waited for delivery or filing",
  "gatepost.db": "the settings, accounts, the message log and the lists of quarantine and archive",
  "spool.db-wal": "what was written to the queue last, also mail that was acknowledged",
  "gatepost.db-wal":
    "what was written last to the quarantine, the archive, the message log, the settings and accounts",
  spool: "the bodies of large mail that waited",
  vault: "the bodies of mail in quarantine and archive",
  "keys/appliance.key":
    "the key without which DKIM keys, CRAM-MD5 passwords and other sealed secrets cannot be opened",
  [MANIFEST_FILE]: "the list of what this directory must hold",
};

/** Something is missing; the words say what, what it held and what can be done. */
class DataLossError extends Error {
  override readonly name = "DataLossError";
  constructor(data: string, losses: readonly DataLoss[], { opened = false } = {}) {
    super(
      [
        `The data directory "${data}" does not hold what it must:`,
        ...losses.map(({ name, what }) => `  - ${what}. It held ${HELD[name] ?? "a part of the gateway"}.`),
        opened
          ? "Nothing was removed. Does a disk fail? Put a whole copy of the file in its place, or restore a backup (gatepost restore)."
          : "Nothing was changed. Is a disk not mounted? Put the files back, or restore a backup (gatepost restore).",
        'To go on without what is lost: "gatepost serve --accept-loss". What cannot be used is moved aside, not deleted; the rest is used on.',
      ].join("\n"),
    );
  }
}

/** Databases that SQLite found damaged while they were open, by their name: what it says. */
export type FoundDamage = ReadonlyMap<string, string>;

/** Why a gateway cannot start that found this. */
export function damageError(data: string, found: FoundDamage): Error {
  return new DataLossError(data, damageLosses(found), { opened: true });
}

function damageLosses(found: FoundDamage): readonly DataLoss[] {
  return [...found].map(([name, words]) => ({ name, what: `${name} is damaged: ${words}` }));
}

export interface DataFolder {
  /**
   * Looks all through the databases that were found damaged when they were open, and through each of them once losses are accepted: damage
   * in the middle of a file shows when that part is read. To be called before they are opened. `known`: what is found already. Throws DataLossError.
   */
  lookThrough(known: FoundDamage): Promise<void>;
  /** A database turned out to be damaged: noted for the next start. */
  damaged(name: string): void;
  /** Compares the open databases, by name, with those the directory had; then everything is there. Throws DataLossError. */
  opened(ids: Readonly<Record<string, string>>): void;
  /** To be called right before the databases are closed. */
  closing(): void;
}

/**
 * Looks at the data directory before anything in it is opened.
 * @throws DataLossError when something is missing and `acceptLoss` is false.
 */
export function examineDataFolder(
  data: string,
  { acceptLoss, log }: { readonly acceptLoss: boolean; readonly log: Log },
): DataFolder {
  const kept = readManifest(data);
  let manifest = kept === "damaged" ? null : kept;
  const losses = lossesOf(data, kept);
  const accepted = new Set(losses.map(({ name }) => name));
  if (losses.length > 0) {
    if (!acceptLoss) throw new DataLossError(data, losses);
    takeLosses(data, losses, log);
  }
  if (manifest === null && losses.length === 0) {
    const isNew = missingFiles(data, null, DATABASES).length > 0;
    if (isNew) log.warn({ data }, "this data directory is new: it holds no mail and no settings yet");
    // From here on a kill leaves a directory that is known to be unfinished.
    if (isNew) writeManifest(data, newManifest());
  }
  for (const name of readableByAll(data, DATABASES))
    log.warn(
      { file: join(data, name) },
      `every user of this machine may read "${join(data, name)}", which holds secrets or mail: chmod 600 it; if others could get at it, make what it holds anew`,
    );
  const noted = new Set(manifest?.damaged);
  const damagedNow = () => (noted.size === 0 ? {} : { damaged: [...noted] });
  return {
    async lookThrough(known) {
      const found = new Map(known);
      for (const name of DATABASES) {
        const isNoted = noted.has(name);
        if (
          found.has(name) ||
          accepted.has(name) ||
          !(isNoted || acceptLoss) ||
          !existsSync(join(data, name))
        )
          continue;
        log.info({ database: join(data, name) }, `looking all through ${name}: is it damaged?`);
        const words = await databaseDamage(join(data, name), { log, thorough: isNoted });
        if (words !== null) found.set(name, words);
        else noted.delete(name);
      }
      if (found.size === 0) return;
      if (!acceptLoss) throw damageError(data, found);
      takeLosses(data, damageLosses(found), log);
      for (const name of found.keys()) {
        accepted.add(name);
        noted.delete(name);
      }
    },
    damaged(name) {
      noted.add(name);
      if (manifest === null) return;
      manifest = { ...manifest, ...damagedNow() };
      try {
        writeManifest(data, manifest);
      } catch (err) {
        log.error({ err, database: name }, "that the database is damaged cannot be noted for the next start");
      }
    },
    opened(ids) {
      const foreign = Object.entries(ids).flatMap(([name, id]): readonly DataLoss[] => {
        const before = manifest?.databases[name];
        if (before === undefined || before === id || accepted.has(name) || manifest?.state === "making")
          return [];
        return [
          { name, what: `${name} is not the one this directory had: it is of another gateway, or new` },
        ];
      });
      if (foreign.length > 0 && !acceptLoss) throw new DataLossError(data, foreign);
      for (const { what } of foreign) log.warn({ what }, "taken over as it is: the loss was accepted");
      const before = JSON.stringify(manifest);
      manifest = {
        version: 1,
        state: "open",
        databases: { ...ids },
        folders: Object.fromEntries(FOLDERS.map((name) => [name, markFolder(join(data, name))])),
        applianceKey: keySum(join(data, "keys")),
        boot: bootId(),
        marks: true,
        ...damagedNow(),
      };
      // After a kill it is as it was: nothing to write, also where there is no space for it.
      if (JSON.stringify(manifest) !== before) writeManifest(data, manifest);
    },
    closing() {
      if (manifest?.state === "open") writeManifest(data, { ...manifest, state: "closed" });
    },
  };
}

function lossesOf(data: string, manifest: DataManifest | null | "damaged"): readonly DataLoss[] {
  if (manifest === "damaged")
    return [
      { name: MANIFEST_FILE, what: `${MANIFEST_FILE} is damaged` },
      ...missingFiles(data, null, DATABASES),
    ];
  if (manifest?.state === "making") return [];
  const losses = missingFiles(data, manifest, DATABASES);
  // A directory of a version that wrote no manifest, or a new one: both databases are there, or neither and no mail.
  const isNew = losses.length === DATABASES.length && losses.every(({ what }) => what.endsWith("is missing"));
  return manifest === null && isNew && !holdsBodies(data) ? [] : losses;
}

function takeLosses(data: string, losses: readonly DataLoss[], log: Log): void {
  const aside = `lost-${new Date().toISOString().replace(/[:.]/g, "-")}`;
  mkdirSync(join(data, aside), { mode: 0o700 });
  for (const loss of losses) {
    const { name, what } = loss;
    log.error({ what, held: HELD[name], aside: join(data, aside) }, "loss accepted");
    putAside(data, loss, aside);
  }
}
