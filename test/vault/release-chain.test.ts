// A release goes through two databases. The process dies before and after each commit of either: it is delivered once.
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createQueue } from "../../src/queue/run-queue.ts";
import type { DatabaseWriter } from "../../src/store/database.ts";
import { openSpool } from "../../src/store/spool.ts";
import { spoolMigrations } from "../../src/store/spool-migrations.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { noLargeBody } from "../message/small-body.ts";
import { openAt, openBooks, temporaryDirectory } from "../store/temporary-database.ts";

const never = () => new Promise<never>(() => {});

/** All commits of a life, of both databases, in the order in which they are begun. */
interface Life {
  commits: number;
  /** With this one the process dies: it is made (`after`) or not, and nothing is answered any more. */
  readonly diesAt: number;
  readonly after: boolean;
}

function mortal(database: DatabaseWriter, life: Life): DatabaseWriter {
  const dead = () => life.commits >= life.diesAt;
  return {
    query: (query) => (dead() ? never() : database.query(query)),
    async commit(unit) {
      if (dead()) return never();
      life.commits++;
      if (dead()) {
        if (life.after) await database.commit(unit);
        return never();
      }
      return database.commit(unit);
    },
  };
}

/** Opens everything as the gateway does; `delivered` collects what leaves. */
async function live(directory: string, life: Life, delivered: string[]) {
  const spoolDatabase = await openAt(join(directory, "spool.db"), { migrations: spoolMigrations });
  const books = await openBooks(directory);
  const spool = await openSpool({
    database: mortal(spoolDatabase, life),
    bodiesFolder: join(directory, "spool"),
    maxBodyInRowBytes: 10,
  });
  const vault = await openBodyVault(join(directory, "vault"));
  const queue = createQueue({
    spool,
    storage: { refusal: () => null, written: () => {}, failed: () => {} },
    deliverer: {
      async attempt({ messageId, recipients }) {
        delivered.push(messageId);
        return recipients.map(({ n }) => ({
          n,
          result: "delivered",
          code: 250,
          enhanced: null,
          text: "250 Ok",
          server: "mx",
          tls: null,
        }));
      },
      answers: async () => true,
      capacity: () => 5,
      close: async () => {},
    },
    clock: systemClock,
    log: silentLog,
    hostname: "gate.example.test",
    settings: () => ({ retryMs: [60_000], giveUpAfterMs: 86_400_000, delayNoticeAfterMs: 86_400_000 }),
    destinationFor: () => ({ kind: "mx", key: "mx:example.test", domain: "example.test" }),
    writeLog: async () => {},
    fileInQuarantine: async () => {},
    fileInArchive: async () => {},
    onAlarm: () => {},
  });
  const started = (async () => {
    const running = await queue;
    const quarantine = createQuarantine({
      db: mortal(books, life),
      reader: books,
      vault,
      newBodyFile: noLargeBody,
      release: async (item, body) => void (await running.acceptReleased(item, body)),
    });
    await quarantine.resumeReleases();
    return quarantine;
  })();
  return {
    started,
    books,
    vault,
    async end() {
      await spoolDatabase.close();
      await books.close();
    },
  };
}

const NO_END = Number.POSITIVE_INFINITY;

for (const after of [false, true]) {
  for (let diesAt = 1; diesAt <= 7; diesAt++) {
    test(`dying ${after ? "after" : "before"} commit ${diesAt} of a release`, async () => {
      await using directory = temporaryDirectory();
      mkdirSync(join(directory.path, "vault"));
      const books = await openBooks(directory.path);
      const vault = await openBodyVault(join(directory.path, "vault"));
      const copy = {
        messageId: "m1",
        n: 0,
        recipient: "bob@example.test",
        reversePath: "alice@example.org",
        headerFrom: "",
        subject: "",
        direction: "inbound" as const,
        rule: "virus",
        words: "",
        receivedAt: Date.now(),
        message: Buffer.from("Subject: x\r\n\r\nnot so bad\r\n"),
      };
      await books.commit(await keepInQuarantine(vault, { copy, keepMs: 86_400_000 }));
      await books.close();

      const delivered: string[] = [];
      const life: Life = { commits: 0, diesAt, after };
      const first = await live(directory.path, life, delivered);
      const asked = first.started.then((quarantine) => quarantine.release("m1-0", "admin"));
      await Promise.race([asked.then(() => Bun.sleep(40)), Bun.sleep(200)]);
      const inFlight = life.commits >= diesAt ? delivered.length : 0;
      life.commits = NO_END;
      await first.end();

      const second = await live(directory.path, { commits: 0, diesAt: NO_END, after: false }, delivered);
      const quarantine = await second.started;
      // Whether the wish had reached the disk or the administrator asks again.
      await quarantine.release("m1-0", "admin");
      await Bun.sleep(60);
      expect((await quarantine.get("m1-0"))?.state).toBe("released");
      expect(await quarantine.release("m1-0", "admin")).toBe("already");
      await Bun.sleep(50);
      // Once; twice only when the process died between the delivery and its record, as with any mail.
      expect(delivered.length).toBeGreaterThanOrEqual(1);
      expect(delivered.length).toBeLessThanOrEqual(1 + Math.min(1, inFlight));
      await second.end();
    });
  }
}
