// Values that undo each other are told with the change that brings them, and what fits together is not.
import { expect, test } from "bun:test";
import { MemoryStore, settingsOn } from "./policy-fixtures.ts";

const SENDER = { kind: "ip", range: "192.0.2.0/28", domain: "a.test" };
const DOMAIN = { name: "a.test", routes: [{ host: "10.0.0.1" }] };

async function told(document: Record<string, unknown>): Promise<readonly string[]> {
  const settings = await settingsOn(new MemoryStore());
  const plan = await settings.plan({ domain: [DOMAIN], ...document }, { prune: false });
  if (!plan.ok) throw new Error(JSON.stringify(plan.problems));
  return plan.warnings.filter((one) => !one.startsWith("no listener"));
}

const delivery = (values: object) => ({ delivery: values });
const sender = (values: object) => ({ sender: [{ ...SENDER, ...values }] });

test.each([
  [
    delivery({ delay_notice_after: "10d" }),
    "delivery: delay_notice_after is 10d, and mail is given up after 5d: no sender",
  ],
  [delivery({ delay_notice_after: "2h", give_up_after: "2h" }), "delivery: delay_notice_after is 2h, and"],
  [
    delivery({ cut_through_wait: "1h" }),
    "delivery: cut_through_wait is 1h: many servers wait no longer than 10m",
  ],
  [
    delivery({ connect_timeout: "10d" }),
    "delivery: connect_timeout is 10d: each try at a server that is away",
  ],
  [delivery({ connect_timeout: "301s" }), "delivery: connect_timeout is 301s"],
  [
    delivery({ retry: ["6d"] }),
    "delivery: retry begins with a pause of 6d, and mail is given up after 5d: it is tried once",
  ],
  [
    delivery({ retry: ["1m", "6d"] }),
    "delivery: retry comes to a pause of 6d, and mail is given up after 5d: it is tried twice",
  ],
  [delivery({ retry: ["1s"] }), "delivery: retry ends with a pause of 1s, which repeats until"],
  [delivery({ retry: ["1s", "59s"] }), "delivery: retry ends with a pause of 59s"],
  [delivery({ retry: ["1h", "1m"] }), "delivery: retry goes from 1h down to 1m"],
  [
    { settings: { quarantine_keep: "91d" } },
    "settings: quarantine_keep is 91d, and the message log forgets after 90d",
  ],
  [
    { settings: { log_keep: "7d" } },
    "settings: quarantine_keep is 30d, and the message log forgets after 7d",
  ],
  [{ settings: { console_url: "http://gate.test" } }, "settings: console_url is http://gate.test"],
  [
    sender({ limits: { per_minute: 300, per_hour: 30 } }),
    "sender 192.0.2.0/28: limits.per_minute is 300, but per_hour is only 30",
  ],
  [
    sender({ identity_limits: { recipients_per_day: 100 }, limits: { recipients_per_day: 1 } }),
    "sender 192.0.2.0/28: identity_limits.recipients_per_day is 100, but limits.recipients_per_day is only 1 for all",
  ],
  [
    sender({ identity_limits: { per_hour: 3 }, limits: { per_hour: 2 } }),
    "sender 192.0.2.0/28: identity_limits.per_hour is 3",
  ],
  [sender({ lock: { timeout: "1s" } }), "sender 192.0.2.0/28: lock.timeout is 1s: a lock ends before"],
  [sender({ lock: { window: "1s" } }), "sender 192.0.2.0/28: lock.window is 1s: hardly any"],
  [
    { domain: [{ ...DOMAIN, outgoing: { default_limits: { per_minute: 300, per_hour: 30 } } }] },
    "domain a.test: outgoing.default_limits.per_minute is 300, but per_hour is only 30",
  ],
  [
    { domain: [{ ...DOMAIN, recipients: { verify: "list", list: ["anna@b.test"] } }] },
    "domain a.test: recipients.list has addresses of which none is of a.test",
  ],
  [
    { domain: [{ ...DOMAIN, recipients: { verify: "list", list: ["anna@a.test", "ben@b.test"] } }] },
    "domain a.test: recipients.list has addresses of which not all (ben@b.test) are of a.test",
  ],
] as const)("%j", async (document, warning) => {
  const found = await told(document);
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(warning);
});

test.each([
  delivery({ cut_through_wait: "5m", delay_notice_after: "4h", give_up_after: "5h" }),
  delivery({ connect_timeout: "5m", retry: ["1s", "1m", "1m", "119h"] }),
  { settings: { quarantine_keep: "90d", console_url: "https://gate.test" } },
  sender({
    limits: { per_minute: 30, per_hour: 30, recipients_per_day: 9 },
    identity_limits: { per_minute: 30, recipients_per_day: 9 },
  }),
  sender({ lock: { timeout: "1m", window: "10s" } }),
  { domain: [{ ...DOMAIN, recipients: { verify: "list", list: ["Anna@A.test"] } }] },
  { domain: [{ ...DOMAIN, recipients: { verify: "catch-all", list: ["anna@b.test"] } }] },
])("no word of %j", async (document) => {
  expect(await told(document)).toEqual([]);
});
