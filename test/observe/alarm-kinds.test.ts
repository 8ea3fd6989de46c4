// Which alarm is of which kind, and which of them say that the gateway is not well.
import { expect, test } from "bun:test";
import { type AlarmName, alarmKind, isUnwell } from "../../src/observe/alarm-kinds.ts";

test.each<[AlarmName, string, boolean]>([
  ["disk-full", "disk-full", true],
  ["spool", "spool", true],
  ["spool.db", "spool.db", true],
  ["dns", "dns", true],
  ["listener mx", "listener", true],
  ["listener size", "listener", true],
  ['clamd "size"', "clamd", true],
  ["clamd size", "clamd size", false],
  ["connections", "connections", true],
  ["connections of one client", "connections of one client", false],
  ["dkim gate1._domainkey.example.test", "dkim", false],
  ["dkim key gate1._domainkey.example.test", "dkim key", false],
  ["call-out example.test", "call-out", false],
  ["password-server imap mail.example.test:993 implicit", "password-server", false],
  ["web hook of example.test", "web hook of", false],
  ["short message gateway of example.test", "short message gateway of", false],
  ["lock alerts of example.test", "lock alerts of", false],
  ["mail of notices", "mail of notices", false],
  ["message-log", "message-log", true],
  ["message-log-event", "message-log-event", false],
  ["undeliverable", "undeliverable", false],
])("%s is a %s; unwell: %p", (name, kind, unwell) => {
  expect([alarmKind(name) as string, isUnwell(name)]).toEqual([kind, unwell]);
});
