// Values whose unit was forgotten, and zeros: refused or told with the unit and what follows, and said to be off where they are.
import { expect, test } from "bun:test";
import { planText } from "../../src/policy/plan-text.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const LISTENER = { name: "mx", listen: "127.0.0.1:2525" };
const HOOK = { name: "av", kind: "clamd", address: "127.0.0.1:3310" };

async function planned(document: object): Promise<string> {
  const settings = await settingsOn(new MemoryStore());
  return planText(await settings.plan(document, { prune: false }));
}

test("a reserve of disk smaller than a message is refused, and named with its unit", async () => {
  for (const [min_free, shown] of [
    [1, "1 octet"],
    [500, "500 octets"],
    ["500", "500 octets"],
    ["128 KB", "128 KB"],
  ])
    expect(await planned({ settings: { min_free } })).toContain(
      `settings.min_free: ${shown}: less than one message needs; a plain number is octets, write it like 500 MB, or 0 to switch the reserve off`,
    );
  expect(await planned({ settings: { min_free: 0 } })).toContain(
    "min_free none → 0 (switched off: mail is taken until the disk is full)",
  );
  expect(await planned({ settings: { min_free: "500 MB" } })).toContain("min_free none → 500 MB\n");
  const settings = await settingsOn(new MemoryStore());
  expect((await settings.put("settings", { min_free: 500 }, TESTER)).ok).toBe(false);
  const off = await settings.put("settings", { min_free: 0 }, TESTER);
  expect(off.ok && off.changes[0]?.words[0]).toContain("switched off");
});

test("other small values are taken with a warning that names what follows", async () => {
  const cases: readonly (readonly [document: object, warning: string])[] = [
    [
      { settings: { quarantine_keep: 30 } },
      "settings: quarantine_keep is 30s: quarantined mail is deleted so soon; in a file a plain number is seconds, write it like 30d",
    ],
    [{ settings: { log_keep: 90 } }, "settings: log_keep is 90s: "],
    [{ settings: { log_keep: "23h" } }, "settings: log_keep is 23h: "],
    [{ settings: { check_timeout: 0 } }, "settings: check_timeout is 0s: "],
    [{ delivery: { give_up_after: 5 } }, "delivery: give_up_after is 5s: mail is given up so soon"],
    [{ delivery: { delay_notice_after: 4 } }, "delivery: delay_notice_after is 4s: "],
    [{ delivery: { connect_timeout: 0 } }, "delivery: connect_timeout is 0s: "],
    [{ delivery: { retry: ["1m", 0] } }, "delivery: retry is 0s: "],
    [
      { listener: [{ ...LISTENER, max_message_bytes: 25_600 }] },
      "listener mx: max_message_bytes is 25 KB: larger mail is refused",
    ],
    [{ listener: [{ ...LISTENER, idle_timeout: 5 }] }, "listener mx: idle_timeout is 5s: "],
    [{ listener: [{ ...LISTENER, greeting_delay: 5 }] }, "listener mx: greeting_delay is 5 milliseconds: "],
    [{ hook: [{ ...HOOK, timeout: 0 }] }, "hook av: timeout is 0s: "],
  ];
  for (const [document, warning] of cases) expect(await planned(document)).toContain(`! ${warning}`);
  // What is usual, and the least that is: no word.
  for (const document of [
    { settings: { quarantine_keep: "1d", log_keep: "1d", check_timeout: 1, min_free: "1 MB" } },
    { delivery: { give_up_after: "1h", delay_notice_after: "1m", connect_timeout: 1, retry: ["1s"] } },
    { listener: [{ ...LISTENER, max_message_bytes: "1 MB", idle_timeout: "30s", greeting_delay: 20 }] },
    {},
  ])
    expect(await planned(document)).not.toMatch(/write it like/);
});

test("what is off with 0 says so when it changes", async () => {
  expect(await planned({ delivery: { cut_through_wait: 0 } })).toContain(
    "cut_through_wait 8s → 0s (switched off: no sender waits for the mail server's own answer)",
  );
  expect(await planned({ listener: [{ ...LISTENER, min_data_rate: 0, greeting_delay: 0 }] })).toMatch(
    /min_data_rate 500 → 0 \(switched off: .*\n.*greeting_delay 100 → 0 \(switched off: /,
  );
  expect(
    await planned({ domain: [{ name: "a.test", recipients: { verify: "catch-all", cache: 0 } }] }),
  ).toContain("recipients.cache 0s (switched off: every recipient is asked for anew)");
});
