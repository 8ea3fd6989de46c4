// The policy file of outgoing control as a contract: every key by itself and all together, the same again changes nothing, an export
// applies elsewhere, and what is stored is what the next start reads.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { exportToml, itemKey } from "../../src/policy/policy-document.ts";
import type { Policy } from "../../src/policy/schema.ts";
import type { PlanResult, Settings } from "../../src/policy/settings.ts";
import { type ApplianceKey, loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const PASSWORD = "Blue-Hover-Cranium-42!";
const CRAM_PASSWORD = "Wither-Quartz-Lemon-93!";

/** The block of the issue, in the parts that one kind of sender can have. */
const IP_KEYS = `
identify_by = { header = "X-Client-ID", extract = "^([^;]+)", remove = true }   # a list of such is allowed
lock = { identity = true, sender = false, spam = 5, window = "10m", timeout = "1h", max_unlocks = 2, template = "lock-notice" }
limits = { per_minute = 60, per_hour = 600, per_day = 5000, per_week = 20000, per_month = 60000, recipients_per_day = 2000 }
identity_limits = { recipients_per_day = 500 }
quarantine_response = "rejected"  # rejected (550) | accepted (250)
archive = true
block = ["macros", "unwanted-attachments", "new-domains"]
send_as = ["info@example.test", "@sub.example.test"]
reauthenticate_as = "alice@example.test"        # kind = "ip"
dkim_selector = "gate1"
`
  .trim()
  .split("\n");

const BASE = `
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = 2600 }]

[[sender]]
kind = "user"
login = "alice@example.test"
domain = "example.test"
password = "${PASSWORD}"
cram_password = "${CRAM_PASSWORD}"
reauthentication_permitted = true
`;

const ipSender = (...keys: readonly string[]) => `${BASE}
[[sender]]
kind = "ip"
range = "192.0.2.0/28"
domain = "example.test"
${keys.join("\n")}
`;
const userSender = (key: string) => `${BASE}
[[sender]]
kind = "user"
login = "carl@example.test"
domain = "example.test"
${key}
`;
const domainSender = (key: string) => `${BASE}
[[sender]]
kind = "domain"
domain = "example.test"
${key}
`;

/** Every section with every key it can have. */
const WHOLE = `
[[listener]]
name = "submission"
listen = "127.0.0.1:2587"
tls = "starttls-required"
auth = "required"
auth_without_tls = false
cram_md5 = true
relay = ["authenticated"]
proxy_from = ["127.0.0.5"]
clients = ["127.0.0.0/8"]
content_checks = true
greylist = false
refuse_outsiders_claiming_local = true
max_message_bytes = 1000000
max_connections = 400
max_connections_per_client = 20
max_recipients = 100
idle_timeout = 300
greeting_delay = 0
enabled = true

[networks]
trusted = ["10.0.0.1/8"]

[[domain]]
name = "Example.test."
routes = [{ host = "127.0.0.1", port = 2600, priority = 10, tls = "none" }]
recipients = { verify = "list", list = ["Bob@Example.test"], cache = "1h", when_down = "accept" }
cut_through = false
rules = ["virus", "own"]
enabled = true
[domain.outgoing]
barred = false
enterprise = true
from_must_exist = false
known_identities_only = true
require_tls = false
limit_identities = true
lock_identities = true
default_limits = { per_minute = 20, per_hour = 200, recipients_per_day = 900 }
link_same_password = true
abuse_contact = "abuse@example.test"
dkim_selector = "gate1"
password_server = { protocol = "imap", host = "127.0.0.1", port = 993, tls = "implicit", verify_certificate = false, cache = "5m" }
[domain.outgoing.alerts]
mail = ["Admin@example.test"]
webhook = { url = "https://hooks.example.org/x", secret = "0123456789abcdef0123" }
sms = { url = "https://sms.example.org/?t={text}&to={to}", to = "+431234", method = "POST" }
thresholds = { spam = 6, virus = 2, bulk = 3, window = "2h" }
[domain.outgoing.report]
every = "weekly"
hour = 6
weekday = "friday"
timezone = "Europe/Vienna"
to = ["admin@example.test"]

[[sender]]
kind = "ip"
range = "192.0.2.7/28"
domain = "Example.test"
rules = ["own"]
enabled = true
${IP_KEYS.join("\n")}

[[sender]]
login = "Alice@Example.test"
domain = "example.test"
password = "${PASSWORD}"
cram_password = "${CRAM_PASSWORD}"
identify_by = "envelope-sender"
reauthentication_permitted = true
lock = { template = "mine" }

[[sender]]
kind = "user"
login = "bob@example.test"
domain = "example.test"
verify = "mail-server"
identify_by = [{ header = "X-A" }, { header = "X-B", extract = "id=(\\\\d+)", remove = true }]

[[sender]]
kind = "domain"
domain = "example.test"
password = "Another-Marble-Kite-77?"
identify_by = "authenticated-user"

[[rule]]
name = "own"
description = "ours"
mode = "enforce"
priority = 4000
when = "bulk.level >= 3"
action = "quarantine"
reply = "Held"
code = 550
counts_as_spam = true
lock_identity = true
scope = { directions = ["outbound"], domains = ["example.test"], addresses = ["X@example.test"], senders = ["alice@example.test"] }

[[rule]]
name = "marks"
when = "message.size > 900000"
action = "mark"
header = { name = "X-Y", value = "z" }
subject = { prefix = "[a]", suffix = "b" }

[[template]]
name = "mine"
subject = "Locked"
text = "You are locked."

[[hook]]
name = "clam"
kind = "clamd"
address = "127.0.0.1:3310"
timeout = "30s"
enabled = false

[delivery]
smarthost = { host = "127.0.0.1", port = 2601, tls = "none", user = "gate", password = "upstream word", allow_unverified_tls = true }
tls = "opportunistic"
max_connections_per_destination = 5
retry = ["1m", 120]
give_up_after = "4d"
delay_notice_after = "3h"
connect_timeout = "20s"
cut_through_wait = "5s"

[settings]
quarantine_keep = "20d"
log_keep = "80d"
note_header = "X-Note"
postmaster = "postmaster@example.test"
check_timeout = "10s"
console_url = "https://console.example.test:8443/"
self_service = true
domain_age = { feed = "/var/lib/ages.txt", rdap = "https://rdap.example.org/" }
`;

function withKey<T>(use: (seal: ApplianceKey) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-contract-"));
  const key = loadOrMakeApplianceKey(directory);
  rmSync(directory, { recursive: true });
  return use(key);
}

async function gateway(seal = withKey((key) => key), store = new MemoryStore()) {
  return { store, seal, settings: await settingsOn(store, { seal }) };
}

const apply = (settings: Settings, text: string, prune = false): Promise<PlanResult> =>
  settings.apply(parseToml(text), { prune, actor: TESTER });

function problems(result: PlanResult): readonly string[] {
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

function changed(result: PlanResult): readonly string[] {
  if (!result.ok) throw new Error(problems(result).join("\n"));
  return result.changes.map(({ section, key, kind }) => `${kind} ${section} ${key}`.trim());
}

/** The order of the items of a section means nothing. */
const byName = (policy: Policy) => ({
  ...policy,
  sender: policy.sender.toSorted((a, b) => (itemKey("sender", a) < itemKey("sender", b) ? -1 : 1)),
  rule: policy.rule.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
});

describe("the contract of the policy file", () => {
  test("takes each key by itself, and all together", async () => {
    const { settings } = await gateway();
    const plan = (text: string) => settings.plan(parseToml(text), { prune: false });
    for (const key of IP_KEYS) expect([key, problems(await plan(ipSender(key)))]).toEqual([key, []]);
    expect(problems(await plan(ipSender(...IP_KEYS)))).toEqual([]);
    expect(problems(await plan(userSender('verify = "mail-server"')))).toEqual([]);
    const everywhere = IP_KEYS.filter((key) => !key.startsWith("reauthenticate_as"));
    for (const key of [...everywhere, "reauthentication_permitted = true"]) {
      expect([key, problems(await plan(userSender(key)))]).toEqual([key, []]);
      expect([key, problems(await plan(domainSender(key)))]).toEqual([key, []]);
    }
  });

  test("says of a wrong value where it stands, what was given and what to do", async () => {
    const { settings } = await gateway();
    const wrong = async (text: string) => problems(await settings.plan(parseToml(text), { prune: false }));
    const cases: readonly (readonly [key: string, words: string])[] = [
      ["lock = { spam = 0 }", "lock.spam: is 0; it must be at least 1"],
      ['lock = { window = "0s" }', 'lock.window: "0s" must be at least 1s and at most 31d'],
      ['lock = { window = "32d" }', 'lock.window: "32d" must be at least 1s and at most 31d'],
      [
        'lock = { window = "soon" }',
        'lock.window: "soon" is not a duration; write it like 30s, 10m, 4h or 5d',
      ],
      ['lock = { timeout = "0s" }', 'lock.timeout: "0s" must be at least 1s and at most 3650d'],
      ['limits = { per_minute = "60" }', 'limits.per_minute: is "60"; it must be a number'],
      ["limits = { per_second = 1 }", "limits.per_second: is not a setting here"],
      [
        'send_as = ["info"]',
        'send_as[0]: "info" is not a mail address; write it like name@example.org, or @example.org for a whole domain',
      ],
      [
        'block = ["macro"]',
        'block[0]: is "macro"; it must be one of macros, unwanted-attachments, new-domains; did you mean "macros"?',
      ],
      ['quarantine_response = "550"', 'quarantine_response: is "550"; it must be one of rejected, accepted'],
      ['verify = "mail-server"', 'verify: does not belong to a sender of kind "ip"; leave it out'],
      [
        'reauthenticate_as = "nobody@example.test"',
        'reauthenticate_as: "nobody@example.test": there is no such sender, and none for its domain',
      ],
    ];
    for (const [key, words] of cases)
      expect([key, await wrong(ipSender(key))]).toEqual([key, [`sender[1].${words}`]]);
  });

  test("takes no password for an address range: the next start could not read it", async () => {
    const { settings, store } = await gateway();
    for (const field of ["password", "cram_password"]) {
      const result = await apply(settings, ipSender(`${field} = "${PASSWORD}"`));
      expect(problems(result)).toEqual([
        `sender[1].${field}: does not belong to a sender of kind "ip", which is known by its address; leave it out`,
      ]);
    }
    expect([...store.rows.values()].some(({ section }) => section === "sender")).toBe(false);
  });

  test("a file with every key, applied again, changes nothing: here, after a restart, and pruned", async () => {
    const first = await gateway();
    expect(changed(await apply(first.settings, WHOLE)).length).toBeGreaterThan(10);
    const restarted = await gateway(first.seal, first.store);
    expect(byName(restarted.settings.current().policy)).toEqual(byName(first.settings.current().policy));
    for (const { settings } of [first, restarted]) {
      for (const prune of [false, true]) {
        expect(changed(await settings.plan(parseToml(WHOLE), { prune }))).toEqual([]);
        expect(changed(await apply(settings, WHOLE, prune))).toEqual([]);
      }
    }
  });

  test("an export applies on another gateway, but for passwords that its key has not sealed", async () => {
    const first = await gateway();
    await apply(first.settings, WHOLE);
    const exported = exportToml(first.settings.current().policy, { secrets: "keep" });
    const other = await gateway();
    const refused = problems(await apply(other.settings, exported));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toContain(
      "cram_password: was sealed by another gateway's key; give the password itself",
    );
    const opened = exported.replace(/cram_password = "sealed:.*"/, `cram_password = "${CRAM_PASSWORD}"`);
    expect(problems(await apply(other.settings, opened))).toEqual([]);
    const unsealed = (settings: Settings) =>
      settings.current().policy.sender.map(({ cram_password: _, ...sender }) => sender);
    expect(unsealed(other.settings)).toEqual(unsealed(first.settings));
    const { sender: _, ...rest } = first.settings.current().policy;
    expect(other.settings.current().policy).toMatchObject(rest);
  });

  test("pruning removes what is not named, and only that; another range is another sender", async () => {
    const { settings } = await gateway();
    await apply(settings, ipSender());
    const moved = ipSender().replace("192.0.2.0/28", "192.0.2.16/28");
    expect(changed(await settings.plan(parseToml(moved), { prune: false }))).toEqual([
      "add sender 192.0.2.16/28",
    ]);
    expect(changed(await apply(settings, moved, true))).toEqual([
      "remove sender 192.0.2.0/28",
      "add sender 192.0.2.16/28",
    ]);
    expect(settings.current().policy.listener.length).toBeGreaterThan(0);
  });
});
