// Cut-through in the whole gateway, over real sockets: the sender hears the mail server's word, and what the log says of it is true.
import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import {
  type Replies,
  type ScriptedPeer,
  startScriptedPeer,
  usualServer,
} from "../delivery/scripted-peer.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";

// A process of its own under a busy machine.
setDefaultTimeout(60_000);

let gateway: RunningGateway;
let peer: ScriptedPeer;
let mx = 0;
let replies: Replies = {};
/** What the next end of data waits for before it is answered. */
let hold: Promise<void> = Promise.resolve();

beforeAll(async () => {
  ({ mx } = await freePorts("mx"));
  peer = await startScriptedPeer(async (talk) => {
    const held = { ...talk, say: (...lines: string[]) => talk.say(...lines) };
    const message = talk.message.bind(talk);
    held.message = async () => {
      const text = await message();
      await hold;
      return text;
    };
    await usualServer(live)(held);
  });
  const routes = `[{ host = "127.0.0.1", port = ${peer.port}, tls = "none" }]`;
  const domain = (name: string, more = "", ways = routes) =>
    `[[domain]]\nname = "${name}"\nroutes = ${ways}\nrecipients = { verify = "catch-all" }\nrules = ["subject-marks"]\n${more}\n`;
  gateway = await runGateway({
    policy: `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
greeting_delay = 0
relay = []
${domain("example.test")}
${domain("other.test")}
${domain("first.test", "cut_through = false")}
${domain("second.test", "", routes.replace("none", "opportunistic"))}
[delivery]
retry = ["1s"]
cut_through_wait = "2s"
`,
  });
}, 60_000);
afterAll(async () => {
  await gateway?.dispose();
  await peer?.close();
});
beforeEach(() => {
  replies = {};
  hold = Promise.resolve();
});

/** Beyond what stays in memory. */
const LARGE = `${"large ".repeat(12)}\r\n`.repeat(5500);

async function send(
  subject: string,
  to: readonly string[] = ["info@example.test"],
  text = ".. a line\r\n",
): Promise<string> {
  const smtp = await openDialogue(mx);
  try {
    await smtp.say("EHLO client.example.org\r\n");
    await smtp.say("MAIL FROM:<bob@sender.test>\r\n");
    for (const address of to) await smtp.say(`RCPT TO:<${address}>\r\n`);
    await smtp.say("DATA\r\n");
    return await smtp.say(`From: <bob@sender.test>\r\nSubject: ${subject}\r\n\r\n${text}.\r\n`);
  } finally {
    smtp.close();
  }
}

const withSubject = (subject: string) =>
  gateway.logged(subject, ({ record, states }) => record.subject === subject && states.length > 0);
/** Copies at the peer; a rule may have put a mark before the subject. */
const arrived = (subject: string) =>
  peer.messages.filter((text) => /^Subject: (.*)\r$/m.exec(text)?.[1]?.endsWith(subject)).length;
const queued = async () => (await gateway.command("queue", "list")).out;
/** Did the whole of the large text come last? */
const isWhole = () => peer.messages.at(-1)?.trimEnd().endsWith(LARGE.trimEnd()) === true;
/** Files of bodies that are on disk. */
const bodies = async () =>
  (await readdir(join(gateway.data, "spool"))).filter((name) => !name.startsWith("."));
const quarantined = async () => (await gateway.command("quarantine", "list")).out;

/** The peer's replies, looked up when they are given: connections rest between messages. */
const live: Replies = {
  mail: (line, talk) => (replies.mail === undefined ? "250 2.1.0 Ok" : replies.mail(line, talk)),
  rcpt: (line, talk) => (replies.rcpt === undefined ? "250 2.1.5 Ok" : replies.rcpt(line, talk)),
  data(accepted, talk) {
    if (accepted === 0) return "503 5.5.1 No valid recipients";
    return replies.data === undefined ? "354 Go ahead" : replies.data(accepted, talk);
  },
  final: (message, talk) => (replies.final === undefined ? "250 2.0.0 Ok" : replies.final(message, talk)),
};

const REFUSALS: [string, Replies, string][] = [
  ["at MAIL", { mail: () => "550 5.7.1 not you" }, "550 5.7.1 not you"],
  ["at RCPT", { rcpt: () => "550 5.1.10 Recipient not found" }, "550 5.1.10 Recipient not found"],
  ["at DATA", { data: () => "554 5.3.2 no data here" }, "554 5.3.2 no data here"],
  ["after DATA", { final: () => "552 5.3.4 message too big" }, "552 5.3.4 message too big"],
  ["without a space", { final: () => "550no thanks" }, "550 5.0.0 no thanks"],
  [
    "on many lines",
    { final: () => "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three" },
    "550 5.7.1 one two three",
  ],
  ["in another alphabet", { final: () => "550 5.7.1 \u00fc\u00df\u0007" }, "550 5.7.1 u"],
];
const NO_WORD: [string, Replies][] = [
  ["4yz", { final: () => "451 4.3.0 later" }],
  ["a closed connection", { final: () => null }],
  ["garbage", { final: () => "hello" }],
];
const LATE: [string, Replies, string][] = [
  ["taken", {}, "delivered"],
  ["refused", { final: () => "550 5.7.1 after all" }, "quarantined"],
];

describe("the mail server's word is the sender's answer", () => {
  test("taken: 250, and the log says so", async () => {
    expect(await send("taken")).toStartWith("250 2.0.0 ");
    expect(arrived("taken")).toBe(1);
    const { states, attempts } = await withSubject("taken");
    expect(states[0]?.words).toMatch(/^Taken by 127\.0\.0\.1 .* while the sender waited: 250 2\.0\.0/);
    expect(attempts).toHaveLength(1);
    expect(await queued()).not.toContain("info@example.test");
  });

  test.each(REFUSALS)(
    "refused %s: those words, and nothing is kept",
    async (where, change, wanted) => {
      replies = change;
      const subject = `refused ${where}`;
      expect(await send(subject)).toStartWith(wanted);
      const { record, states, attempts } = await withSubject(subject);
      expect(record.reply).toStartWith(wanted);
      expect(states[0]?.state).toBe("refused");
      expect(attempts).toHaveLength(1);
      expect(await quarantined()).not.toContain(subject);
    },
    60_000,
  );

  test.each(NO_WORD)(
    "%s: 250, kept, and delivered later",
    async (what, change) => {
      replies = change;
      const subject = `kept ${what}`;
      expect(await send(subject)).toStartWith("250 2.0.0 ");
      replies = {};
      await gateway.logged(
        subject,
        (message) => message.record.subject === subject && message.states.at(-1)?.state === "delivered",
      );
    },
    60_000,
  );

  test("one of two refused: 250, the refused one is undeliverable mail", async () => {
    replies = { rcpt: (line) => (line.includes("typo") ? "550 5.1.1 no such user" : "250 ok") };
    expect(await send("mixed", ["info@example.test", "typo@example.test"])).toStartWith("250 2.0.0 ");
    await gateway.logged(
      "mixed",
      ({ record, states }) => record.subject === "mixed" && states.some(({ state }) => state === "delivered"),
    );
    await waitUntil("it is filed", async () => (await quarantined()).includes("mixed"));
    expect(arrived("mixed")).toBe(1);
  }, 60_000);
});

describe("silence", () => {
  test.each(LATE)(
    "250 when the wait is over; what comes later (%s) settles it, once",
    async (what, change, state) => {
      replies = change;
      let answer: () => void = () => {};
      hold = new Promise((resolve) => {
        answer = resolve;
      });
      const subject = `silence ${what}`;
      const startedAt = performance.now();
      expect(await send(subject)).toStartWith("250 2.0.0 ");
      expect(performance.now() - startedAt).toBeGreaterThan(1900);
      expect(await queued()).toContain("info@example.test");
      answer();
      const done = await gateway.logged(
        subject,
        ({ record, states }) => record.subject === subject && states.at(-1)?.state === state,
      );
      expect(done.attempts).toHaveLength(1);
      expect(arrived(subject)).toBe(1);
    },
    60_000,
  );

  test("a stop of the gateway meanwhile loses nothing", async () => {
    replies = {};
    let answer: () => void = () => {};
    hold = new Promise((resolve) => {
      answer = resolve;
    });
    const sending = send("stop");
    await waitUntil("the message is there", async () => arrived("stop") === 1);
    const stopping = gateway.stop();
    expect(await sending).toStartWith("250 2.0.0 ");
    answer();
    await stopping;
    await gateway.restart();
    await gateway.logged(
      "stop",
      ({ record, states }) => record.subject === "stop" && states.at(-1)?.state === "delivered",
    );
    expect(arrived("stop")).toBe(1);
  }, 60_000);
});

describe("a message that is in a file", () => {
  test("taken: 250, the whole of it arrived, and the file is gone", async () => {
    expect(await send("large taken", undefined, LARGE)).toStartWith("250 2.0.0 ");
    expect(arrived("large taken")).toBe(1);
    expect(isWhole()).toBe(true);
    const { states, attempts } = await withSubject("large taken");
    expect(states[0]?.words).toContain("while the sender waited: 250");
    expect(attempts).toHaveLength(1);
    await waitUntil("the file is gone", async () => (await bodies()).length === 0);
  }, 60_000);

  test.each(REFUSALS.slice(1, 4))(
    "refused %s: those words, and the file is gone",
    async (where, change, wanted) => {
      replies = change;
      const subject = `large refused ${where}`;
      expect(await send(subject, undefined, LARGE)).toStartWith(wanted);
      const { record, attempts } = await withSubject(subject);
      expect(record.reply).toStartWith(wanted);
      expect(attempts).toHaveLength(1);
      await waitUntil("the file is gone", async () => (await bodies()).length === 0);
      expect(await quarantined()).not.toContain(subject);
    },
    60_000,
  );

  test.each(NO_WORD.slice(0, 2))(
    "%s: 250, kept, and delivered later",
    async (what, change) => {
      replies = change;
      const subject = `large kept ${what}`;
      expect(await send(subject, undefined, LARGE)).toStartWith("250 2.0.0 ");
      replies = {};
      await gateway.logged(
        subject,
        (message) => message.record.subject === subject && message.states.at(-1)?.state === "delivered",
      );
      expect(isWhole()).toBe(true);
      await waitUntil("the file is gone", async () => (await bodies()).length === 0);
    },
    60_000,
  );

  test.each(LATE)(
    "250 when the wait is over; what comes later (%s) settles it, once",
    async (what, change, state) => {
      replies = change;
      let answer: () => void = () => {};
      hold = new Promise((resolve) => {
        answer = resolve;
      });
      const subject = `large silence ${what}`;
      expect(await send(subject, undefined, LARGE)).toStartWith("250 2.0.0 ");
      expect(await queued()).toContain("info@example.test");
      expect(await bodies()).toHaveLength(1);
      answer();
      const done = await gateway.logged(
        subject,
        ({ record, states }) => record.subject === subject && states.at(-1)?.state === state,
      );
      expect(done.attempts).toHaveLength(1);
      expect(arrived(subject)).toBe(1);
      await waitUntil("the file is gone", async () => (await bodies()).length === 0);
    },
    60_000,
  );
});

describe("recipients of two domains with the same routes", () => {
  const TWO = ["info@example.test", "info@other.test"];

  test("one transaction, and its word is the sender's answer", async () => {
    replies = { rcpt: () => "550 5.1.1 no such user" };
    expect(await send("two refused", TWO)).toStartWith("550 5.1.1 no such user");
    replies = {};
    expect(await send("two taken", TWO)).toStartWith("250 2.0.0 ");
    expect(arrived("two taken")).toBe(1);
  }, 60_000);

  test("put off: both are kept, each is delivered once", async () => {
    replies = { final: () => "451 4.3.0 later" };
    expect(await send("two later", TWO)).toStartWith("250 2.0.0 ");
    const before = arrived("two later");
    replies = {};
    await gateway.logged(
      "two later",
      ({ record, states }) =>
        record.subject === "two later" && states.filter(({ state }) => state === "delivered").length === 2,
    );
    // From the disk each goes by its own domain's way.
    expect(arrived("two later") - before).toBe(2);
  }, 60_000);
});

describe("not waited for", () => {
  test("a domain that has it off, alone or beside another, and recipients of domains with different routes", async () => {
    replies = { final: () => "550 5.7.1 no" };
    expect(await send("off", ["info@first.test"])).toStartWith("250 2.0.0 ");
    expect(await send("half off", ["info@example.test", "info@first.test"])).toStartWith("250 2.0.0 ");
    expect(await send("two ways", ["info@example.test", "info@second.test"])).toStartWith("250 2.0.0 ");
    await waitUntil("they are undeliverable", async () => {
      const list = await quarantined();
      return ["off", "half off", "two ways"].every((subject) => list.includes(subject));
    });
  }, 60_000);
});
