// A server, or a box on the way to it, that answers more than it was asked: no reply is taken for the answer to something else.
import { afterEach, describe, expect, test } from "bun:test";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { attemptFor, makeDeliverer, noDns, routes, SHORT, withoutStore } from "./deliverer-fixture.ts";
import { type Replies, startScriptedPeer, usualServer } from "./scripted-peer.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

const PLAIN = ["250 peer"];
const BODY = "Subject: x\r\n\r\nhello\r\n";
/** Several writes long, in memory. */
const LONG = `Subject: x\r\n\r\n${`${"y".repeat(70)}\r\n`.repeat(8000)}`;
const data = (surplus: string) => () => `354 Go ahead\r\n${surplus}`;
const refused = () => "550 5.7.1 No";

describe("a message is neither taken nor refused by a reply in hand before its end", () => {
  for (const [what, replies, message] of [
    ["250 behind 354, then 550", { data: data("250 early"), final: refused }, BODY],
    ["550 behind 354, then 250", { data: data("550 early") }, BODY],
    ["half a reply behind 354", { data: data("250 ea"), final: refused }, BODY],
    ["451 behind 354", { data: data("451 early") }, BODY],
    ["250 behind 354 of a long message", { data: data("250 early"), final: refused }, LONG],
    ["without PIPELINING: 250 behind 354", { ehlo: PLAIN, data: data("250 early"), final: refused }, BODY],
    ["without PIPELINING: MAIL twice", { ehlo: PLAIN, mail: () => "250 a\r\n250 b", rcpt: refused }, BODY],
    ["without PIPELINING: RCPT twice", { ehlo: PLAIN, rcpt: () => "250 a\r\n550 b" }, BODY],
    ["RCPT twice, then 354", { rcpt: () => "250 a\r\n354 b", final: refused }, BODY],
    ["RCPT yes and no", { rcpt: () => "250 a\r\n550 b" }, BODY],
    ["RCPT yes and no, of a long message", { rcpt: () => "250 a\r\n550 b" }, LONG],
    ["RCPT no and yes", { rcpt: () => "550 a\r\n250 b" }, BODY],
    ["MAIL yes and no", { mail: () => "250 a\r\n550 b" }, BODY],
    ["550 behind 354 of a long message", { data: data("550 early") }, LONG],
    ["551 and 250 behind 354 of a long message", { data: data("551 early\r\n250 late") }, LONG],
    ["without PIPELINING: 550 behind 354 of a long message", { ehlo: PLAIN, data: data("550 early") }, LONG],
    ["MAIL twice", { mail: () => "250 a\r\n250 b", rcpt: () => "354 c", final: refused }, BODY],
  ] as const satisfies readonly (readonly [string, Replies, string])[]) {
    test(what, async () => {
      const peer = await startScriptedPeer(usualServer(replies));
      const deliverer = makeDeliverer({ timeouts: SHORT });
      open.push(
        () => deliverer.close(100),
        () => peer.close(),
      );
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { message }));
      expect(outcome?.result).toBe("deferred");
      expect(peer.messages.length).toBe(0);
    });
  }

  for (const [what, replies] of [
    ["stays", {}],
    ["stays, without PIPELINING", { ehlo: PLAIN }],
    ["hangs up", {}],
  ] as const satisfies readonly (readonly [string, Replies])[]) {
    test(`a refusal of DATA counts when the server ${what}`, async () => {
      const peer = await startScriptedPeer(async (talk) => {
        await usualServer({
          ...replies,
          data: () => {
            if (what === "hangs up") queueMicrotask(() => talk.socket.end());
            return "554 5.7.1 No";
          },
        })(talk);
      });
      const deliverer = makeDeliverer({ timeouts: SHORT });
      open.push(
        () => deliverer.close(100),
        () => peer.close(),
      );
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
      expect(outcome).toMatchObject({ result: "failed", code: 554 });
    });
  }

  test("a second reply to a message is not the answer to the next one's sender", async () => {
    let finals = 0;
    const peer = await startScriptedPeer(
      usualServer({ final: () => (finals++ === 0 ? "250 taken\r\n550 5.7.1 No" : "250 taken") }),
    );
    const deliverer = makeDeliverer({ timeouts: SHORT });
    open.push(
      () => deliverer.close(100),
      () => peer.close(),
    );
    for (let n = 0; n < 2; n++) {
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
      expect(outcome?.result).toBe("delivered");
    }
    expect(peer.messages.length).toBe(2);
    expect(peer.connections()).toBe(2);
  });
});

describe("a call-out", () => {
  for (const [what, replies] of [
    [
      "MAIL yes twice, the address no",
      { mail: () => "250 a\r\n250 b", rcpt: () => "550 5.1.1 No such user" },
    ],
    ["MAIL yes and no, the address yes", { mail: () => "250 a\r\n550 5.1.1 No such user" }],
    ["the address yes and no", { rcpt: () => "250 a\r\n550 5.1.1 No such user" }],
    ["the address no and yes", { rcpt: () => "550 5.1.1 No such user\r\n250 a" }],
  ] as const satisfies readonly (readonly [string, Replies])[]) {
    for (const ehlo of [["250-peer", "250 PIPELINING"], PLAIN]) {
      test(`${what}${ehlo === PLAIN ? ", without PIPELINING" : ""}: unsure`, async () => {
        const peer = await startScriptedPeer(usualServer({ ...replies, ehlo }));
        const verifier = createRecipientVerifier({
          ...(await withoutStore()),
          resolver: noDns,
          hostname: "gate.example.com",
          clock: systemClock,
          log: silentLog,
          timeouts: { ...SHORT, attempt: 1500 },
        });
        open.push(
          () => verifier.close(),
          () => peer.close(),
        );
        const own = [{ host: "127.0.0.1", port: peer.port, priority: 0, tls: "none" as const }];
        const question = { address: "anna@example.test", routes: own, cacheMs: 1000 };
        expect((await verifier.verify(question)).known).toBe("unsure");
      });
    }
  }
});
