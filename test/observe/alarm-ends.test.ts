// Every kind of alarm has a way to end while the gateway runs, and a test that raises it for real and sees it end.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AlarmKind } from "../../src/observe/alarm-kinds.ts";

interface End {
  /** What ends it. */
  readonly by: string;
  /** The file under test/ that shows it, and the words of its test's name. */
  readonly shown: readonly [file: string, name: string];
}

const ENDS: Readonly<Record<AlarmKind, End | "the process ends">> = {
  "spool.db": "the process ends",
  "gatepost.db": "the process ends",
  spool: {
    by: "the next settlement that is written; one is tried every 30 s at the latest",
    shown: ["queue/trouble.test.ts", "a settlement that cannot be written is written later"],
  },
  settlement: {
    by: "the settlement is written; it is tried every minute",
    shown: ["queue/trouble.test.ts", "a settlement that the data contradicts is set aside with an alarm"],
  },
  "disk-full": { by: "a look every 5 s", shown: ["run/watch-storage.test.ts", "full"] },
  "data-files": {
    by: "a look every 5 s",
    shown: ["run/watch-storage.test.ts", "a file that is put back ends it"],
  },
  storage: {
    by: "a file that is written every 5 s",
    shown: ["run/watch-storage.test.ts", "a disk that takes no writes is told, until it does again"],
  },
  "message-log": {
    by: "the log takes what waits; it is tried every minute at the latest",
    shown: ["queue/trouble.test.ts", "mail flows on while gatepost.db is away"],
  },
  "message-log-event": {
    by: "a day",
    shown: ["queue/passing-alarms.test.ts", "an event that the log refused"],
  },
  notices: { by: "a day", shown: ["queue/passing-alarms.test.ts", "a sender who could not be told"] },
  delivery: {
    by: "an attempt that goes well, or an hour without any",
    shown: ["queue/passing-alarms.test.ts", "a fault of ours"],
  },
  housekeeping: {
    by: "the next hour that works",
    shown: ["run/housekeeping.test.ts", "which the next run that works lifts"],
  },
  releases: {
    by: "the next hour that works",
    shown: ["run/housekeeping.test.ts", "a release that cannot be finished"],
  },
  "vault-bodies": {
    by: "the next hour that finds them",
    shown: ["run/housekeeping.test.ts", "bodies that are gone"],
  },
  quarantine: {
    by: "a walk that files all; one a minute at the latest",
    shown: ["queue/lost-bodies.test.ts", "quarantine"],
  },
  archive: {
    by: "a walk that files all; one a minute at the latest",
    shown: ["queue/archive.test.ts", "archive"],
  },
  "lost-bodies": {
    by: "the message is dropped or read, or is in the queue no more: a look a minute",
    shown: ["queue/lost-bodies.test.ts", "the alarm ends"],
  },
  signing: {
    by: "a copy that is signed, a trial a minute, or no domain of it sends mail as it is set",
    shown: ["queue/signing.test.ts", "the alarm ends without a copy"],
  },
  dkim: {
    by: "a look once a day or when asked, the key signs no more, or its domain is off or gone",
    shown: ["dkim/publication.test.ts", "when the domain is switched off or removed"],
  },
  "dkim key": {
    by: "the key signs no more, or its domain is off or gone",
    shown: ["dkim/keys.test.ts", "with another appliance key"],
  },
  "call-out": {
    by: "a server that refuses an invented address, or it is not asked any more as it is set",
    shown: ["run/alarms-and-settings.test.ts", "call-out"],
  },
  loop: {
    by: "the route or smart host is not set any more, or a day after the last look at it",
    shown: ["run/loops-back.test.ts", "end when the way is right"],
  },
  "password-server": {
    by: "a look a minute or a login, an hour for a single login, or it is not asked any more as it is set",
    shown: ["hooks/down-servers.test.ts", "back again, without a password said"],
  },
  listener: {
    by: "a try every 10 s, or it is off, gone or elsewhere",
    shown: ["run/alarms-and-settings.test.ts", ": %s"],
  },
  clamd: {
    by: "a look a minute, and when the settings change",
    shown: ["run/alarms-and-settings.test.ts", ": %s"],
  },
  "clamd size": {
    by: "a look a minute, and when the settings change",
    shown: ["hooks/watch-clamd.test.ts", "a real clamd"],
  },
  setting: {
    by: "the setting is saved anew or removed",
    shown: ["policy/unread-settings.test.ts", "until it is saved anew or removed"],
  },
  "setting aside": {
    by: "the setting is saved anew or removed",
    shown: ["policy/unread-settings.test.ts", "until it is saved anew or removed"],
  },
  "secret of": {
    by: "the setting is saved anew or removed",
    shown: ["policy/unread-settings.test.ts", "a secret that another key has sealed"],
  },
  dns: { by: "an answer, or a look every 30 s", shown: ["dns/silent-servers.test.ts", "and its end"] },
  connections: { by: "connections that end", shown: ["listener/connection-room.test.ts", "and its end"] },
  "connections of one client": {
    by: "connections that end",
    shown: ["listener/connection-room.test.ts", "also after the words about one client; and its end"],
  },
  "web hook of": {
    by: "what gets through, a trial as well, or it is elsewhere, off or gone",
    shown: ["notify/alarm-ends.test.ts", ": a trial that gets through ends it"],
  },
  "lock alerts of": {
    by: "the hour ends and what waited is told",
    shown: ["notify/lock-flood.test.ts", "a flood of locks"],
  },
  "short message gateway of": {
    by: "what gets through, a trial as well, or it is elsewhere, off or gone",
    shown: ["notify/alarm-ends.test.ts", ": a trial that gets through ends it"],
  },
  "mail of notices": {
    by: "the next notice that the queue takes, or a day",
    shown: ["notify/courier.test.ts", "lost for good is told for its time"],
  },
  reports: { by: "a look every 30 s", shown: ["notify/reports.test.ts", "a failure raises an alarm"] },
  undeliverable: {
    by: "somebody looks at it; a look a minute",
    shown: ["vault/undeliverable.test.ts", "alarm"],
  },
  locks: {
    by: "a lock that ends or is lifted",
    shown: ["outgoing/locks.test.ts", "as many locks as can be held"],
  },
  "lock-records": {
    by: "a database that takes them; one try every 20 s",
    shown: ["outgoing/locks.test.ts", "a database that takes nothing"],
  },
  "outgoing-counts": {
    by: "a database that takes them; one try every 20 s",
    shown: ["outgoing/locks.test.ts", "counts that cannot be kept"],
  },
  certificate: { by: "the next SIGHUP with a good pair", shown: ["run/signals.test.ts", "SIGHUP"] },
  metrics: { by: "a try every 10 s", shown: ["run/start-refusals.test.ts", "metrics"] },
};

/** The titles of the tests in a file, as they are written there. */
function titlesIn(path: string): readonly string[] {
  const source = readFileSync(path, "utf8");
  const title = /(["'`])((?:(?!\1).)+)\1,\s*(?:async\s*)?(?:\(|[\w]+ =>)/g;
  return [...source.matchAll(title)].map(([, , words = ""]) => words);
}

test.each(Object.entries(ENDS))("%s", (_kind, end) => {
  if (end === "the process ends") return;
  const [file, name] = end.shown;
  const path = join(import.meta.dirname, "..", file);
  expect(titlesIn(path).filter((title) => title.includes(name))).not.toEqual([]);
});
