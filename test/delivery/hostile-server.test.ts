// Servers that hang, lie or break off: every recipient gets an outcome in time, and no connection is left behind.
import { afterEach, describe, expect, test } from "bun:test";
import type { Deliverer } from "../../src/delivery/attempt.ts";
import { DEFAULT_TIMEOUTS } from "../../src/delivery/timeouts.ts";
import { attemptFor, makeDeliverer, routes, SHORT } from "./deliverer-fixture.ts";
import {
  type Replies,
  type ScriptedPeer,
  startScriptedPeer,
  type Talk,
  usualServer,
} from "./scripted-peer.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function peerFor(script: (talk: Talk) => Promise<void>): Promise<ScriptedPeer> {
  const peer = await startScriptedPeer(script);
  open.push(() => peer.close());
  return peer;
}

function shortDeliverer(): Deliverer {
  const deliverer = makeDeliverer({ timeouts: SHORT, connectTimeoutMs: 300 });
  open.push(() => deliverer.close(500));
  return deliverer;
}

/** Octets a slow reader takes before each of its pauses. */
const PIECE = 786_432;
const PAUSE_MS = 100;

const forever = (): Promise<void> => new Promise(() => {});
const usual = (replies: Replies) => usualServer(replies);

/** Sends `text` again and again as long as the client stays. */
async function flood(talk: Talk, text: string): Promise<void> {
  while (!talk.socket.destroyed) {
    talk.socket.write(text);
    await Bun.sleep(1);
  }
}

describe("a server that", () => {
  const cases: Readonly<Record<string, (talk: Talk) => Promise<void>>> = {
    "says nothing": () => forever(),
    "closes at once": async () => {},
    "resets the connection": async (talk) => void talk.socket.resetAndDestroy(),
    "greets with garbage": async (talk) => {
      talk.say("\u0000\u0001hello there");
      await forever();
    },
    "greets as a web server": async (talk) => {
      talk.say("HTTP/1.1 400 Bad Request", "", "<html>");
      await forever();
    },
    "greets without an end": (talk) => flood(talk, "x".repeat(4096)),
    "greets in lines without an end": (talk) => flood(talk, "220-welcome\r\n".repeat(300)),
    "sends empty lines for ever": (talk) => flood(talk, "\r\n\r\n"),
    "greets one byte at a time": async (talk) => {
      while (!talk.socket.destroyed) {
        talk.socket.write("2");
        await Bun.sleep(50);
      }
    },
    "does not answer EHLO": async (talk) => {
      talk.say("220 hi");
      await forever();
    },
    "answers EHLO without an end": async (talk) => {
      talk.say("220 hi");
      await talk.line();
      await flood(talk, "250-PIPELINING\r\n".repeat(300));
    },
    "refuses EHLO and HELO": async (talk) => {
      talk.say("220 hi");
      while ((await talk.line()) !== null) talk.say("550 no");
    },
    "does not answer MAIL": async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 PIPELINING");
      await forever();
    },
    "answers DATA with 250": usual({ data: () => "250 2.0.0 Taken" }),
    "answers MAIL with garbage": usual({ mail: () => "hello" }),
    "closes after RCPT": usual({ rcpt: () => null }),
    "closes after DATA": usual({ data: () => null }),
    "answers the message with an empty line": usual({ final: () => "" }),
    "closes after the message": usual({ final: () => null }),
    "answers the message with garbage": usual({ final: () => "\u0007\u0007" }),
    "answers the message with half a line": usual({
      final: (_message, talk) => {
        talk.socket.write("250 2.0");
        return null;
      },
    }),
    "closes its half": async (talk) => {
      talk.say("220 hi");
      talk.socket.end();
      await forever();
    },
    "sends more replies than commands": async (talk) => {
      talk.say("220 hi", ...Array.from({ length: 50 }, () => "250 ok"));
      await forever();
    },
  };
  for (const [what, script] of Object.entries(cases)) {
    test(`${what}: deferred, in time, nothing left open`, async () => {
      const peer = await peerFor(script);
      const deliverer = shortDeliverer();
      const startedAt = performance.now();
      const outcomes = await deliverer.attempt(
        attemptFor(routes({ port: peer.port }), { to: ["b@x.test", "c@x.test"] }),
      );
      expect(performance.now() - startedAt).toBeLessThan(2500);
      expect(outcomes.map((outcome) => outcome.result)).toEqual(["deferred", "deferred"]);
      for (const { text } of outcomes) {
        expect(text).not.toMatch(/[\u0000-\u001f]/);
        expect(text.length).toBeGreaterThan(5);
        expect(text.length).toBeLessThanOrEqual(1000);
      }
      await deliverer.close(500);
      await Bun.sleep(100);
      expect(deliverer.capacity("example.test")).toBe(0);
      expect(peer.openConnections()).toBe(0);
    });
  }

  test("answers before the whole message was sent is believed when it refuses", async () => {
    const peer = await peerFor(async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 PIPELINING");
      for (let n = 0; n < 3; n++) await talk.line();
      talk.say("250 ok", "250 ok", "354 go");
      // With the 354 it would be the answer to something else.
      await talk.line();
      talk.socket.pause();
      talk.say("552 5.3.4 Too much");
      await forever();
    });
    const message = `Subject: x\r\n\r\n${`${"y".repeat(70)}\r\n`.repeat(300_000)}`;
    const [outcome] = await shortDeliverer().attempt(attemptFor(routes({ port: peer.port }), { message }));
    expect(outcome).toMatchObject({ result: "failed", code: 552 });
  });

  test("stops reading in the middle of a large message does not hold the attempt", async () => {
    const peer = await peerFor(async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 PIPELINING");
      for (let n = 0; n < 3; n++) await talk.line();
      talk.socket.pause();
      talk.say("250 ok", "250 ok", "354 go");
      await forever();
    });
    const message = `Subject: x\r\n\r\n${`${"y".repeat(70)}\r\n`.repeat(300_000)}`;
    const startedAt = performance.now();
    const [outcome] = await shortDeliverer().attempt(attemptFor(routes({ port: peer.port }), { message }));
    expect(outcome).toMatchObject({ result: "deferred" });
    expect(outcome?.text).toContain("too long");
    expect(performance.now() - startedAt).toBeLessThan(2500);
  });

  test("reads slowly but steadily gets a large message whole, though all of it takes longer than a pause may", async () => {
    const peer = await peerFor(
      usualServer({
        data: (_accepted, talk) => {
          let untilPause = PIECE;
          talk.socket.on("data", (text: string) => {
            untilPause -= text.length;
            if (untilPause > 0) return;
            untilPause = PIECE;
            talk.socket.pause();
            setTimeout(() => talk.socket.resume(), PAUSE_MS);
          });
          return "354 slowly";
        },
      }),
    );
    // Only what waits for progress is short, and long beside the peer's pauses: a busy machine stretches these.
    const deliverer = makeDeliverer({ timeouts: { ...DEFAULT_TIMEOUTS, block: 12 * PAUSE_MS } });
    open.push(() => deliverer.close(500));
    const message = `Subject: x\r\n\r\n${`${"y".repeat(70)}\r\n`.repeat(300_000)}`;
    const startedAt = performance.now();
    const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { message }));
    expect(outcome?.result).toBe("delivered");
    expect(peer.messages[0]?.length).toBe(message.length);
    expect(performance.now() - startedAt).toBeGreaterThan(12 * PAUSE_MS);
  });

  test("drips progress for ever is cut when the attempt's time is over", async () => {
    const peer = await peerFor(async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250 hi");
      while (!talk.socket.destroyed) {
        await talk.line();
        await Bun.sleep(100);
        talk.say("250 ok");
      }
    });
    const deliverer = makeDeliverer({ timeouts: { ...SHORT, attempt: 600 } });
    open.push(() => deliverer.close(100));
    const to = Array.from({ length: 90 }, (_, n) => `r${n}@example.test`);
    const startedAt = performance.now();
    const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { to }));
    expect(performance.now() - startedAt).toBeLessThan(1500);
    expect(outcomes.length).toBe(90);
    expect(outcomes.every((outcome) => outcome.result === "deferred")).toBe(true);
  });
});

describe("with a second server", () => {
  const first: Readonly<Record<string, (talk: Talk) => Promise<void>>> = {
    "a 4xx greeting": usual({ greeting: "421 4.3.2 Overloaded" }),
    "a 5xx greeting": usual({ greeting: "554 5.7.1 No service" }),
    "garbage instead of a greeting": async (talk) => talk.say("hello"),
    "a break before the message": usual({ data: () => null }),
    "421 to MAIL": usual({ mail: () => "421 4.3.2 Closing" }),
  };
  for (const [what, script] of Object.entries(first)) {
    test(`${what} sends the message to the second`, async () => {
      const bad = await peerFor(script);
      const good = await peerFor(usualServer());
      const [outcome] = await shortDeliverer().attempt(
        attemptFor(routes({ port: bad.port }, { port: good.port })),
      );
      expect(outcome).toMatchObject({ result: "delivered", server: `127.0.0.1 [127.0.0.1]:${good.port}` });
    });
  }

  for (const [what, script] of Object.entries({
    "a 4xx to RCPT": usual({ rcpt: () => "450 4.2.0 Later" }),
    "a 5xx to the message": usual({ final: () => "554 5.6.0 Spam" }),
    "a break after the message": usual({ final: () => null }),
  })) {
    test(`${what} is an answer: the second is not asked`, async () => {
      const bad = await peerFor(script);
      const good = await peerFor(usualServer());
      const [outcome] = await shortDeliverer().attempt(
        attemptFor(routes({ port: bad.port }, { port: good.port })),
      );
      expect(outcome?.result).not.toBe("delivered");
      expect(good.connections()).toBe(0);
    });
  }

  test("a server that could not be used is tried last for a while, and alone is tried each time", async () => {
    const bad = await peerFor(usual({ greeting: "421 4.3.2 Overloaded" }));
    const good = await peerFor(
      usual({
        // Closes after each message, so that every message needs a new connection.
        final: (_message, talk) => {
          setTimeout(() => talk.socket.destroy(), 5);
          return "250 2.0.0 Ok";
        },
      }),
    );
    const deliverer = shortDeliverer();
    for (let n = 0; n < 3; n++) {
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: bad.port }, { port: good.port })));
      expect(outcome?.result).toBe("delivered");
      await Bun.sleep(20);
    }
    expect(bad.connections()).toBe(1);
    for (let n = 0; n < 2; n++) await deliverer.attempt(attemptFor(routes({ port: bad.port })));
    expect(bad.connections()).toBe(3);
  });

  test("when all are down the words name each of them", async () => {
    const gone = await startScriptedPeer(forever);
    await gone.close();
    const overloaded = await peerFor(usual({ greeting: "421 4.3.2 Overloaded" }));
    const destination = routes({ port: gone.port }, { port: overloaded.port });
    const [outcome] = await shortDeliverer().attempt(attemptFor(destination));
    expect(outcome).toMatchObject({ result: "deferred", code: 421, enhanced: "4.3.2" });
    expect(outcome?.text).toContain(`127.0.0.1 [127.0.0.1]:${gone.port}: no connection`);
    expect(outcome?.text).toContain("421 4.3.2 Overloaded");
  });
});
