// Replies as servers write them: the code decides, in every dialogue, and what a server took is never sent again.
import { afterEach, describe, expect, test } from "bun:test";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { parseReply, readReplyLine, replyClass, usualForm } from "../../src/delivery/remote-reply.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { attemptFor, makeDeliverer, noDns, routes, SHORT, withoutStore } from "./deliverer-fixture.ts";
import { type Replies, type ScriptedPeer, startScriptedPeer, usualServer } from "./scripted-peer.ts";

let peers: ScriptedPeer[] = [];
afterEach(async () => {
  for (const peer of peers) await peer.close();
  peers = [];
});

async function deliverTo(replies: Replies) {
  const peer = await startScriptedPeer(usualServer(replies));
  peers.push(peer);
  const deliverer = makeDeliverer({ timeouts: SHORT });
  const attempt = attemptFor(routes({ port: peer.port }));
  const first = await deliverer.attempt(attempt);
  const second = await deliverer.attempt(attempt);
  await deliverer.close(0);
  return { peer, outcomes: [...first, ...second] };
}

const TAKEN: readonly string[] = [
  "250OK queued as 17",
  "250\tOK",
  "250: ok",
  "250.",
  "250,2.0.0 ok",
  "2502.0.0 Ok",
  "250_ok",
  "250",
  "250 ",
  "200 accepted",
  "252 queued",
  "299done",
  "250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three",
  "250-one\r\n250OK",
  "250-one\r\n250",
  "250-one\r\nno code here\r\n250 done",
  "250-one\r\n\r\n250 done",
  "250 angenommen f\u00fcr sp\u00e4ter",
  "250-\u00fc\r\n250 \u20ac",
  "\r\n250 after an empty line",
];

describe("after the dot", () => {
  test.each([...TAKEN])("%j is success", async (final) => {
    const { peer, outcomes } = await deliverTo({ final: () => final });
    expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "delivered"]);
    expect(peer.messages).toHaveLength(2);
    // The replies stay in step: the second message went over the same connection.
    expect(peer.connections()).toBe(1);
  });

  test.each([
    ["550no", 550, null],
    ["550-5.7.1 one\r\n5505.7.1 two", 550, "5.7.1"],
    ["554:5.7.1 no", 554, null],
    ["250-so far\r\n550 no", 550, null],
  ] as const)("%j is refused for good", async (final, code, enhanced) => {
    const { outcomes } = await deliverTo({ final: () => final });
    expect(outcomes[0]).toMatchObject({ result: "failed", code, enhanced });
  });

  test.each(["451later", "4514.3.0 later", "421bye", "354 go on"])("%j is put off", async (final) => {
    const { outcomes } = await deliverTo({ final: () => final });
    expect(outcomes[0]).toMatchObject({ result: "deferred" });
  });

  test.each(["OK", "2 messages", "25O ok", "2500 ok", "650 ok", "150 wait"])(
    "%j is no reply",
    async (final) => {
      const { outcomes } = await deliverTo({ final: () => final });
      expect(outcomes[0]).toMatchObject({ result: "deferred", code: null });
      expect(outcomes[0]?.text).toContain("no SMTP reply");
    },
  );
});

describe("elsewhere in the dialogue", () => {
  const unspaced: Replies = {
    greeting: "220peer.example.test",
    ehlo: ["250-peer", "250-PIPELINING", "250-SIZE 1000000", "250SMTPUTF8"],
    mail: () => "250ok",
    rcpt: () => "251-will\r\n251forward",
    data: (accepted) => (accepted > 0 ? "354" : "503no"),
    final: () => "250ok",
  };
  const cases: readonly (readonly [string, Replies])[] = [
    ["everything without a space", unspaced],
    ["no text at all", { mail: () => "250", rcpt: () => "250", data: () => "354", final: () => "250" }],
    ["a greeting of many lines", { greeting: "220-sink\r\n220-no spam please\r\nreally\r\n220" }],
    ["another 2yz greeting", { greeting: "250 hello" }],
    ["no pipelining", { ehlo: ["250peer"], mail: () => "250ok", rcpt: () => "250ok", data: () => "354go" }],
    [
      "8 bits everywhere",
      { greeting: "220 gr\u00fc\u00df dich", mail: () => "250 gut\u00e4", rcpt: () => "250 \u00ff" },
    ],
  ];
  test.each([...cases])("%s", async (_, replies) => {
    const { peer, outcomes } = await deliverTo(replies);
    expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "delivered"]);
    expect(peer.connections()).toBe(1);
  });

  test("the last line of EHLO counts without its space", async () => {
    const { peer } = await deliverTo(unspaced);
    expect(peer.commands[1]).toContain("SIZE=");
    expect(peer.commands).not.toContain("HELO gate.example.com");
  });

  test("a call-out reads them alike", async () => {
    const peer = await startScriptedPeer(
      usualServer({ rcpt: (line) => (line.includes("known@") ? "250ok" : "550no such user") }),
    );
    peers.push(peer);
    const verifier = createRecipientVerifier({
      ...(await withoutStore()),
      resolver: noDns,
      hostname: "gate.example.com",
      clock: systemClock,
      log: silentLog,
    });
    const ask = (address: string) =>
      verifier.verify({
        address,
        routes: [{ host: "127.0.0.1", port: peer.port, priority: 1, tls: "none" }],
        cacheMs: 1000,
      });
    expect(await ask("known@example.test")).toMatchObject({ known: "yes" });
    expect(await ask("other@example.test")).toMatchObject({ known: "no" });
    await verifier.close();
  });
});

describe("the reading itself", () => {
  test("both readings of one reply agree", () => {
    const written = [...TAKEN, "550no", "421", "4", "", "25", "abc", "2500", "250", "999 x", "354go"];
    for (const text of written) {
      const raw = usualForm(text.split("\r\n"));
      expect(replyClass(raw)).toBe(Math.floor((parseReply(raw).code ?? 0) / 100));
    }
  });

  test("text, enhanced code and what goes on", () => {
    expect(readReplyLine("250-5.1.1 x")).toEqual({ code: "250", more: true, text: "5.1.1 x" });
    expect(readReplyLine("250 x")).toEqual({ code: "250", more: false, text: "x" });
    expect(parseReply("5505.1.1 nobody")).toEqual({ code: 550, enhanced: "5.1.1", text: "550 5.1.1 nobody" });
    expect(usualForm(["250-a", "b", "550 c"])).toBe("550 a\n550 b\n550 c");
    expect(usualForm(["hello"])).toBe("hello");
  });
});
