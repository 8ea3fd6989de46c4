// What is kept: two databases with a Worker each, a reader for searches, the bodies, the keys.
import { open as openFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { StoreError } from "../store/database.ts";
import { databaseId } from "../store/database-file.ts";
import { createDiskReserve, type DiskReserve, diskSpace, reserveBytes } from "../store/disk-reserve.ts";
import { gatepostMigrations } from "../store/gatepost-migrations.ts";
import type { MessageLog } from "../store/message-log.ts";
import type { Migration } from "../store/migration.ts";
import { type Database, openDatabase, openReader, type Reader } from "../store/open-database.ts";
import { createMessageLog } from "../store/read-message-log.ts";
import { openSpool, type Spool } from "../store/spool.ts";
import { spoolMigrations } from "../store/spool-migrations.ts";
import { type ApplianceKey, loadOrMakeApplianceKey } from "../vault/appliance-key.ts";
import { type BodyVault, openBodyVault } from "../vault/body-vault.ts";
import { examineDataFolder, type FoundDamage } from "./data-folder.ts";
import type { Ground } from "./ground.ts";

/** The log of a database is copied into it when it has so many pages; two such logs and what follows fit into the reserve. */
const CHECKPOINT_PAGES = 4000;
const PAGE_BYTES = 4096;

type DatabaseName = "spool.db" | "gatepost.db";

export interface Stores {
  readonly spoolDatabase: Database;
  readonly database: Database;
  /** A second connection to gatepost.db: searches stall no write. */
  readonly reader: Reader;
  readonly spool: Spool;
  readonly vault: BodyVault;
  readonly messageLog: MessageLog;
  readonly applianceKey: ApplianceKey;
  /** Disk space for bad days. */
  readonly reserve: DiskReserve;
  /** The folder of certificates and keys. */
  readonly keys: string;
}

/**
 * Opens everything in the data directory. `onBroken`: a database is lost to this process. Throws DataLossError when something that was
 * there is not any more, and `acceptLoss` is false. `known`: damage that an earlier try found; `found` gets what shows for as long as the
 * databases are open.
 */
export async function openStores(
  ground: Ground,
  options: {
    readonly onBroken: () => void;
    readonly acceptLoss: boolean;
    readonly known: FoundDamage;
    readonly found: Map<string, string>;
  },
): Promise<Stores> {
  const { onBroken, acceptLoss, found } = options;
  const { config, parts, log, alarms } = ground;
  const folder = examineDataFolder(config.data, { acceptLoss, log });
  await folder.lookThrough(options.known);
  const reserve = reserveAtStart(config.data);
  const noteDamage = (name: DatabaseName, error: unknown) => {
    if (!(error instanceof StoreError) || error.damage === null) return;
    found.set(name, error.damage);
    folder.damaged(name);
  };
  const lost = (name: DatabaseName) => (error: Error) => {
    alarms.set(name, `The database ${name} is lost to this process (${error.message}); the gateway stops.`);
    noteDamage(name, error);
    onBroken();
  };
  const open = async (name: DatabaseName, migrations: readonly Migration[]) => {
    const path = join(config.data, name);
    const database = await openDatabase({
      path,
      migrations,
      log,
      onBroken: lost(name),
      told: { table: "message", words: name === "spool.db" ? "the queue" : "the message log" },
      onFull() {
        if (reserve.giveUp()) log.error({ database: path }, "the disk is full: the reserve is given up");
      },
      checkpointPages: Math.max(100, Math.min(CHECKPOINT_PAGES, Math.floor(reserve.bytes / 3 / PAGE_BYTES))),
    }).catch((error: unknown) => {
      noteDamage(name, error);
      throw error;
    });
    parts.defer(() => database.close());
    return database;
  };
  const spoolDatabase = await open("spool.db", spoolMigrations);
  const database = await open("gatepost.db", gatepostMigrations);
  const path = join(config.data, "gatepost.db");
  const reader = await openReader({ path, log, onBroken: lost("gatepost.db") });
  parts.defer(() => reader.close());
  const spool = await openSpool({ database: spoolDatabase, bodiesFolder: join(config.data, "spool") });
  const vault = await openBodyVault(join(config.data, "vault"));
  const keys = join(config.data, "keys");
  const applianceKey = loadOrMakeApplianceKey(keys);
  folder.opened({ "spool.db": await databaseId(spoolDatabase), "gatepost.db": await databaseId(database) });
  parts.defer(() => folder.closing());
  await syncNames(config.data);
  const messageLog = createMessageLog(reader);
  return { spoolDatabase, database, reader, spool, vault, messageLog, applianceKey, reserve, keys };
}

/** A disk that is full already gets the reserve back, so that what follows finds room. */
function reserveAtStart(data: string): DiskReserve {
  const space = diskSpace(data);
  const reserve = createDiskReserve(data, reserveBytes(space));
  if (space.free < reserve.bytes) reserve.giveUp();
  return reserve;
}

/** After this the databases and folders made in the data directory, and the directory itself, survive a power cut. */
async function syncNames(data: string): Promise<void> {
  for (const directory of [data, dirname(resolve(data))]) {
    try {
      await using handle = await openFile(directory, "r");
      await handle.sync();
    } catch {
      // Some file systems cannot sync a directory, and the parent may belong to somebody else: nothing can be done about it.
    }
  }
}
