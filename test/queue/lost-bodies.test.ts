// A body file that is gone or damaged: its message is held and an alarm names it; everything else goes on.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { relaxedBodyHash } from "../../src/dkim/body-hash.ts";
import { Bench, BODY, byMx, DAY, defers, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
  bench.maxBodyInRowBytes = 10;
});
afterEach(() => bench.close());

async function onlyFile(): Promise<string> {
  const [name = ""] = await bench.bodyFiles();
  return join(bench.folder, "bodies", name);
}

const lastAlarm = () => bench.alarms.findLast(({ name }) => name === "lost-bodies")?.words ?? null;

for (const [what, spoil] of [
  ["gone", (file: string) => rmSync(file)],
  ["damaged", (file: string) => writeFileSync(file, readFileSync(file).fill(65, 10, 20))],
  ["cut short", (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 50))],
] as const) {
  test(`a body that is ${what}: held at the next try, an alarm, no bounce; dropping it ends the alarm`, async () => {
    bench.deliverer.script = defers;
    const queue = await bench.start();
    await queue.accept(mail({ id: "m1" }));
    await bench.run(1000);
    spoil(await onlyFile());
    await queue.accept(mail({ id: "m2" }));
    bench.deliverer.script = takes;
    await bench.run(10 * DAY);
    expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m2"]);
    expect(await queue.counts()).toMatchObject({ queued: 0, held: 1 });
    expect(bench.states("m1").at(-1)).toBe("held");
    expect(lastAlarm()).toContain("m1");
    expect(await queue.drop("m1", "admin")).toBe(1);
    expect(lastAlarm()).toBeNull();
    expect(await queue.counts()).toMatchObject({ queued: 0, held: 0 });
  });
}

test("a body that is put back is delivered when it is tried again, and the alarm ends", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.run(1000);
  const file = await onlyFile();
  const bytes = readFileSync(file);
  rmSync(file);
  await bench.run(DAY);
  expect(lastAlarm()).toContain("m1");
  writeFileSync(file, bytes);
  bench.deliverer.script = takes;
  await queue.retry("m1");
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect(lastAlarm()).toBeNull();
});

test("a large body that is found cut short while it is signed is held as lost: nothing is wrong with the keys", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start({
    sign: async (message) => {
      await bench.busy.track(relaxedBodyHash(message, 0));
      return message;
    },
  });
  const sign = { domain: "example.test", selector: null };
  const body = BODY + "line of text\r\n".repeat(200_000);
  await queue.accept(
    mail({
      id: "m1",
      body,
      disposition: (address) => ({ kind: "deliver", destination: byMx(address), edits: [], sign }),
    }),
  );
  await bench.run(1000);
  expect(bench.deliverer.seen.length).toBe(1);
  const file = await onlyFile();
  writeFileSync(file, readFileSync(file).subarray(0, 2_000_000));
  await bench.run(10 * DAY);
  expect(bench.states("m1").at(-1)).toBe("held");
  expect(lastAlarm()).toContain("m1");
  expect(bench.alarms.filter(({ name }) => name === "signing")).toEqual([]);
});

test("a missing file is known at the start", async () => {
  bench.deliverer.script = isDown;
  await (await bench.start()).accept(mail({ id: "m1" }));
  await bench.run(1000);
  await bench.crash();
  rmSync(await onlyFile());
  await bench.start();
  expect(lastAlarm()).toContain("m1");
});

test("a damaged message does not open a destination that is away", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", mayBounce: false }));
  await bench.run(2 * 3_600_000);
  const before = (await bench.spool.unreachable())[0]?.failures ?? 0;
  expect(before).toBeGreaterThan(3);
  rmSync(await onlyFile());
  await queue.accept(mail({ id: "m2", mayBounce: false }));
  await bench.run(DAY / 4);
  expect(bench.states("m1").at(-1)).toBe("held");
  expect((await bench.spool.unreachable())[0]?.failures).toBeGreaterThan(before);
});

test("what cannot be filed in the quarantine for want of its body waits with an alarm, and can be dropped", async () => {
  const quarantine = () => ({
    kind: "quarantine" as const,
    destination: byMx("a@example.org"),
    rule: "virus",
    words: "",
  });
  bench.file = async () => {
    throw new Error("gatepost.db is away");
  };
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", disposition: quarantine }));
  // Less than the filer's first wait, so that no second try has read the body yet.
  await bench.run(500);
  rmSync(await onlyFile());
  bench.file = async (copy) => void bench.filed.push(copy);
  await bench.run(DAY);
  expect(bench.filed).toEqual([]);
  expect(bench.alarms.findLast(({ name }) => name === "quarantine")?.words).toContain("m1");
  expect(await queue.drop("m1", "admin")).toBe(1);
  await bench.run(DAY);
  expect(bench.alarms.findLast(({ name }) => name === "quarantine")?.words).toBeNull();
  expect(bench.deliverer.seen.length).toBe(0);
});
