// The migrations of spool.db, in order.
import queue from "../../drizzle/spool/0001_queue.sql" with { type: "text" };
import archiveAndCounts from "../../drizzle/spool/0002_archive_and_counts.sql" with { type: "text" };
import unreported from "../../drizzle/spool/0003_unreported.sql" with { type: "text" };
import bodySum from "../../drizzle/spool/0004_body_sum.sql" with { type: "text" };
import awaitsServer from "../../drizzle/spool/0005_awaits_server.sql" with { type: "text" };
import share from "../../drizzle/spool/0006_share.sql" with { type: "text" };
import noLogin from "../../drizzle/spool/0007_no_login.sql" with { type: "text" };
import type { Migration } from "./migration.ts";

/** Every step from an empty file to the present schema of spool.db. */
export const spoolMigrations: readonly Migration[] = [
  { name: "0001_queue", sql: queue },
  { name: "0002_archive_and_counts", sql: archiveAndCounts },
  { name: "0003_unreported", sql: unreported },
  { name: "0004_body_sum", sql: bodySum },
  { name: "0005_awaits_server", sql: awaitsServer },
  { name: "0006_share", sql: share },
  { name: "0007_no_login", sql: noLogin },
];
