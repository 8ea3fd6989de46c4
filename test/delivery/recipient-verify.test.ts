// Call-outs against scripted servers over real sockets.
import { afterEach, describe, expect, test } from "bun:test";
import { createRecipientVerifier, type RecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import type { Route } from "../../src/delivery/route.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { noDns, SHORT, withoutStore } from "./deliverer-fixture.ts";
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

const knows = (name: string): Replies => ({
  rcpt: (line) => (line.includes(`<${name}@`) ? "250 2.1.5 Ok" : "550 5.1.1 No such user"),
});

interface Fixture {
  readonly peer: ScriptedPeer;
  readonly verifier: RecipientVerifier;
  readonly clock: { advance(ms: number): void };
  ask(address: string, routes?: readonly Route[]): ReturnType<RecipientVerifier["verify"]>;
}

async function setUp(script: (talk: Talk) => Promise<void>): Promise<Fixture> {
  let skew = 0;
  const clock: Clock = { now: () => Date.now() + skew, after: () => () => {} };
  const peer = await startScriptedPeer(script);
  const verifier = createRecipientVerifier({
    ...(await withoutStore()),
    resolver: noDns,
    hostname: "gate.example.com",
    clock,
    log: silentLog,
    timeouts: { ...SHORT, attempt: 1500 },
  });
  open.push(
    () => verifier.close(),
    () => peer.close(),
  );
  const own: Route[] = [{ host: "127.0.0.1", port: peer.port, priority: 0, tls: "none" }];
  return {
    peer,
    verifier,
    clock: {
      advance: (ms) => {
        skew += ms;
      },
    },
    ask: (address, routes = own) => verifier.verify({ address, routes, cacheMs: 3_600_000 }),
  };
}

const rcpts = (peer: ScriptedPeer): number => peer.commands.filter((line) => line.startsWith("RCPT")).length;

describe("a server that knows its users", () => {
  test("says yes and no, and sends nothing", async () => {
    const { peer, ask } = await setUp(usualServer(knows("anna")));
    expect(await ask("anna@example.test")).toEqual({ known: "yes", words: "" });
    expect(await ask("nobody@example.test")).toEqual({
      known: "no",
      text: `127.0.0.1 [127.0.0.1]:${peer.port} said 550 5.1.1 No such user`,
    });
    expect(peer.commands).not.toContain("DATA");
    expect(peer.commands.filter((line) => line.startsWith("MAIL"))).toEqual(["MAIL FROM:<>", "MAIL FROM:<>"]);
    expect(peer.connections()).toBe(1);
  });

  test("also without PIPELINING", async () => {
    const { ask } = await setUp(usualServer({ ...knows("anna"), ehlo: ["250 peer"] }));
    expect(await ask("anna@example.test")).toMatchObject({ known: "yes" });
    expect(await ask("nobody@example.test")).toMatchObject({ known: "no" });
    expect(await ask("anna@example.test")).toMatchObject({ known: "yes" });
  });

  test("is asked once in the time an answer is kept; a no is kept for five minutes", async () => {
    const { peer, ask, clock } = await setUp(usualServer(knows("anna")));
    for (let n = 0; n < 5; n++) {
      await ask("Anna@example.test".toLowerCase());
      await ask("nobody@example.test");
    }
    // One more RCPT for the invented address of the first question.
    expect(rcpts(peer)).toBe(3);
    clock.advance(301_000);
    await ask("anna@example.test");
    await ask("nobody@example.test");
    expect(rcpts(peer)).toBe(4);
    clock.advance(3_600_000);
    await ask("anna@example.test");
    expect(rcpts(peer)).toBe(6);
  });

  test("is asked once for many equal questions at one time, and over few connections for different ones", async () => {
    const { peer, ask } = await setUp(usualServer(knows("anna")));
    await Promise.all(Array.from({ length: 30 }, () => ask("anna@example.test")));
    expect(peer.commands.filter((line) => line.includes("<anna@")).length).toBe(1);
    const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(`u${n}@example.test`)));
    expect(answers.every((answer) => answer.known === "no")).toBe(true);
    expect(peer.connections()).toBeLessThanOrEqual(11);
  });
});

test.each([
  "550 5.4.1 [x@example.test]: Recipient address rejected: Access denied. AS(201806281)",
  "554 5.1.1 no mailbox",
  "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)",
  "550 5.7.1 User unknown",
])("a server that says %s is believed, and is none that takes all", async (words) => {
  const { ask, peer } = await setUp(
    usualServer({ rcpt: (line) => (line.includes("<anna@") ? "250 2.1.5 Ok" : words) }),
  );
  expect(await ask("nobody@example.test")).toMatchObject({ known: "no" });
  expect(await ask("anna@example.test")).toEqual({ known: "yes", words: "" });
  for (let n = 0; n < 3; n++) expect(await ask("nobody@example.test")).toMatchObject({ known: "no" });
  // Each of them, and the invented one, once.
  expect(rcpts(peer)).toBe(3);
});

describe("a server that takes everything", () => {
  test("is found out by an invented address", async () => {
    const { ask, peer } = await setUp(usualServer());
    const answer = await ask("anna@example.test");
    expect(answer).toMatchObject({ known: "yes" });
    expect(answer.known === "yes" && answer.words).toContain("takes every address");
    expect(
      peer.commands.some((line) => /^RCPT TO:<gatepost-check-[0-9a-f]{16}@example\.test>$/.test(line)),
    ).toBe(true);
    expect(await ask("bert@example.test")).toEqual(answer);
  });
});

describe("unsure", () => {
  const forever = (): Promise<void> => new Promise(() => {});
  for (const [what, script] of Object.entries({
    "4xx to RCPT": usualServer({ rcpt: () => "451 4.7.1 Greylisted" }),
    "a policy refusal at RCPT": usualServer({ rcpt: () => "550 5.7.1 Your address is on a list" }),
    "MAIL FROM:<> refused": usualServer({ mail: () => "550 5.7.1 No bounces here" }),
    "no reply to RCPT": usualServer({ rcpt: () => null }),
    "garbage to RCPT": usualServer({ rcpt: () => "yes please" }),
    "a 554 greeting": usualServer({ greeting: "554 5.7.1 Go away" }),
    "a silent server": forever,
    "a closing server": async () => {},
  })) {
    test(what, async () => {
      const { ask, verifier, peer } = await setUp(script);
      const startedAt = performance.now();
      const answer = await ask("anna@example.test");
      expect(answer.known).toBe("unsure");
      expect(answer.known === "unsure" && answer.text.length).toBeGreaterThan(5);
      expect(performance.now() - startedAt).toBeLessThan(2500);
      await verifier.close();
      await Bun.sleep(50);
      expect(peer.openConnections()).toBe(0);
    });
  }

  test("no routes", async () => {
    const { ask } = await setUp(usualServer());
    expect(await ask("anna@example.test", [])).toMatchObject({ known: "unsure" });
  });

  test("a server that is down is not asked again for each recipient", async () => {
    const { ask, peer } = await setUp(usualServer({ greeting: "421 4.3.2 Later" }));
    await ask("a@example.test");
    for (let n = 0; n < 20; n++) await ask(`u${n}@example.test`);
    expect(peer.connections()).toBe(1);
  });
});

test("a server that refuses the question is asked once each time, also over a connection that rests", async () => {
  const { ask, peer, clock } = await setUp(usualServer({ mail: () => "451 4.3.2 Too much to do" }));
  for (const name of ["a", "b", "c"]) {
    expect(await ask(`${name}@example.test`)).toMatchObject({ known: "unsure" });
    clock.advance(10_500);
  }
  expect(peer.commands.filter((line) => line.startsWith("MAIL"))).toHaveLength(3);
});

test("the second server is asked when the first is down", async () => {
  const { ask, peer } = await setUp(usualServer(knows("anna")));
  const gone = await startScriptedPeer(usualServer());
  await gone.close();
  const both: Route[] = [
    { host: "127.0.0.1", port: gone.port, priority: 1, tls: "none" },
    { host: "127.0.0.1", port: peer.port, priority: 2, tls: "none" },
  ];
  expect(await ask("anna@example.test", both)).toMatchObject({ known: "yes" });
});

test("a connection the server closed in the meantime is replaced", async () => {
  let rcpt = 0;
  const { ask, peer } = await setUp(
    usualServer({
      rcpt: (line, talk) =>
        ++rcpt > 2 && talk.number === 0 ? null : (knows("anna").rcpt?.(line, talk) ?? null),
    }),
  );
  expect(await ask("x@example.test")).toMatchObject({ known: "no" });
  expect(await ask("anna@example.test")).toMatchObject({ known: "yes" });
  expect(peer.connections()).toBe(2);
});

test("an address with control characters is not asked about", async () => {
  const { ask, peer } = await setUp(usualServer());
  expect(await ask("a>\r\nDATA\r\n@example.test")).toMatchObject({ known: "no" });
  expect(peer.connections()).toBe(0);
});
