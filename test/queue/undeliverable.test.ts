// Mail that no server takes is returned or kept, over crashes too; a message with several failures gives one notice.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { MessageBody } from "../../src/message/body.ts";
import type { Direction } from "../../src/message/envelope.ts";
import type { Acceptance } from "../../src/queue/queue.ts";
import { small } from "../message/small-body.ts";
import {
  answer,
  Bench,
  DAY,
  defers,
  HOUR,
  isDown,
  type MailOptions,
  mail,
  refuses,
  takes,
} from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

/** A message whose recipients go that way. */
function going(direction: Direction, options: MailOptions = {}): Acceptance {
  const acceptance = mail({ id: "m1", ...options });
  const recipients = acceptance.record.recipients.map((one) => ({ ...one, direction }));
  return { ...acceptance, record: { ...acceptance.record, recipients } };
}

const notices = () => bench.deliverer.seen.filter(({ attempt }) => attempt.reversePath === "");
const lastWords = () =>
  bench.events.flatMap((event) => (event.kind === "state" && event.messageId === "m1" ? [event.words] : []));

const REFUSALS: readonly (readonly [string, Partial<Outcome>])[] = [
  ["550 at RCPT", { code: 550, enhanced: "5.1.1", text: "550 5.1.1 No such user" }],
  ["554 after DATA", { code: 554, enhanced: null, text: "554 Refused by content" }],
  ["too big", { code: null, enhanced: "5.3.4", text: "The message has 9 bytes; the server takes at most 8" }],
  ["no SMTPUTF8", { code: null, enhanced: "5.6.7", text: "The server does not offer SMTPUTF8" }],
  ["no REQUIRETLS", { code: null, enhanced: "5.7.30", text: "The server does not offer REQUIRETLS" }],
  ["null MX", { code: null, enhanced: "5.1.10", text: "It takes no mail", server: null }],
  ["an unsafe address", { code: null, enhanced: "5.1.3", text: "Control characters", server: null }],
  ["552 after DATA", { code: 552, enhanced: "5.3.4", text: "552 5.3.4 message too big" }],
];

describe("mail from outside that is refused", () => {
  for (const [name, reply] of REFUSALS) {
    for (const proven of [true, false]) {
      test(`${name}, ${proven ? "proven" : "unproven"} sender`, async () => {
        const queue = await bench.start();
        bench.deliverer.script = (attempt, now) =>
          attempt.reversePath === ""
            ? takes(attempt, now)
            : answer(attempt, "failed", { code: 550, text: "" }).map((one) => ({ ...one, ...reply }));
        await queue.accept(going("inbound", { mayBounce: proven }));
        await bench.run(HOUR);
        expect(bench.filed).toHaveLength(1);
        expect(bench.filed[0]).toMatchObject({
          messageId: "m1",
          direction: "inbound",
          subject: "Offer",
          headerFrom: "<alice@example.test>",
          undeliverable: { answer: expect.stringContaining(String(reply.text)), round: 0 },
        });
        expect(notices()).toHaveLength(proven ? 1 : 0);
        expect(bench.states("m1")).toEqual(["quarantined"]);
        expect(lastWords()[0]).toContain(proven ? "A notice goes to the sender." : "nothing proves");
        expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
      });
    }
  }

  for (const [name, script, words] of [
    ["it defers", defers, "451 4.7.1 Greylisted"],
    ["it is down", isDown, "The mail server of this address cannot be reached."],
  ] as const) {
    test(`a proven sender hears of the delay and of the end, not where our mail server stands: ${name}`, async () => {
      const queue = await bench.start();
      bench.deliverer.script = (attempt, now) =>
        attempt.reversePath === "" ? takes(attempt, now) : script(attempt, now);
      await queue.accept(going("inbound"));
      await bench.run(6 * DAY);
      const texts = notices().map(({ attempt }) => small(attempt.message).toString());
      expect(texts.map((text) => /^Action: (\w+)/m.exec(text)?.[1])).toEqual(["delayed", "failed"]);
      for (const text of texts) {
        expect(text).toContain(words);
        expect(text).not.toContain("192.0.2.7");
        expect(text).not.toContain("Remote-MTA");
      }
      expect(bench.filed[0]?.words).toContain("Given up: the time for trying is over");
    }, 60_000);
  }

  test("NOTIFY=NEVER of a proven sender: no notice, and kept all the same", async () => {
    const queue = await bench.start();
    bench.deliverer.script = refuses;
    await queue.accept(going("inbound", { dsn: { notify: ["NEVER"], orcpt: null } }));
    await bench.run(HOUR);
    expect([notices().length, bench.filed.length]).toEqual([0, 1]);
    expect(lastWords()[0]).toContain("asked not to be told");
  });

  test("given up by the sweep while its destination is away", async () => {
    const queue = await bench.start();
    bench.deliverer.script = (attempt) =>
      answer(attempt, "deferred", { code: null, text: "no connection", server: null });
    await queue.accept(going("inbound", { mayBounce: false }));
    await bench.run(6 * DAY);
    expect(bench.filed).toHaveLength(1);
    expect(bench.filed[0]?.undeliverable?.answer).toBe("no connection");
    expect(await queue.list({ limit: 9, offset: 0 })).toEqual([]);
  }, 60_000);
});

describe("mail of our own people that is refused", () => {
  beforeEach(() => {
    bench.deliverer.script = (attempt, now) =>
      attempt.reversePath === "" && attempt.messageId !== "m1" ? takes(attempt, now) : refuses(attempt, now);
  });

  for (const direction of ["outbound", "internal"] as const) {
    test(`${direction}: returned, not kept`, async () => {
      const queue = await bench.start();
      await queue.accept(going(direction));
      await bench.run(HOUR);
      expect([notices().length, bench.filed.length]).toEqual([1, 0]);
      expect(bench.states("m1")).toEqual(["failed"]);
      expect(lastWords()[0]).toBe(
        "Could not be delivered: mx.example.org [192.0.2.7]:25 said “550 5.1.1 No such user”. A notice goes to the sender.",
      );
    });

    test(`${direction} with the null reverse-path: kept`, async () => {
      const queue = await bench.start();
      await queue.accept(going(direction, { from: null }));
      await bench.run(HOUR);
      expect(bench.filed).toHaveLength(1);
      expect(lastWords()[0]).toContain("There is no sender who could be told");
    });

    test(`${direction} with NOTIFY=NEVER: the sender's own wish`, async () => {
      const queue = await bench.start();
      await queue.accept(going(direction, { dsn: { notify: ["NEVER"], orcpt: null } }));
      await bench.run(HOUR);
      expect([bench.deliverer.seen.length, bench.filed.length]).toEqual([1, 0]);
      expect(lastWords()[0]).toContain("asked not to be told (NOTIFY)");
    });

    test(`a copy by rule (${direction}), of which nobody hears: kept`, async () => {
      const queue = await bench.start();
      await queue.accept(going(direction, { mayBounce: false, dsn: { notify: ["NEVER"], orcpt: null } }));
      await bench.run(HOUR);
      expect(bench.filed).toHaveLength(1);
    });
  }
});

describe("a released message that fails again", () => {
  test("comes back as another item, however often", async () => {
    const queue = await bench.start();
    bench.deliverer.script = refuses;
    await queue.accept(going("inbound", { mayBounce: false }));
    await bench.run(HOUR);
    for (const [id, round] of [
      ["m1-1", 1],
      ["m1-1-1", 2],
      ["m1-1-2", 3],
    ] as const) {
      const item = { id, messageId: "m1", n: 1, recipient: "bob@example.org", reversePath: "a@example.net" };
      const released = { ...item, direction: "inbound", receivedAt: 1, class: "undeliverable" } as const;
      expect(await queue.acceptReleased(released, new TextEncoder().encode("Subject: x\r\n\r\n"))).toBe(
        "released",
      );
      await bench.run(HOUR);
      expect(bench.filed.at(-1)?.undeliverable?.round).toBe(round);
    }
    expect(bench.filed).toHaveLength(4);
    expect(notices()).toHaveLength(0);
  });

  test("outgoing mail that could not be returned is not returned after its release", async () => {
    const queue = await bench.start();
    bench.deliverer.script = refuses;
    const item = {
      id: "m1-1",
      messageId: "m1",
      n: 1,
      recipient: "bob@example.org",
      reversePath: "a@b.example",
    };
    const released = { ...item, direction: "outbound", receivedAt: 1, class: "undeliverable" } as const;
    await queue.acceptReleased(released, new TextEncoder().encode("Subject: x\r\n\r\n"));
    await bench.run(HOUR);
    expect([notices().length, bench.filed.length]).toEqual([0, 1]);
  });
});

describe("one notice for a message", () => {
  const THREE = ["bob@one.example", "eve@two.example", "dan@three.example"];
  const blocks = (message: MessageBody | undefined) =>
    [
      ...small(message)
        .toString()
        .matchAll(/^Final-Recipient: rfc822; (.*)\r$/gm),
    ].map(([, to]) => to);

  /** Answers each destination when it is told to. */
  function byHand() {
    const open = new Map<string, (verdict: "refuse" | "take" | "defer") => void>();
    bench.deliverer.script = (attempt, now) =>
      attempt.reversePath === ""
        ? takes(attempt, now)
        : new Promise((resolve) => {
            const scripts = { refuse: refuses, take: takes, defer: defers };
            open.set(attempt.destination.key, (verdict) => resolve(scripts[verdict](attempt, now)));
          });
    return async (destination: string, verdict: "refuse" | "take" | "defer") => {
      open.get(`mx:${destination}.example`)?.(verdict);
      await bench.busy.rest();
      await bench.busy.rest();
    };
  }

  test("three destinations refuse, one after another", async () => {
    const queue = await bench.start();
    const settle = byHand();
    await queue.accept(mail({ id: "m1", to: THREE }));
    await bench.busy.rest();
    await settle("one", "refuse");
    await settle("two", "refuse");
    expect(notices()).toHaveLength(0);
    await settle("three", "refuse");
    await bench.run(1000);
    expect(notices()).toHaveLength(1);
    expect(blocks(notices()[0]?.attempt.message)).toEqual(THREE);
    expect(await bench.spool.unreported()).toEqual([]);
    expect(await queue.list({ limit: 9, offset: 0 })).toEqual([]);
  });

  test("the last one is delivered, or put off for longer: nobody waits for it", async () => {
    const queue = await bench.start();
    for (const [id, last] of [
      ["m1", "take"],
      ["m2", "defer"],
    ] as const) {
      const settle = byHand();
      await queue.accept(mail({ id, to: THREE }));
      await bench.busy.rest();
      await settle("one", "refuse");
      await settle("two", "refuse");
      await settle("three", last);
      await bench.run(1000);
      expect(blocks(notices().at(-1)?.attempt.message)).toEqual(THREE.slice(0, 2));
    }
    expect(notices()).toHaveLength(2);
  });

  test("a destination that hangs keeps the notice for half a minute only", async () => {
    const queue = await bench.start();
    const settle = byHand();
    await queue.accept(mail({ id: "m1", to: THREE }));
    await bench.busy.rest();
    await settle("one", "refuse");
    await bench.run(29_000);
    expect(notices()).toHaveLength(0);
    await bench.run(2000);
    expect(blocks(notices()[0]?.attempt.message)).toEqual(THREE.slice(0, 1));
    await settle("two", "refuse");
    await settle("three", "refuse");
    await bench.run(1000);
    expect(notices().flatMap(({ attempt }) => blocks(attempt.message))).toEqual(THREE);
  });

  test("what is owed survives a crash at any commit", async () => {
    for (let crashAt = 1; crashAt <= 8; crashAt++) {
      const queue = await bench.start();
      bench.deliverer.seen.length = 0;
      bench.deliverer.script = (attempt, now) =>
        attempt.reversePath === "" ? takes(attempt, now) : refuses(attempt, now);
      let commits = 0;
      let accepted = false;
      const crash = new Promise<void>((resolve) => {
        bench.beforeCommit = async () => {
          if (++commits <= crashAt) return;
          resolve();
          await new Promise(() => {});
        };
      });
      const work = (async () => {
        await queue.accept(mail({ id: `m${crashAt}`, to: THREE }));
        accepted = true;
        await new Promise<void>((resolve) => setTimeout(resolve, 50));
      })();
      await Promise.race([crash, work]);
      await bench.crash();
      bench.beforeCommit = async () => {};
      const again = await bench.start();
      await bench.run(2 * HOUR);
      expect((await again.counts()).queued).toBe(0);
      expect(await bench.spool.unreported()).toEqual([]);
      const told = new Set(notices().flatMap(({ attempt }) => blocks(attempt.message)));
      if (accepted) expect([crashAt, ...told].sort()).toEqual([crashAt, ...THREE].sort());
      await bench.crash();
    }
  }, 60_000);

  test("a notice that cannot be written: the copy is kept instead", async () => {
    const queue = await bench.start();
    bench.deliverer.script = refuses;
    // An address that no header takes is none that a session would let in; the message must not be lost over it.
    await queue.accept(going("outbound", { from: Symbol.iterator as unknown as string }));
    await bench.run(HOUR);
    expect(bench.filed).toHaveLength(1);
    expect(lastWords().at(-1)).toContain("the notice to the sender could not be written");
  });
});

describe("recipients that a rule stopped while others were accepted", () => {
  const MIXED = ["bob@example.org", "eve@two.example", "dan@three.example"];
  const stopped = (tell: string | null, options: MailOptions = {}) =>
    mail({
      id: "m1",
      to: MIXED,
      disposition: (address) => {
        const domain = address.slice(address.indexOf("@") + 1);
        const destination = { kind: "mx" as const, key: `mx:${domain}`, domain };
        const held = { kind: "quarantine" as const, destination, rule: "macros", words: "macros found" };
        if (address === MIXED[0]) return tell === null ? held : { ...held, tell };
        return { kind: "deliver", destination, edits: [] };
      },
      ...options,
    });

  test("one notice with those that failed, in words a person understands", async () => {
    const queue = await bench.start();
    bench.deliverer.script = (attempt, now) =>
      attempt.destination.key === "mx:three.example" ? refuses(attempt, now) : takes(attempt, now);
    await queue.accept(stopped("Message refused: an attachment has macros (rule macros)"));
    await bench.run(60_000);
    expect(notices()).toHaveLength(1);
    const said = small(notices()[0]?.attempt.message).toString().replace(/\s+/g, " ");
    expect(said).toContain(
      "Recipient: bob@example.org The reason: Message refused: an attachment has macros",
    );
    expect(said).toContain("A rule of this mail gateway stopped the message for this recipient");
    expect(said).toContain("Recipient: dan@three.example");
    expect(said).toContain("Final-Recipient: rfc822; bob@example.org Action: failed Status: 5.7.1");
    expect(said).not.toContain("eve@two.example");
    expect(bench.filed.map(({ recipient, rule, undeliverable }) => [recipient, rule, undeliverable])).toEqual(
      [["bob@example.org", "macros", undefined]],
    );
    expect(await bench.spool.unreported()).toEqual([]);
  });

  test("nothing is told where it is to be silent, by NOTIFY=NEVER, or to nobody", async () => {
    const queue = await bench.start();
    await queue.accept(stopped(null));
    await queue.accept({ ...stopped("x", { id: "m2", dsn: { notify: ["NEVER"], orcpt: null } }) });
    await queue.accept(stopped("x", { id: "m3", from: null }));
    await bench.run(60_000);
    expect(notices().filter(({ attempt }) => !["m1", "m2", "m3"].includes(attempt.messageId))).toEqual([]);
    expect(bench.filed).toHaveLength(3);
  });

  test("told after a crash right after 250", async () => {
    const queue = await bench.start();
    bench.deliverer.script = () => new Promise(() => {});
    await queue.accept(stopped("because"));
    await bench.busy.rest();
    expect(notices()).toHaveLength(0);
    await bench.crash();
    bench.deliverer.script = takes;
    await bench.start();
    await bench.run(60_000);
    expect(notices()).toHaveLength(1);
  });
});

test("a message for hundreds: one delay notice, one notice of its end", async () => {
  const queue = await bench.start();
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : defers(attempt, now);
  const to = Array.from({ length: 230 }, (_, i) => `r${i}@d${i % 3}.example`);
  await queue.accept(mail({ id: "m1", to }));
  await bench.run(5 * HOUR);
  expect(notices()).toHaveLength(1);
  await bench.run(6 * DAY);
  expect(notices()).toHaveLength(2);
  const end = small(notices()[1]?.attempt.message).toString();
  expect([...end.matchAll(/^Final-Recipient:/gm)]).toHaveLength(230);
  expect(await queue.list({ limit: 9, offset: 0 })).toEqual([]);
}, 60_000);
