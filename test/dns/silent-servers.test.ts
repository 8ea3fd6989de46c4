// Servers that say nothing: the first question takes its whole time, those after it a tenth, until somebody answers again.
// Names that get no answer from a server that lives: nothing changes for others.
import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { decode, encode } from "dns-packet";
import { createServerList } from "../../src/dns/server-list.ts";
import { createResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { startDnsServer } from "../dns-server.ts";

const TIMEOUT_MS = 2000;

test("a question to silent servers is not waited for again and again", async () => {
  const server = createSocket("udp4");
  let asked = 0;
  let silent = true;
  server.on("message", (packet, from) => {
    const { id, questions } = decode(packet);
    // Whether anybody is there is asked beside the question.
    if (questions?.[0]?.name !== ".") asked += 1;
    if (silent) return;
    server.send(
      encode({ type: "response", id: id ?? 0, questions: questions ?? [], answers: [] }),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const list = createServerList({
    servers: [{ host: "127.0.0.1", port: server.address().port, trusted: true, family: 4 }],
    timeoutMs: TIMEOUT_MS,
    log: silentLog,
  });
  const ask = (name: string) => list.ask(name, "TXT", performance.now() + TIMEOUT_MS);
  try {
    expect(await ask("one.example.org")).toHaveProperty("failed");
    expect(asked).toBe(3);
    expect(await ask("two.example.org")).toHaveProperty("failed");
    expect(asked).toBe(4);
    silent = false;
    expect(await ask("three.example.org")).toHaveProperty("answer");
    silent = true;
    // One silence does not make a silent server.
    expect(await ask("four.example.org")).toHaveProperty("failed");
    expect(asked).toBe(8);
  } finally {
    list.close();
    server.close();
  }
}, 30_000);

test("names whose own servers are dead do not make ours one that is down", async () => {
  const server = await startDnsServer({ "good.example.test": { TXT: ["v=spf1 -all"] } });
  const resolver = createResolver({ servers: [server.address], log: silentLog, timeoutMs: 1000 });
  let slow = 0;
  try {
    server.answerWith((query) => (query.questions?.[0]?.name.toLowerCase().includes("dead") ? [] : null));
    const dead = await Promise.all(
      ["a", "b", "c", "d", "e"].map((label) => resolver.txt(`${label}.dead.example.org`)),
    );
    expect(dead.every((answer) => !answer.ok && answer.failure === "servfail")).toBe(true);
    // A slow answer, later than the one try of a server that is down would wait for, still counts.
    server.answerWith((query) => {
      if (query.questions?.[0]?.name === ".") return null;
      return ++slow < 2 ? [] : null;
    });
    expect(await resolver.txt("good.example.test")).toMatchObject({ ok: true });
    expect(slow).toBe(2);
  } finally {
    resolver.close();
    await server.close();
  }
});

test("that no server answers is told once, and its end", async () => {
  const server = await startDnsServer({ "good.example.test": { TXT: ["v=spf1 -all"] } });
  const told: (readonly string[] | null)[] = [];
  const resolver = createResolver({
    servers: [server.address],
    log: silentLog,
    timeoutMs: 500,
    keepAnswers: false,
    onSilence: (servers) => told.push(servers),
  });
  try {
    server.answerWith(() => []);
    for (const name of ["a.example.test", "b.example.test", "c.example.test"]) await resolver.txt(name);
    expect(told).toEqual([[server.address]]);
    server.answerWith(null);
    expect(await resolver.txt("good.example.test")).toMatchObject({ ok: true });
    expect(told).toEqual([[server.address], null]);
  } finally {
    resolver.close();
    await server.close();
  }
  expect(told.length).toBe(2);
});
