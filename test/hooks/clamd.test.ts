// The clamd hook against the real daemon, and against servers that are dead, mute, or talk nonsense.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createChecks } from "../../src/checks/create-checks.ts";
import { createChecker } from "../../src/checks/run-checks.ts";
import type { Resolver } from "../../src/dns/resolver.ts";
import { type ClamdHook, createClamdCheck, pingClamd } from "../../src/hooks/clamd.ts";
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

  test("a message over its size limit is a failure, not a pass", async () => {
    const { facts, reason } = await factsFrom(daemon.tcp, Buffer.alloc(3_000_000, "x"));
    expect(facts).toMatchObject({ "clamd.failed": true, "scan.failed": true });
    expect(reason).toMatch(/StreamMaxLength|without a whole answer|cannot be asked/);
  });

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
  ["hangs", "no answer", () => undefined],
  ["closes at once", "", (socket) => socket.destroy()],
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
