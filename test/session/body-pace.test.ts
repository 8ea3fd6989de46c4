// Large bodies come in by turns: what twenty senders bring in one turn of the event loop is bounded, users take turns, nobody is forgotten.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/observe/clock.ts";
import { BodyCollector } from "../../src/session/body-collector.ts";
import { createBodyPace } from "../../src/session/body-pace.ts";
import { createBodyRoom } from "../../src/session/body-room.ts";
import { BodyFileWriter } from "../../src/store/body-file.ts";

const CHUNK = 524_288;

const folder = mkdtempSync(join(tmpdir(), "gatepost-pace-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A pace whose event loop turns when told. */
function stepped() {
  const next: (() => void)[] = [];
  const went: string[] = [];
  const pace = createBodyPace((turn) => next.push(turn));
  return {
    went,
    ask(user: string, bytes: number): "at once" | "later" {
      const turn = pace.turn(user, bytes);
      void turn?.then(() => went.push(user));
      return turn === null ? "at once" : "later";
    },
    async step(): Promise<number> {
      const before = went.length;
      for (const turn of next.splice(0)) turn();
      await Promise.resolve();
      return went.length - before;
    },
    idle: () => next.length === 0,
  };
}

test("one alone never waits longer than to the next turn", async () => {
  const { ask, step } = stepped();
  expect(ask("a", CHUNK)).toBe("at once");
  expect(ask("a", CHUNK)).toBe("later");
  expect(await step()).toBe(1);
  await step();
  expect(ask("a", CHUNK)).toBe("at once");
});

test("of twenty one goes on in a turn, and all of them in twenty", async () => {
  const { ask, step, went, idle } = stepped();
  for (let n = 0; n < 21; n++) ask(`sender ${n}`, CHUNK);
  for (let n = 0; n < 20; n++) expect(await step()).toBe(1);
  expect(new Set(went).size).toBe(20);
  await step();
  expect(idle()).toBe(true);
});

test("small pieces share a turn", async () => {
  const { ask, step } = stepped();
  ask("a", CHUNK);
  for (let n = 0; n < 40; n++) ask("a", CHUNK / 16);
  expect([await step(), await step(), await step()]).toEqual([16, 16, 8]);
});

test("a piece larger than a turn has one of its own", async () => {
  const { ask, step } = stepped();
  ask("a", CHUNK);
  ask("a", 10 * CHUNK);
  ask("a", 1);
  expect([await step(), await step()]).toEqual([1, 1]);
});

test("who has one body does not wait behind somebody's hundred", async () => {
  const { ask, step, went } = stepped();
  for (let n = 0; n < 100; n++) ask("many", CHUNK);
  ask("one", CHUNK);
  await step();
  await step();
  expect(went).toContain("one");
});

test("in one turn of the event loop one chunk of twenty large bodies comes in, flawed ones and those too large among them", async () => {
  const room = createBodyRoom({ folder, clock: systemClock });
  let files = 0;
  const newFile = () => new BodyFileWriter(join(folder, `body-${++files}`));
  const text = Buffer.from(`${"x".repeat(62)}\r\n`.repeat(CHUNK / 64));
  const flawed = Buffer.from(`a\nb${"x".repeat(59)}\r\n`.repeat(CHUNK / 64));
  const bodies = Array.from({ length: 20 }, (_, n) => {
    const share = room.shareOf({ key: `192.0.${n}.0/24`, known: false });
    const body = new BodyCollector({ maxBytes: n % 3 === 0 ? 1000 : 10_000_000, share, newFile });
    body.push(n % 3 === 1 ? flawed : text);
    return body;
  });
  let ready = 0;
  for (const body of bodies) {
    const turn = body.ready();
    if (turn === null) ready++;
    else void turn.then(() => ready++);
  }
  let most = 0;
  for (let before = ready; ready < bodies.length; before = ready) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    most = Math.max(most, ready - before);
  }
  // Where the test's own turn falls, before or behind the pace's, is not said.
  expect(most).toBeLessThanOrEqual(2);
  for (const body of bodies) body.release();
});

test("a message that stays in memory has no turns", () => {
  const room = createBodyRoom({ folder, clock: systemClock });
  const share = room.shareOf({ key: "192.0.2.0/24", known: false });
  const newFile = () => new BodyFileWriter(join(folder, "never"));
  const body = new BodyCollector({ maxBytes: 10_000_000, share, newFile });
  for (let n = 0; n < 3; n++) {
    body.push(Buffer.from(`${"x".repeat(62)}\r\n`.repeat(1600)));
    expect(body.ready()).toBeNull();
  }
  body.release();
});
