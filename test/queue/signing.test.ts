// Copies that are to be signed: after the edits, never without, and what cannot be signed waits and says so.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import type { MessageBody } from "../../src/message/body.ts";
import type { SignOrder } from "../../src/message/sign-order.ts";
import type { Disposition } from "../../src/queue/queue.ts";
import { sqlStatement } from "../../src/store/statement.ts";
import { small } from "../message/small-body.ts";
import { standingAlarms } from "../observe/standing-alarms.ts";
import { Bench, byMx, DAY, HOUR, mail } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const order = (domain: string, selector: string | null = "gate1"): SignOrder => ({ domain, selector });
const prefix = (words: string, message: MessageBody) => Buffer.concat([Buffer.from(words), small(message)]);
/** A signer whose mark shows what it was given. */
const signer = async (message: MessageBody, { domain, selector }: SignOrder) =>
  prefix(`DKIM-Signature: d=${domain}; s=${selector}\r\n`, message);

function signed(sign: SignOrder, edits: Extract<Disposition, { kind: "deliver" }>["edits"] = []) {
  return (address: string): Disposition => ({ kind: "deliver", destination: byMx(address), edits, sign });
}

const delivered = () => bench.deliverer.delivered().map(({ attempt }) => small(attempt.message).toString());
const alarm = () => bench.alarms.findLast(({ name }) => name === "signing")?.words;

test("the copy is signed after its edits, and what has no order is left as it is", async () => {
  const queue = await bench.start({ sign: signer });
  const edits = [
    { kind: "remove" as const, name: "message-id" },
    { kind: "add" as const, name: "X-Mark", value: "yes" },
  ];
  await queue.accept(mail({ id: "m1", disposition: signed(order("example.test"), edits) }));
  await queue.accept(mail({ id: "m2" }));
  await bench.run(1000);
  const [first, second] = delivered();
  expect(first).toStartWith("DKIM-Signature: d=example.test; s=gate1\r\nReceived: ");
  expect(first).toContain("X-Mark: yes\r\n");
  expect(first).not.toContain("Message-ID");
  expect(second).toStartWith("Received: ");
  // The stored original stays as it came.
  expect(bench.alarms).toEqual([]);
});

test("recipients of one message leave together only when they are signed alike", async () => {
  const orders: Readonly<Record<string, SignOrder>> = {
    a: order("example.test"),
    b: order("example.test"),
    c: order("example.test", null),
    d: order("second.test"),
  };
  const queue = await bench.start({ sign: signer });
  const to = ["a", "b", "c", "d", "e"].map((name) => `${name}@example.org`);
  await queue.accept(
    mail({
      to,
      disposition: (address) => {
        const sign = orders[address.charAt(0)];
        return {
          kind: "deliver",
          destination: byMx(address),
          edits: [],
          ...(sign === undefined ? {} : { sign }),
        };
      },
    }),
  );
  await bench.run(1000);
  const groups = bench.deliverer.seen.map(({ attempt }) =>
    attempt.recipients.map(({ address }) => address.charAt(0)).join(""),
  );
  expect(groups.toSorted()).toEqual(["ab", "c", "d", "e"]);
});

test("what cannot be signed waits with an alarm, never leaves unsigned, and its destination is not to blame", async () => {
  let broken = true;
  const queue = await bench.start({
    sign: (message, one) =>
      broken && one.domain === "example.test"
        ? Promise.reject(new Error("the key of gate1 cannot be opened"))
        : signer(message, one),
  });
  await queue.accept(mail({ id: "m1", disposition: signed(order("example.test")) }));
  await queue.accept(mail({ id: "m2", disposition: signed(order("second.test")) }));
  await queue.accept(mail({ id: "m3" }));
  await bench.run(2 * HOUR);
  expect(bench.deliverer.seen.map(({ attempt }) => attempt.messageId).toSorted()).toEqual(["m2", "m3"]);
  expect(alarm()).toContain("Mail of example.test cannot be signed");
  expect(alarm()).toContain("the key of gate1 cannot be opened");
  const [waiting] = await queue.list({ limit: 10, offset: 0 });
  expect(waiting?.messageId).toBe("m1");
  expect(waiting?.tries).toBeGreaterThan(3);
  expect(waiting?.lastReply).toContain("could not be signed for example.test");
  // Survives a restart, order and all.
  await bench.crash();
  await bench.start({ sign: (...args) => signer(...args) });
  broken = false;
  await bench.run(DAY);
  expect(delivered().at(-1)).toStartWith("DKIM-Signature: d=example.test; s=gate1\r\n");
});

test("the alarm is lifted by the next copy of the domain that is signed", async () => {
  let broken = true;
  const queue = await bench.start({
    sign: (message, one) => (broken ? Promise.reject(new Error("no key")) : signer(message, one)),
  });
  await queue.accept(mail({ id: "m1", disposition: signed(order("example.test")) }));
  await queue.accept(mail({ id: "m2", disposition: signed(order("second.test")) }));
  await bench.run(1000);
  expect(alarm()).toContain("Mail of example.test, second.test cannot be signed");
  broken = false;
  await bench.run(DAY);
  expect(alarm()).toBeNull();
  expect(bench.deliverer.delivered().length).toBe(2);
});

test("without a signer nothing that is to be signed leaves, and after five days its sender is told", async () => {
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", disposition: signed(order("example.test")) }));
  await bench.run(6 * DAY);
  expect(bench.deliverer.seen.every(({ attempt }) => attempt.reversePath === "")).toBe(true);
  expect(bench.states("m1").at(-1)).toBe("failed");
});

test("mail of an older version, without a word on signing, goes out as before", async () => {
  await bench.start();
  await bench.crash();
  const detail = {
    destination: byMx("bob@example.org"),
    edits: [],
    dsn: null,
    mayBounce: true,
    quarantine: null,
  };
  const envelope = {
    reversePath: "alice@example.test",
    smtpUtf8: false,
    eightBit: false,
    requireTls: false,
    dsnRet: null,
    dsnEnvid: null,
  };
  const now = bench.clock.now();
  await bench.database.commit([
    sqlStatement(
      sql`insert into message (seq, id, received_at, size, envelope, body_file, body) values (1, 'old', ${now}, 5, ${JSON.stringify(envelope)}, null, x'68656c6c6f')`,
    ),
    sqlStatement(
      sql`insert into recipient (message_seq, n, state, address, destination_key, detail, next_attempt_at, tries, deadline_at, expires_at, attempt_started_at, last_outcome) values (1, 1, 'queued', 'bob@example.org', 'mx:example.org', ${JSON.stringify(detail)}, ${now}, 0, ${now + DAY}, ${now + DAY}, null, null)`,
    ),
  ]);
  const queue = await bench.start();
  expect(await queue.counts()).toMatchObject({ queued: 1 });
  await bench.run(1000);
  expect(delivered()).toEqual(["hello"]);
});

test("the alarm ends without a copy when the key is mended or retired meanwhile, and what waited was dropped", async () => {
  let broken = true;
  const asked: string[] = [];
  const queue = await bench.start({
    sign: (message, one) => {
      asked.push(one.domain);
      return broken ? Promise.reject(new Error("no key")) : signer(message, one);
    },
  });
  await queue.accept(mail({ id: "m1", disposition: signed(order("example.test")) }));
  await bench.run(1000);
  expect(await queue.drop("m1", "admin")).toBe(1);
  await bench.run(HOUR);
  expect(alarm()).toContain("Mail of example.test cannot be signed");
  // Once a minute, and never again once it can be.
  expect(asked.length).toBeGreaterThan(50);
  expect(asked.length).toBeLessThan(70);
  broken = false;
  await bench.run(2 * 60_000);
  expect(alarm()).toBeNull();
  const looks = asked.length;
  await bench.run(DAY);
  expect(asked.length).toBe(looks);
});

test("a domain that is switched off or gone has no mail to sign: the alarm ends and nobody looks at its key", async () => {
  const on = new Set(["example.test", "second.test"]);
  const standing = standingAlarms(() => bench.clock.now());
  let looks = 0;
  const queue = await bench.start({
    sign: () => {
      looks++;
      return Promise.reject(new Error("no key"));
    },
    isSet: (domain) => on.has(domain),
    onAlarm: standing.onAlarm,
  });
  for (const [id, domain] of [
    ["m1", "example.test"],
    ["m2", "second.test"],
  ] as const)
    await queue.accept(mail({ id, disposition: signed(order(domain)) }));
  await bench.run(1000);
  expect(standing.standing().get("signing")).toContain("Mail of example.test, second.test cannot be signed");
  for (const id of ["m1", "m2"]) await queue.drop(id, "admin");
  on.delete("example.test");
  standing.review();
  await bench.run(3 * 60_000);
  expect(standing.standing().get("signing")).toContain("Mail of second.test cannot be signed");
  on.delete("second.test");
  standing.review();
  expect([...standing.standing()]).toEqual([]);
  expect(standing.ended).toEqual(["signing"]);
  const before = looks;
  await bench.run(HOUR);
  expect(looks).toBe(before);
});
