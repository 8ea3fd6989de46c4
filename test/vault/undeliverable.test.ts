// Undeliverable mail in the quarantine: kept from when it failed, told of by an alarm until somebody has looked.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { watchUndeliverable } from "../../src/vault/watch-undeliverable.ts";
import { noLargeBody } from "../message/small-body.ts";
import { TurnedClock } from "../queue/queue-kit.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";

const START = 1_795_000_000_000;
const DAY = 86_400_000;

test("an alarm stands until all of it was looked at, released or deleted", async () => {
  await using directory = temporaryDirectory();
  const db = await openBooks(directory.path);
  const clock = new TurnedClock(START);
  const vault = await openBodyVault(join(directory.path, "vault"), () => clock.now());
  let alarm: string | null = null;
  let looked = Promise.withResolvers<void>();
  const watch = watchUndeliverable({
    unseen: () => quarantine.undeliverable(),
    clock,
    log: silentLog,
    onAlarm: (_name, words) => {
      alarm = words;
      looked.resolve();
    },
  });
  const quarantine = createQuarantine({
    db,
    reader: db,
    vault,
    now: () => clock.now(),
    newBodyFile: noLargeBody,
    release: async () => {},
    onChange: () => watch.look(),
  });
  const alarmAfter = async (act: () => Promise<unknown>) => {
    while (!clock.isAwaited()) await Bun.sleep(1);
    clock.step(clock.now() + 1000);
    looked = Promise.withResolvers<void>();
    await act();
    await looked.promise;
    return alarm;
  };
  const file =
    (n: number, round = 0) =>
    async () => {
      const copy = {
        messageId: "m1",
        n,
        recipient: `r${n}@example.test`,
        reversePath: "",
        headerFrom: "",
        subject: "x",
        direction: "inbound" as const,
        rule: "",
        words: "it was refused",
        receivedAt: START - 5 * DAY,
        message: Buffer.from("Subject: x\r\n\r\n"),
        undeliverable: {
          server: "mx.test [192.0.2.1]:25",
          answer: "550 5.1.1 no",
          failedAt: START + n,
          round,
        },
      };
      await db.commit(await keepInQuarantine(vault, { copy, keepMs: DAY }));
      watch.look();
    };

  expect(await alarmAfter(file(1))).toBe(
    "A message could not be delivered and is kept in the quarantine; nobody has looked at it yet. It is for r1@example.test: mx.test [192.0.2.1]:25 said “550 5.1.1 no”",
  );
  expect(await alarmAfter(file(2))).toContain("2 messages could not be delivered");
  await alarmAfter(file(3));
  // Filed twice after a crash: one item.
  expect(await alarmAfter(file(3))).toContain("3 messages");
  expect(await quarantine.get("m1-1")).toMatchObject({ class: "undeliverable", expiresAt: START + 1 + DAY });
  expect(await alarmAfter(() => quarantine.see("m1-1"))).toContain("2 messages");
  expect(await alarmAfter(() => quarantine.remove("m1-2", "admin"))).toContain("It is for r3@example.test");
  expect(await alarmAfter(() => quarantine.release("m1-3", "admin"))).toBeNull();
  // It comes back: another item, found from the first.
  expect(await alarmAfter(file(3, 1))).toContain("It is for r3@example.test");
  expect(await quarantine.newer("m1-3")).toBe("m1-3-1");
  expect(await quarantine.undeliverable()).toMatchObject({ kept: 2, items: 1 });
  expect(await quarantine.list({ class: "undeliverable", state: "kept", limit: 9 })).toHaveLength(2);
  expect(await quarantine.list({ class: "rule", limit: 9 })).toHaveLength(0);
  expect(await quarantine.expire(START + DAY)).toBe(0);
  expect(await alarmAfter(() => quarantine.expire(START + 2 * DAY))).toBeNull();
  watch.stop();
  await db.close();
});

test("a flood asks for one look a second, and the last of it is seen", async () => {
  const clock = new TurnedClock(START);
  const counts = [1];
  let items = 1;
  const first = { recipient: "r@example.test", server: "", answer: "550 no", failedAt: START };
  const alarms: (string | null)[] = [];
  const watch = watchUndeliverable({
    unseen: async () => {
      counts.push(items);
      return { items, first };
    },
    clock,
    log: silentLog,
    onAlarm: (_name, words) => alarms.push(words),
  });
  for (; items < 1000; items++) {
    watch.look();
    await Promise.resolve();
  }
  expect(counts).toHaveLength(2);
  clock.step(clock.now() + 1000);
  await Bun.sleep(0);
  expect(counts.at(-1)).toBe(1000);
  expect(alarms.at(-1)).toStartWith("1000 messages");
  watch.stop();
});
