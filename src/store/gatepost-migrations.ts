// The migrations of gatepost.db, embedded. A released file is never edited: a change is a new file.
import first from "../../drizzle/gatepost/0001_first.sql" with { type: "text" };
import outgoing from "../../drizzle/gatepost/0002_outgoing.sql" with { type: "text" };
import dkim from "../../drizzle/gatepost/0003_dkim.sql" with { type: "text" };
import notices from "../../drizzle/gatepost/0004_notices.sql" with { type: "text" };
import archive from "../../drizzle/gatepost/0005_archive.sql" with { type: "text" };
import quarantineSender from "../../drizzle/gatepost/0006_quarantine_sender.sql" with { type: "text" };
import undeliverable from "../../drizzle/gatepost/0007_undeliverable.sql" with { type: "text" };
import knownRecipients from "../../drizzle/gatepost/0008_known_recipients.sql" with { type: "text" };
import tokenEnd from "../../drizzle/gatepost/0009_token_end.sql" with { type: "text" };
import logClients from "../../drizzle/gatepost/0010_log_clients.sql" with { type: "text" };
import wholeState from "../../drizzle/gatepost/0011_whole_state.sql" with { type: "text" };
import writtenFor from "../../drizzle/gatepost/0012_written_for.sql" with { type: "text" };
import logServers from "../../drizzle/gatepost/0013_log_servers.sql" with { type: "text" };
import knownRecipientSeen from "../../drizzle/gatepost/0014_known_recipient_seen.sql" with { type: "text" };
import refusalCause from "../../drizzle/gatepost/0015_refusal_cause.sql" with { type: "text" };
import quarantineFiled from "../../drizzle/gatepost/0016_quarantine_filed.sql" with { type: "text" };
import type { Migration } from "./migration.ts";

export const gatepostMigrations: readonly Migration[] = [
  { name: "0001_first", sql: first },
  { name: "0002_outgoing", sql: outgoing },
  { name: "0003_dkim", sql: dkim },
  { name: "0004_notices", sql: notices },
  { name: "0005_archive", sql: archive },
  { name: "0006_quarantine_sender", sql: quarantineSender },
  { name: "0007_undeliverable", sql: undeliverable },
  { name: "0008_known_recipients", sql: knownRecipients },
  { name: "0009_token_end", sql: tokenEnd },
  { name: "0010_log_clients", sql: logClients },
  { name: "0011_whole_state", sql: wholeState },
  { name: "0012_written_for", sql: writtenFor },
  { name: "0013_log_servers", sql: logServers },
  { name: "0014_known_recipient_seen", sql: knownRecipientSeen },
  { name: "0015_refusal_cause", sql: refusalCause },
  { name: "0016_quarantine_filed", sql: quarantineFiled },
];
