// One client network with slow messages: the mail of others for the same server has its turn within seconds.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import type { Acceptance } from "../../src/queue/queue.ts";
import { inbound, WAIT_MS } from "./cut-through-kit.ts";
import { Bench, DAY, defers, HOUR, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const never = () => new Promise<never>(() => {});
const SLOW = "198.51.100.0/24";
const HONEST = "203.0.113.0/24";
const SETTINGS = { giveUpAfterMs: 5 * DAY, delayNoticeAfterMs: 4 * HOUR, retryMs: [600_000] };
const SMALL = "Subject: x\r\n\r\nsmall\r\n";
const HALF_LARGE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY - 20_000)}`;
const LARGE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY + 20_000)}`;

const SIZES = [
  ["small", SMALL],
  ["middle", HALF_LARGE],
  ["large", LARGE],
] as const;

function of(share: string, id: string, body = SMALL): Acceptance {
  const made = mail({ id, now: bench.clock.now(), mayBounce: false, body });
  return share === "" ? made : { ...made, share };
}

/** The server takes for ever over what is called slow. */
function hangsOnSlow(): void {
  bench.deliverer.script = (attempt, now) =>
    attempt.messageId.startsWith("slow") ? never() : takes(attempt, now);
}

const left = () => bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);
const HONEST_IDS = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];

for (const [whose, slow, honest] of [
  ["another network", SLOW, HONEST],
  ["another /64", "2001:db8:1:1::/64", "2001:db8:1:2::/64"],
  ["a log-in", SLOW, "login alice"],
  ["a sender, beside another sender's,", "sender news@example.test", "sender ann@example.test"],
  ["the gateway itself", SLOW, ""],
] as const)
  for (const [size, body] of whose === "another network" ? SIZES : SIZES.slice(0, 1))
    test(`mail of ${whose} passes by 120 ${size} slow messages`, async () => {
      hangsOnSlow();
      const queue = await bench.start();
      for (let n = 0; n < 120; n++) await queue.accept(of(slow, `slow${n}`, body));
      expect(bench.deliverer.underWay).toBeLessThan(20);
      for (const id of HONEST_IDS) await queue.accept(of(honest, id));
      await queue.accept(of(honest, "h9", body));
      await bench.run(1000);
      expect(left().toSorted()).toEqual([...HONEST_IDS, "h9"]);
    }, 60_000);

test("four networks with slow messages leave places too, and memory", async () => {
  hangsOnSlow();
  const queue = await bench.start();
  for (let n = 0; n < 400; n++) await queue.accept(of(`198.51.${n % 4}.0/24`, `slow${n}`, HALF_LARGE));
  for (const id of HONEST_IDS) await queue.accept(of(HONEST, id));
  await bench.run(1000);
  expect(left().toSorted()).toEqual(HONEST_IDS);
}, 60_000);

for (const places of [2, 3, 5, 20]) {
  test(`from disk, after a restart, it passes by them too (${places} places)`, async () => {
    bench.deliverer.places = places;
    bench.deliverer.script = defers;
    const first = await bench.start({ settings: () => SETTINGS });
    for (let n = 0; n < 300; n++) await first.accept(of(SLOW, `slow${n}`));
    for (const id of ["h1", "h2", "h3"]) await first.accept(of(HONEST, id));
    await first.accept(of("", "own"));
    await bench.busy.rest();
    hangsOnSlow();
    await bench.crash();
    await bench.start({ settings: () => SETTINGS });
    await bench.run(600_000 + 3000);
    expect(left().toSorted()).toEqual(["h1", "h2", "h3", "own"]);
  }, 60_000);
}

// With fewer than four places one alone is for large mail: that of others has its turn when an attempt ends.
for (const places of [4, 5, 6, 10, 20])
  test(`large mail of others passes by large mail that hangs, new and from disk (${places} places)`, async () => {
    bench.deliverer.places = places;
    hangsOnSlow();
    const queue = await bench.start({ settings: () => SETTINGS });
    for (let n = 0; n < 120; n++) await queue.accept(of(SLOW, `slow${n}`, LARGE));
    await bench.run(1000);
    const hanging = bench.deliverer.underWay;
    await queue.accept(of(HONEST, "h1", LARGE));
    await bench.run(3000);
    expect(left()).toEqual(["h1"]);
    bench.deliverer.script = defers;
    await queue.accept(of("192.0.2.0/24", "h2", LARGE));
    await bench.busy.rest();
    hangsOnSlow();
    for (const id of ["h3", "h4", "h5"]) await queue.accept(of(HONEST, id, LARGE));
    await queue.accept(of("", "own", LARGE));
    await bench.run(600_000 + 5000);
    expect(left().toSorted()).toEqual(["h1", "h2", "h3", "h4", "h5", "own"]);
    expect(bench.deliverer.underWay).toBe(hanging);
  }, 60_000);

for (const places of [4, 5, 6, 10, 20])
  test(`from disk, after a restart, large mail of others passes by it too (${places} places)`, async () => {
    bench.deliverer.places = places;
    bench.deliverer.script = defers;
    const first = await bench.start({ settings: () => SETTINGS });
    for (let n = 0; n < 120; n++) await first.accept(of(SLOW, `slow${n}`, LARGE));
    for (const id of ["h1", "h2", "h3"]) await first.accept(of(HONEST, id, LARGE));
    await first.accept(of("192.0.2.0/24", "h4", LARGE));
    await bench.busy.rest();
    hangsOnSlow();
    await bench.crash();
    await bench.start({ settings: () => SETTINGS });
    await bench.run(600_000 + 5000);
    expect(left().toSorted()).toEqual(["h1", "h2", "h3", "h4"]);
  }, 60_000);

for (const places of [1, 2, 3])
  test(`where one large message leaves at a time, that of others has its turn (${places} places)`, async () => {
    bench.deliverer.places = places;
    const ends: (() => void)[] = [];
    bench.deliverer.script = async (attempt, now) => {
      if (attempt.messageId.startsWith("slow")) await new Promise<void>((resolve) => ends.push(resolve));
      return takes(attempt, now);
    };
    const queue = await bench.start();
    for (let n = 0; n < 30; n++) await queue.accept(of(SLOW, `slow${n}`, LARGE));
    await bench.run(1000);
    for (const id of ["h1", "h2"]) await queue.accept(of(HONEST, id, LARGE));
    for (let n = 0; n < 6; n++) {
      await bench.run(2000);
      for (const end of ends.splice(0)) end();
      await bench.busy.rest();
    }
    expect(left()).toContain("h1");
    expect(left()).toContain("h2");
  }, 60_000);

test("mail that is put off while slow mail hangs is tried again in its time", async () => {
  hangsOnSlow();
  const queue = await bench.start();
  for (let n = 0; n < 300; n++) await queue.accept(of(SLOW, `slow${n}`));
  bench.deliverer.script = defers;
  await queue.accept(of(HONEST, "h1"));
  await bench.busy.rest();
  hangsOnSlow();
  await bench.run(62_000);
  expect(left()).toEqual(["h1"]);
});

test("of 60 networks that wait on disk behind one, each has its turn within seconds", async () => {
  bench.deliverer.script = defers;
  const first = await bench.start({ settings: () => SETTINGS });
  for (let n = 0; n < 200; n++) await first.accept(of(SLOW, `slow${n}`));
  const ids = Array.from({ length: 60 }, (_, n) => `h${n}`);
  for (const [n, id] of ids.entries()) await first.accept(of(`203.0.${n}.0/24`, id));
  await bench.busy.rest();
  hangsOnSlow();
  await bench.run(600_000 + 8000);
  expect(left().toSorted()).toEqual(ids.toSorted());
}, 60_000);

test("who has mail ready takes turns, and nobody is passed over", async () => {
  bench.deliverer.places = 5;
  const ends: (() => void)[] = [];
  const begun: string[] = [];
  bench.deliverer.script = async (attempt, now) => {
    begun.push(attempt.messageId[0] ?? "");
    await new Promise<void>((resolve) => ends.push(resolve));
    return takes(attempt, now);
  };
  const queue = await bench.start();
  for (let n = 0; n < 20; n++) await queue.accept(of(SLOW, `a${n}`));
  for (let n = 0; n < 6; n++) await queue.accept(of(HONEST, `b${n}`));
  for (let n = 0; n < 6; n++) await queue.accept(of("192.0.2.0/24", `c${n}`));
  await bench.busy.rest();
  expect(begun.join("")).toBe("aaaab");
  for (let n = 0; n < 12; n++) {
    ends.shift()?.();
    await bench.busy.rest();
  }
  const next = begun.slice(5, 17);
  for (const network of ["a", "b", "c"])
    expect(next.filter((one) => one === network).length).toBeGreaterThanOrEqual(3);
  while (ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await bench.busy.rest();
  }
  expect(left().length).toBe(32);
});

for (const [places, most] of [
  [1, 1],
  [2, 1],
  [3, 2],
  [4, 3],
  [5, 4],
  [20, 16],
] as const)
  test(`one alone has ${most} of ${places} places`, async () => {
    bench.deliverer.places = places;
    bench.deliverer.script = never;
    const queue = await bench.start();
    for (let n = 0; n < 40; n++) await queue.accept(of(SLOW, `slow${n}`));
    await bench.run(5000);
    expect(bench.deliverer.underWay).toBe(most);
  });

test("who waits for the server's word has a place at once beside slow mail of a stranger", async () => {
  hangsOnSlow();
  const queue = await bench.start();
  const given = (share: string, id: string) =>
    queue.handOver({ ...inbound(id, bench.clock.now()), share }, WAIT_MS);
  for (let n = 0; n < 120; n++) void given(SLOW, `slow${n}`);
  const answer = given(HONEST, "h1");
  await bench.busy.rest();
  expect(left()).toEqual(["h1"]);
  expect(await answer).toEqual({ kind: "taken" });
  await bench.run(WAIT_MS + 1000);
});

test("all mail of one who had enough ready leaves in the end, and nothing stays counted", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start({ settings: () => SETTINGS });
  for (let n = 0; n < 450; n++) await queue.accept(of(SLOW, `s${n}`, n % 9 === 0 ? LARGE : SMALL));
  for (let n = 0; n < 50; n++) await queue.accept(of(HONEST, `h${n}`));
  await bench.busy.rest();
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return takes(attempt, now);
  };
  await bench.run(700_000);
  expect(new Set(left()).size).toBe(500);
  expect(left().length).toBe(500);
  expect(queue.figures()).toMatchObject({ active: 0, unsettled: 0 });
}, 60_000);
