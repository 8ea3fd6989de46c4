// The dialogue with honest servers: commands, replies, outcomes, connections used again.
import { afterEach, describe, expect, test } from "bun:test";
import type { Deliverer } from "../../src/delivery/attempt.ts";
import { attemptFor, MESSAGE, makeDeliverer, routes, SHORT } from "./deliverer-fixture.ts";
import { type ScriptedPeer, startScriptedPeer, type Talk, usualServer } from "./scripted-peer.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function setUp(
  script: (talk: Talk) => Promise<void>,
): Promise<{ readonly peer: ScriptedPeer; readonly deliverer: Deliverer }> {
  const peer = await startScriptedPeer(script);
  const deliverer = makeDeliverer();
  open.push(
    () => deliverer.close(500),
    () => peer.close(),
  );
  return { peer, deliverer };
}

describe("a message", () => {
  test("arrives byte for byte, with the server's reply in the outcome", async () => {
    const { peer, deliverer } = await setUp(usualServer({ final: () => "250 2.0.0 Ok: queued as 4711" }));
    const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    expect(outcomes).toEqual([
      {
        n: 0,
        result: "delivered",
        code: 250,
        enhanced: "2.0.0",
        text: "250 2.0.0 Ok: queued as 4711",
        server: `127.0.0.1 [127.0.0.1]:${peer.port}`,
        tls: null,
      },
    ]);
    expect(peer.messages).toEqual([MESSAGE]);
    expect(peer.commands).toEqual([
      "EHLO gate.example.com",
      `MAIL FROM:<a@example.org> SIZE=${MESSAGE.length}`,
      "RCPT TO:<b@example.test>",
      "DATA",
    ]);
  });

  test("has its dots doubled at line starts and nowhere else", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), { message: ".\r\n..\r\na.b\r\n.end\r\n" }),
    );
    expect(peer.messages).toEqual(["..\r\n...\r\na.b\r\n..end\r\n"]);
  });

  test("without a last line end gets one, and an empty one is sent", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    await deliverer.attempt(attemptFor(routes({ port: peer.port }), { message: "Subject: x\r\n\r\nno end" }));
    expect(peer.messages).toEqual(["Subject: x\r\n\r\nno end\r\n"]);
  });

  test("of several megabytes with dots at every piece's edge arrives whole", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    const line = `.${"x".repeat(61)}\r\n`;
    const message = line.repeat(60_000);
    const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { message }));
    expect(outcome?.result).toBe("delivered");
    expect(peer.messages[0]?.length).toBe(message.length + 60_000);
    expect(peer.messages[0]?.replaceAll("\r\n..", "\r\n.").slice(1) === message).toBe(true);
  });

  test("carries the parameters the server understands", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    const outcomes = await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), {
        reversePath: "",
        eightBit: true,
        smtpUtf8: true,
        dsnRet: "HDRS",
        dsnEnvid: "a+b=c d",
        recipients: [
          {
            n: 0,
            address: "b@example.test",
            dsn: { notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;b+x@example.test" },
          },
          { n: 1, address: "grün@example.test", dsn: { notify: ["NEVER"], orcpt: null } },
          { n: 2, address: "d@example.test", dsn: null },
        ],
      }),
    );
    expect(peer.commands.slice(1, 5)).toEqual([
      `MAIL FROM:<> SIZE=${MESSAGE.length} BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3Dc+20d`,
      "RCPT TO:<b@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx@example.test",
      `RCPT TO:<${Buffer.from("grün@example.test").toString("latin1")}> NOTIFY=NEVER`,
      "RCPT TO:<d@example.test>",
    ]);
    // Who was told what to report will report success itself; we must not do it a second time.
    expect(outcomes.map((outcome) => outcome.dsnPassedOn)).toEqual([true, true, undefined]);
  });

  test("goes to a server without any extension one command at a time", async () => {
    const { peer, deliverer } = await setUp(async (talk) => {
      talk.say("220 old");
      await talk.line();
      talk.say("502 5.5.1 EHLO not known");
      for (let line = await talk.line(); line !== null && line !== "DATA"; line = await talk.line()) {
        // A second command already here would be pipelining that was not offered.
        await Bun.sleep(5);
        talk.say("250 ok");
      }
      talk.say("354 go");
      await talk.message();
      talk.say("250 taken");
      await talk.line();
    });
    const outcomes = await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), { to: ["b@example.test", "c@example.test"], eightBit: true }),
    );
    expect(outcomes.map((outcome) => outcome.result)).toEqual(["delivered", "delivered"]);
    expect(peer.commands.slice(1)).toEqual([
      "HELO gate.example.com",
      "MAIL FROM:<a@example.org>",
      "RCPT TO:<b@example.test>",
      "RCPT TO:<c@example.test>",
      "DATA",
    ]);
  });

  test("for 250 recipients goes in three transactions over one connection", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    const to = Array.from({ length: 250 }, (_, n) => `r${n}@example.test`);
    const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { to }));
    expect(outcomes.map((outcome) => outcome.n)).toEqual(to.map((_, n) => n));
    expect(outcomes.every((outcome) => outcome.result === "delivered")).toBe(true);
    expect(peer.messages.length).toBe(3);
    expect(peer.connections()).toBe(1);
  });
});

describe("refusals", () => {
  const rcptReply = (line: string): string => {
    if (line.includes("unknown")) return "550 5.1.1 No such user";
    if (line.includes("full")) return "452 4.2.2 Mailbox full";
    if (line.includes("many")) return "552 Too many recipients";
    return "250 2.1.5 Ok";
  };

  test("of single recipients leave the others delivered", async () => {
    const { peer, deliverer } = await setUp(usualServer({ rcpt: rcptReply }));
    const to = ["unknown@example.test", "b@example.test", "full@example.test", "many@example.test"];
    const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { to }));
    expect(outcomes.map(({ n, result, code, enhanced }) => [n, result, code, enhanced])).toEqual([
      [0, "failed", 550, "5.1.1"],
      [1, "delivered", 250, "2.0.0"],
      [2, "deferred", 452, "4.2.2"],
      [3, "deferred", 552, null],
    ]);
  });

  test("of all recipients need no message, and the connection is used again after RSET", async () => {
    const { peer, deliverer } = await setUp(usualServer({ rcpt: rcptReply }));
    const [refused] = await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), { to: ["unknown@example.test"] }),
    );
    expect(refused).toMatchObject({ result: "failed", text: "550 5.1.1 No such user" });
    const [next] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    expect(next?.result).toBe("delivered");
    expect(peer.connections()).toBe(1);
    expect(peer.messages.length).toBe(1);
    expect(peer.commands.filter((line) => line === "RSET").length).toBe(1);
  });

  test("of all recipients by a server that takes DATA all the same end with an empty message", async () => {
    const { peer, deliverer } = await setUp(async (talk) => {
      talk.say("220 peer");
      await talk.line();
      talk.say("250-peer", "250 PIPELINING");
      await talk.line();
      await talk.line();
      await talk.line();
      talk.say("250 ok", "550 5.1.1 no", "354 go ahead");
      expect(await talk.line()).toBe(".");
      talk.say("554 5.5.1 no recipients");
      await talk.line();
    });
    const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    expect(outcome).toMatchObject({ result: "failed", code: 550 });
  });

  for (const [what, replies, result, code] of [
    ["the sender", { mail: () => "550 5.7.1 Not you" }, "failed", 550],
    ["the sender for now", { mail: () => "451 4.7.1 Greylisted" }, "deferred", 451],
    ["DATA", { data: () => "451 4.3.0 Later" }, "deferred", 451],
    ["the message", { final: () => "554 5.6.0 Spam" }, "failed", 554],
    ["the message for now", { final: () => "450 4.2.0 Later" }, "deferred", 450],
  ] as const) {
    test(`of ${what} hold for every recipient`, async () => {
      const { peer, deliverer } = await setUp(usualServer(replies));
      const to = ["b@example.test", "c@example.test"];
      const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { to }));
      expect(outcomes.map((outcome) => [outcome.result, outcome.code])).toEqual([
        [result, code],
        [result, code],
      ]);
      const again = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
      expect(again[0]?.result).toBe(result);
      expect(peer.connections()).toBe(1);
    });
  }

  test("of several lines become one line without control characters", async () => {
    const { peer, deliverer } = await setUp(
      usualServer({
        final: () => "550-5.7.1 First line\u0007\r\n550-5.7.1 \u001b[31msecond\r\n550 5.7.1 third",
      }),
    );
    const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    expect(outcome).toMatchObject({ code: 550, enhanced: "5.7.1" });
    expect(outcome?.text).toBe("550 5.7.1 First line� �[31msecond third");
  });
});

describe("what a server cannot take is failed without sending it", () => {
  test("too large", async () => {
    const { peer, deliverer } = await setUp(usualServer({ ehlo: ["250-peer", "250 SIZE 1000"] }));
    const message = `Subject: x\r\n\r\n${"y".repeat(70)}\r\n`.repeat(20);
    const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { message }));
    expect(outcome).toMatchObject({ result: "failed", code: null, enhanced: "5.3.4" });
    expect(outcome?.text).toContain("at most 1000");
    expect(peer.commands).toEqual(["EHLO gate.example.com"]);
  });

  test("Unicode addresses without SMTPUTF8; but not a mere wish for it", async () => {
    const { peer, deliverer } = await setUp(usualServer({ ehlo: ["250 peer"] }));
    const destination = routes({ port: peer.port });
    const needed = await deliverer.attempt(
      attemptFor(destination, { to: ["grün@example.test"], smtpUtf8: true }),
    );
    expect(needed[0]).toMatchObject({ result: "failed", enhanced: "5.6.7" });
    const header = await deliverer.attempt(
      attemptFor(destination, { message: "Subject: grün\r\n\r\nx\r\n", smtpUtf8: true }),
    );
    expect(header[0]).toMatchObject({ result: "failed", enhanced: "5.6.7" });
    const wished = await deliverer.attempt(attemptFor(destination, { smtpUtf8: true }));
    expect(wished[0]?.result).toBe("delivered");
  });

  test("an address that would end its command", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    const to = ["b@example.test>\r\nRCPT TO:<x@example.org", "c@example.test"];
    const outcomes = await deliverer.attempt(attemptFor(routes({ port: peer.port }), { to }));
    expect(outcomes.map(({ result, enhanced }) => [result, enhanced])).toEqual([
      ["failed", "5.1.3"],
      ["delivered", "2.0.0"],
    ]);
    expect(peer.commands.join("\n")).not.toContain("x@example.org");
  });
});

describe("connections", () => {
  test("are used again, one after another", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    for (let n = 0; n < 20; n++) await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    expect(peer.connections()).toBe(1);
    expect(peer.messages.length).toBe(20);
    expect(peer.commands).not.toContain("RSET");
  });

  test("are as many as the attempts side by side", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    expect(deliverer.capacity("example.test")).toBe(20);
    const running = Array.from({ length: 5 }, () =>
      deliverer.attempt(attemptFor(routes({ port: peer.port }))),
    );
    expect(deliverer.capacity("example.test")).toBe(20);
    await Promise.all(running);
    expect(peer.connections()).toBe(5);
  });

  test("that a server closed while they rested cost nothing but a new one", async () => {
    const { peer, deliverer } = await setUp(
      usualServer({
        final: (_message, talk) => {
          setTimeout(() => talk.socket.destroy(), 20);
          return "250 2.0.0 Ok";
        },
      }),
    );
    for (let n = 0; n < 3; n++) {
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
      expect(outcome?.result).toBe("delivered");
      await Bun.sleep(50);
    }
    expect(peer.connections()).toBe(3);
  });

  test("on which the server answers the second MAIL with 421, or not at all, are replaced", async () => {
    for (const second of ["421 4.4.2 Timeout exceeded", null]) {
      let mails = 0;
      const { peer, deliverer } = await setUp(
        usualServer({ mail: () => (++mails === 2 ? second : "250 Ok") }),
      );
      for (let n = 0; n < 2; n++) {
        const [outcome] = await deliverer.attempt(attemptFor(routes({ port: peer.port })));
        expect(outcome?.result).toBe("delivered");
      }
      expect(peer.connections()).toBe(2);
    }
  });

  test("end with QUIT when the deliverer closes", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    await deliverer.close(500);
    await Bun.sleep(50);
    expect(peer.commands.at(-1)).toBe("QUIT");
    expect(peer.openConnections()).toBe(0);
    expect(deliverer.capacity("example.test")).toBe(0);
  });

  test("end with QUIT when they have rested long enough", async () => {
    const peer = await startScriptedPeer(usualServer());
    const deliverer = makeDeliverer({ timeouts: { ...SHORT, idle: 100 } });
    open.push(
      () => deliverer.close(200),
      () => peer.close(),
    );
    await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    await Bun.sleep(300);
    expect(peer.commands.at(-1)).toBe("QUIT");
    expect(peer.openConnections()).toBe(0);
  });

  test("that are busy when the deliverer closes have the grace, then they are cut and the message is deferred", async () => {
    const { peer, deliverer } = await setUp(async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250 hi");
      await new Promise(() => {});
    });
    const attempt = deliverer.attempt(attemptFor(routes({ port: peer.port })));
    await Bun.sleep(50);
    const startedAt = performance.now();
    await deliverer.close(100);
    const [outcome] = await attempt;
    expect(outcome?.result).toBe("deferred");
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  test("to a route that is no longer set are not used", async () => {
    const { peer, deliverer } = await setUp(usualServer());
    await deliverer.attempt(attemptFor(routes({ port: peer.port })));
    const other = await startScriptedPeer(usualServer());
    open.push(() => other.close());
    await deliverer.attempt(attemptFor(routes({ port: other.port })));
    expect(other.messages.length).toBe(1);
    await Bun.sleep(50);
    expect(peer.openConnections()).toBe(0);
  });
});
