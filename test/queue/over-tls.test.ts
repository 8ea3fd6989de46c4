// Mail that must not leave without TLS (O14) stays so at every try and after a release, whatever routes are set meanwhile.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { overTls } from "../../src/delivery/route.ts";
import { sqlStatement } from "../../src/store/statement.ts";
import { small } from "../message/small-body.ts";
import { Bench, BODY, byMx, DAY, defers, HOUR, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("at every try, also by routes that were set after it came", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(
    mail({
      to: ["bob@example.org"],
      disposition: (address) => ({ kind: "deliver", destination: overTls(byMx(address)), edits: [] }),
    }),
  );
  await bench.run(HOUR);
  expect(bench.deliverer.seen.length).toBeGreaterThan(2);
  for (const { attempt } of bench.deliverer.seen)
    expect(attempt.destination).toMatchObject({
      key: "mx:example.org over TLS",
      domain: "example.org",
      overTls: true,
    });
  bench.destinationFor = () => ({
    kind: "smarthost",
    key: "smarthost:192.0.2.25:25",
    route: { host: "192.0.2.25", port: 25, priority: 0, tls: "none" },
    login: null,
  });
  bench.deliverer.script = takes;
  await bench.run(DAY);
  expect(bench.deliverer.seen.at(-1)?.attempt.destination).toMatchObject({
    key: "smarthost:192.0.2.25:25 over TLS",
    route: { tls: "required" },
  });
});

test("what is released leaves on the terms it is given", async () => {
  const queue = await bench.start();
  const item = {
    id: "m1-1",
    messageId: "m1",
    n: 1,
    recipient: "bob@example.org",
    reversePath: "alice@example.test",
    direction: "outbound" as const,
    receivedAt: bench.clock.now(),
    edits: [{ kind: "remove" as const, name: "to" }],
    overTls: true,
  };
  await queue.acceptReleased(item, new TextEncoder().encode(BODY));
  await bench.run(1000);
  const [only] = bench.deliverer.seen;
  expect(only?.attempt.destination.key).toBe("mx:example.org over TLS");
  expect(small(only?.attempt.message).toString()).not.toContain("To: <bob@example.org>");
});

test("the password of a smart host is not kept with the mail that waits for it", async () => {
  bench.destinationFor = () => ({
    kind: "smarthost",
    key: "smarthost:192.0.2.25:25",
    route: { host: "192.0.2.25", port: 25, priority: 0, tls: "verified" },
    login: { user: "gate", password: "first-pass-aaa1" },
  });
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  const disposition = () => ({
    kind: "deliver" as const,
    destination: bench.destinationFor("b@elsewhere.example"),
    edits: [],
  });
  await queue.accept(mail({ disposition }));
  await bench.run(HOUR);
  const rows = await bench.database.query(sqlStatement(sql`select detail from recipient`));
  expect(JSON.stringify(rows)).toContain("192.0.2.25");
  expect(JSON.stringify(rows)).not.toContain("first-pass-aaa1");
  // Each attempt has it all the same.
  expect(bench.deliverer.seen.length).toBeGreaterThan(1);
  for (const { attempt } of bench.deliverer.seen)
    expect(attempt.destination).toMatchObject({ login: { password: "first-pass-aaa1" } });
  await queue.close(0);
});
