// The clamd hook against the real daemon, and against servers that are dead, mute, or talk nonsense.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createChecks } from "../../src/checks/create-checks.ts";
import { createChecker } from "../../src/checks/run-checks.ts";
import type { Resolver } from "../../src/dns/resolver.ts";
import { createClamdCheck, pingClamd } from "../../src/hooks/clamd.ts";
import { askClamd, type ClamdHook } from "../../src/hooks/clamd-dialogue.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type Facts, factsOf } from "../../src/rules/fact.ts";
import { envelope, message } from "../message/message-samples.ts";
import { clamdInstalled, type RealClamd, startClamd } from "./real-clamd.ts";

const infected = readFileSync(join(import.meta.dirname, "../checks/corpus/eicar.eml"));
const clean = message(["From: a@example.org"]);

async function factsFrom(
  address: string,
  raw: Uint8Array,
  timeoutMs = 5000,
): Promise<{ readonly facts: Facts; readonly reason: string }> {
  let reason = "";
  const checker = createChecker({
    checks: [createClamdCheck({ name: "av", address, timeoutMs })],
    log: silentLog,
    onFailure: (_, words) => {
      reason = words;
    },
  });
  return {
    facts: factsOf(await checker.run({ envelope: envelope(), raw }, new Set(["clamd.found"]))),
    reason,
  };
}

describe.skipIf(!clamdInstalled())("a real clamd", () => {
  let daemon: RealClamd;
  beforeAll(async () => {
    daemon = await startClamd({ maxStreamBytes: 1_000_000 });
  });
  afterAll(() => daemon.stop());

  test("finds and names what is in its database, over TCP and over its socket", async () => {
    for (const address of [daemon.tcp, daemon.unix]) {
      const { facts } = await factsFrom(address, infected);
      expect(facts).toMatchObject({
        "clamd.found": true,
        "clamd.signature": expect.stringMatching(/^Gatepost\.Test\.Eicar/),
      });
      expect((await factsFrom(address, clean)).facts).toEqual({ "clamd.found": false });
      await pingClamd({ name: "av", address, timeoutMs: 1000 });
    }
  });

  test("takes an empty message, and twenty at once", async () => {
    expect((await factsFrom(daemon.tcp, new Uint8Array())).facts).toEqual({ "clamd.found": false });
    const many = await Promise.all(
      Array.from({ length: 20 }, (_, n) => factsFrom(daemon.unix, n % 2 === 0 ? clean : infected)),
    );
    expect(many.map(({ facts }) => facts["clamd.found"])).toEqual(many.map((_, n) => n % 2 === 1));
  });

  test("a message over its size limit is told as that, wherever in it the daemon breaks off", async () => {
    for (const address of [daemon.tcp, daemon.unix]) {
      for (const octets of [1_000_001, 1_100_000, 3_000_000, 20_000_000]) {
        const { facts, reason } = await factsFrom(address, Buffer.alloc(octets, "x"));
        expect(facts).toMatchObject({ "clamd.failed": true, "scan.failed": true });
        expect(reason).toBe(
          `the message is larger than clamd "av" at ${address} takes; raise StreamMaxLength in its clamd.conf`,
        );
      }
    }
    expect((await factsFrom(daemon.tcp, Buffer.alloc(1_000_000, "x"))).facts).toEqual({
      "clamd.found": false,
    });
  }, 30_000);

  test("one that hangs, and one that is killed with the message in its hands", async () => {
    const other = await startClamd({ maxStreamBytes: 10_000_000 });
    try {
      process.kill(other.pid, "SIGSTOP");
      for (const address of [other.tcp, other.unix])
        expect((await factsFrom(address, clean, 300)).reason).toContain("gave no answer in time");
      const asked = factsFrom(other.unix, Buffer.alloc(5_000_000, "x"));
      await Bun.sleep(200);
      process.kill(other.pid, "SIGKILL");
      expect((await asked).reason).toMatch(/closed the connection without a word after \d.* were sent/);
    } finally {
      await other.stop();
    }
    expect((await factsFrom(other.tcp, clean)).reason).toMatch(/ECONNREFUSED.*is it running/);
  }, 30_000);

  test("two daemons: one that is clean or dead does not hide what the other found", async () => {
    const nothing = async () => ({ ok: false, failure: "nxdomain", words: "none" }) as const;
    const resolver: Resolver = {
      a: nothing,
      aaaa: nothing,
      mx: nothing,
      txt: nothing,
      ptr: nothing,
      close() {},
    };
    const hook = (address: string): ClamdHook => ({ name: "av", address, timeoutMs: 3000 });
    const checks = createChecks({ resolver, hostname: "gate.example.test", log: silentLog, hooks: [] });
    try {
      const found = async (raw: Uint8Array) =>
        factsOf(await checks.run({ envelope: envelope(), raw }, new Set(["clamd.found"])));
      expect(await found(infected)).toEqual({});
      checks.useHooks([hook("127.0.0.1:1"), hook(daemon.tcp)]);
      expect(await found(infected)).toMatchObject({ "clamd.found": true });
      expect(await found(clean)).toMatchObject({ "clamd.failed": true });
      checks.useHooks([hook(daemon.unix), hook(daemon.tcp)]);
      expect(await found(clean)).toEqual({ "clamd.found": false });
    } finally {
      await checks.close();
    }
  });
});

let server: Server | null = null;
afterEach(() => {
  server?.close();
  server = null;
});

/** A server that does `serve` with each connection; its address. */
function fake(serve: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve) => {
    const listening = createServer((socket) => {
      socket.on("error", () => undefined);
      serve(socket);
    });
    server = listening;
    listening.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(listening.address() as AddressInfo).port}`));
  });
}

const strange: readonly (readonly [name: string, words: string, serve: (socket: Socket) => void])[] = [
  ["hangs", "gave no answer in time", () => undefined],
  ["closes at once", "closed the connection without a word", (socket) => socket.destroy()],
  ["resets at once", "closed the connection without a word", (socket) => socket.resetAndDestroy()],
  [
    "closes after the message",
    "closed the connection without a word",
    (socket) => socket.once("data", () => socket.end()),
  ],
  [
    "closes in the middle of an answer",
    "without a whole answer",
    (socket) => socket.once("data", () => socket.end("stream: O")),
  ],
  [
    "answers something else",
    "which is no verdict",
    (socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\0")),
  ],
  [
    "answers without end",
    "answers without end",
    (socket) => socket.once("data", () => socket.write("x".repeat(100_000))),
  ],
  [
    "has an error of its own",
    "which is no verdict",
    (socket) => socket.once("data", () => socket.end("stream: Can't open file ERROR\0")),
  ],
  [
    "has a limit",
    "raise StreamMaxLength",
    (socket) => socket.once("data", () => socket.end("INSTREAM size limit exceeded. ERROR\0")),
  ],
];
/** Longer than what the kernel holds for a daemon that reads nothing. */
const LONG = Buffer.alloc(20_000_000, "x");
const breaks: readonly (readonly [answer: string, words: string])[] = [
  ["INSTREAM size limit exceeded. ERROR\0", "is larger than"],
  ["INSTREAM: Can't write to temporary file. ERROR\0", "Can't write to temporary file"],
  ["COMMAND READ TIMED OUT\0", '"COMMAND READ TIMED OUT", which is no verdict'],
  ["UNKNOWN COMMAND\0", '"UNKNOWN COMMAND", which is no verdict'],
  ["stream: Some.Na", 'closed the connection after "stream: Some.Na", without a whole answer'],
  ["", "closed the connection without a word after"],
];
test.each(breaks)("the answer %j of one that reads no further and closes is read", async (answer, words) => {
  const address = await fake((socket) => {
    socket.pause();
    socket.write(answer, () => socket.destroy());
  });
  for (let round = 0; round < 5; round++) expect((await factsFrom(address, LONG)).reason).toContain(words);
});

test("connections that nobody waits for any more are not left open, and the next one is made", async () => {
  let open = 0;
  const address = await fake((socket) => {
    open++;
    socket.once("close", () => open--);
    socket.once("data", () => socket.end("PONG\0"));
  });
  const hook = { name: "av", address, timeoutMs: 5000 };
  const asked = Array.from({ length: 30 }, () => {
    const late = new AbortController();
    const answer = askClamd(hook, [Buffer.from("zPING\0")], late.signal).catch(String);
    late.abort();
    return answer;
  });
  expect(new Set(await Promise.all(asked))).toEqual(
    new Set([
      `Error: clamd "av" at ${address} took no connection in time; is its machine up, and is this its address?`,
    ]),
  );
  const giveUpAt = performance.now() + 5000;
  for (;;) {
    const error = await pingClamd(hook).catch(String);
    if (error === undefined || performance.now() > giveUpAt) {
      expect(error).toBeUndefined();
      break;
    }
    await Bun.sleep(20);
  }
  await Bun.sleep(100);
  expect(open).toBe(0);
});

test.each(strange)("a daemon that %s is a failure with a reason", async (_, words, serve) => {
  const address = await fake(serve);
  const started = performance.now();
  const { facts, reason } = await factsFrom(address, infected, 500);
  expect(performance.now() - started).toBeLessThan(3000);
  expect(facts).toEqual({ "clamd.failed": true, "scan.failed": true, "scan.failures": ["clamd"] });
  expect(reason).toContain(words);
});

test("an answer in pieces is put together", async () => {
  const address = await fake((socket) =>
    socket.once("data", () => {
      socket.write("stream: Some.Na");
      setTimeout(() => socket.end("me FOUND\0"), 30);
    }),
  );
  expect((await factsFrom(address, clean)).facts).toMatchObject({ "clamd.signature": "Some.Name" });
});

test("a dead socket is a failure that names it", async () => {
  for (const address of ["127.0.0.1:1", "unix:/nonexistent/clamd.ctl"]) {
    const { facts, reason } = await factsFrom(address, clean);
    expect(facts).toMatchObject({ "clamd.failed": true });
    expect(reason).toContain(address);
  }
});
