// Everything at the same time: accepts, attempts, claims, holds, retries and drops on one queue. Nothing is lost or doubled.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Bench, defers, HOUR, isDown, mail, takes } from "./queue-kit.ts";

const step = fc.record({
  op: fc.constantFrom("accept", "hold", "retry", "drop", "hold-all", "retry-all", "wait"),
  which: fc.nat({ max: 29 }),
});

test("each message ends delivered once or dropped, whatever people do meanwhile", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80 }),
      fc.infiniteStream(fc.nat({ max: 9 })),
      async (steps, luck) => {
        const bench = await Bench.open();
        bench.deliverer.places = 2;
        bench.deliverer.script = async (attempt, now) => {
          await new Promise<void>((resolve) => setImmediate(resolve));
          const draw = luck.next().value;
          return draw < 2 ? isDown(attempt, now) : draw < 5 ? defers(attempt, now) : takes(attempt, now);
        };
        const queue = await bench.start();
        const accepted = new Set<string>();
        const asked: Promise<unknown>[] = [];
        for (const { op, which } of steps) {
          const id = `m${which}`;
          if (op === "accept" && !accepted.has(id)) {
            accepted.add(id);
            const to = Array.from({ length: 1 + (which % 3) }, (_, n) => `u${n}@d${which % 2}.example`);
            asked.push(queue.accept(mail({ id, to, mayBounce: false, body: "Subject: x\r\n\r\nx\r\n" })));
          }
          if (op === "hold") asked.push(queue.hold(id));
          if (op === "hold-all") asked.push(queue.hold(null));
          if (op === "retry") asked.push(queue.retry(id));
          if (op === "retry-all") asked.push(queue.retry(null));
          if (op === "drop") asked.push(queue.drop(id, "admin@example.test"));
          if (op === "wait") await bench.run(90_000);
        }
        await bench.run(60_000);
        await Promise.all(asked);
        bench.deliverer.script = takes;
        await queue.retry(null);
        await bench.run(HOUR);
        expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
        const ends = new Map<string, number>();
        const count = (key: string) => ends.set(key, (ends.get(key) ?? 0) + 1);
        for (const { attempt, outcomes } of bench.deliverer.delivered()) {
          for (const { n, result } of outcomes)
            if (result === "delivered") count(`${attempt.messageId} ${n}`);
        }
        for (const event of bench.events) {
          if (event.kind === "state" && event.state === "dropped") count(`${event.messageId} ${event.n}`);
        }
        for (const id of accepted) {
          for (let n = 1; n <= 1 + (Number(id.slice(1)) % 3); n++)
            expect([id, n, ends.get(`${id} ${n}`)]).toEqual([id, n, 1]);
        }
        expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0, unsettled: 0 });
        await bench.close();
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);
