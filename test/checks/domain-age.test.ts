// The age of the domain in From: by a feed file that changes, by a real RDAP server on loopback, and unknown, which fails nothing.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgeTable } from "../../src/checks/age-table.ts";
import { createDomainAge, type DomainAge, type DomainAgeSettings } from "../../src/checks/domain-age.ts";
import { createChecker } from "../../src/checks/run-checks.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import type { Finding } from "../../src/rules/fact.ts";
import { envelope, message } from "../message/message-samples.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR_MS = 3_600_000;
const WANTED = new Set(["domain_age.known", "domain_age.days"]);

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function settableClock(): Clock & { nowMs: number } {
  return {
    nowMs: NOW,
    now() {
      return this.nowMs;
    },
    after: () => () => undefined,
  };
}

interface Kit {
  readonly age: DomainAge;
  readonly clock: { nowMs: number };
  /** What a message of this From is found to be: value of `days`, or the words of why it is unknown. */
  of(from: string): Promise<number | string>;
}

function kit(settings: DomainAgeSettings): Kit {
  const clock = settableClock();
  const age = createDomainAge({ settings, clock, log: silentLog });
  const checker = createChecker({ checks: [age.check], log: silentLog });
  return {
    age,
    clock,
    async of(from) {
      const raw = message([`From: ${from}`]);
      const findings = await checker.run({ envelope: envelope(), raw }, WANTED);
      return read(findings);
    },
  };
}

function read(findings: readonly Finding[]): number | string {
  const value = (fact: string) => findings.find((one) => one.fact === fact);
  const days = value("domain_age.days")?.value;
  expect(findings.some(({ fact }) => fact.endsWith(".failed"))).toBe(false);
  expect(value("domain_age.known")?.value).toBe(days !== undefined);
  return typeof days === "number" ? days : (value("domain_age.known")?.words ?? "");
}

function feedFile(lines: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-feed-"));
  closers.push(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "ages.txt");
  writeFileSync(path, lines.join("\n"));
  return path;
}

/** A service with these dates; counts its questions, and answers 500 while `broken`. */
function rdapServer(dates: Readonly<Record<string, string>>) {
  const state = { asked: [] as string[], broken: false, base: "" };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const domain = new URL(request.url).pathname.replace("/domain/", "");
      state.asked.push(domain);
      if (state.broken) return new Response("", { status: 500 });
      const eventDate = dates[domain];
      if (eventDate === undefined) return new Response("{}", { status: 404 });
      return Response.json({ events: [{ eventAction: "registration", eventDate }] });
    },
  });
  state.base = `http://127.0.0.1:${server.port}/`;
  closers.push(() => server.stop(true));
  return state;
}

test("a feed: dates, times, comments, subdomains, and lines that are none", async () => {
  const feed = feedFile([
    "# domain date",
    "new.example.org 2026-11-20",
    "today.test 2026-11-21",
    "day.test\t2026-11-20",
    "Old.Test. 2020-01-01",
    "hour.test 2026-11-21T11:00:00Z",
    "zoned.test 2026-11-20 23:00:00+01:00\r",
    "comma.test,2026-11-19",
    "future.test 2026-11-25",
    "nonsense",
    "bad.test 2026-13-45",
    `${"x".repeat(5000)} 2026-11-21`,
    "last.co.uk 2026-11-18",
  ]);
  const { of } = kit({ feed, rdap: null });
  const expected: readonly (readonly [string, number | string])[] = [
    ["a@today.test", 0],
    ["a@day.test", 1],
    ["Alice <a@mail.old.test>", 2516],
    ["a@hour.test", 0],
    ["a@zoned.test", 0],
    ["a@comma.test", 2],
    ["a@future.test", 0],
    ["a@deep.down.last.co.uk", 3],
    // The registered domain is asked for, not a name below it.
    ["a@new.example.org", "the feed of domain ages does not name example.org"],
    ["a@bad.test", "the feed of domain ages does not name bad.test"],
    ["a@[192.0.2.1]", "From names no domain that could be registered"],
    ["nobody", "From names no domain that could be registered"],
    ["a@old.test, b@today.test", 0],
    ["a@nosuch.test, b@old.test", 2516],
  ];
  for (const [from, days] of expected) expect([from, await of(from)]).toEqual([from, days]);
});

test("the words say when", async () => {
  const feed = feedFile(["one.test 2026-11-20", "two.test 2026-11-21"]);
  const { age } = kit({ feed, rdap: null });
  const wordsOf = async (domain: string) => {
    const raw = message([`From: a@${domain}`]);
    const input = { envelope: envelope(), raw, signal: new AbortController().signal };
    return (await age.check.run(input))[0]?.words;
  };
  expect(await wordsOf("one.test")).toBe("one.test was registered on 2026-11-20, a day ago");
  expect(await wordsOf("two.test")).toBe("two.test was registered on 2026-11-21, less than a day ago");
});

test("a feed that changes is read again, one that vanishes stays in use, one that never was is unknown", async () => {
  const path = feedFile(["a.test 2026-11-21"]);
  const { of, clock } = kit({ feed: path, rdap: null });
  expect(await of("x@a.test")).toBe(0);
  writeFileSync(path, "a.test 2026-11-01\nb.test 2026-11-21\n");
  utimesSync(path, new Date(NOW), new Date(NOW));
  // Its date is looked at every half minute.
  expect(await of("x@a.test")).toBe(0);
  clock.nowMs += 31_000;
  expect(await of("x@a.test")).toBe(20);
  expect(await of("x@b.test")).toBe(0);
  rmSync(path);
  clock.nowMs += 31_000;
  expect(await of("x@a.test")).toBe(20);
  expect(await kit({ feed: "/nonexistent/ages.txt", rdap: null }).of("x@a.test")).toContain("cannot be read");
});

test("a feed that is too large is not read", async () => {
  const path = feedFile([]);
  writeFileSync(path, Buffer.alloc(50_000_001, "a.test 2026-11-21\n"));
  expect(await kit({ feed: path, rdap: null }).of("x@a.test")).toContain("more than 50000000");
});

test("RDAP: asked once, kept for a day; that there is no date, for an hour; a failure, for minutes", async () => {
  const server = rdapServer({ "new.test": "2026-11-21T08:00:00Z", "old.test": "2000-01-01T00:00:00Z" });
  const { of, clock } = kit({ feed: "", rdap: server.base });
  const both = await Promise.all([of("a@new.test"), of("b@sub.new.test"), of("c@old.test")]);
  expect(both).toEqual([0, 0, 9821]);
  expect(await of("a@nosuch.test")).toContain("knows no domain nosuch.test");
  expect(server.asked.sort()).toEqual(["new.test", "nosuch.test", "old.test"]);
  const since = async (ms: number, from: string): Promise<readonly string[]> => {
    server.asked.length = 0;
    clock.nowMs = NOW + ms;
    await of(from);
    return [...server.asked];
  };
  expect(await since(HOUR_MS - 1, "a@nosuch.test")).toEqual([]);
  expect(await since(HOUR_MS + 1, "a@nosuch.test")).toEqual(["nosuch.test"]);
  expect(await since(24 * HOUR_MS - 1, "a@new.test")).toEqual([]);
  expect(await since(24 * HOUR_MS + 1, "a@new.test")).toEqual(["new.test"]);
  server.broken = true;
  expect(await of("a@down.test")).toContain("it answered 500");
  server.broken = false;
  expect(await since(24 * HOUR_MS + 60_000, "a@down.test")).toEqual([]);
  expect(await since(24 * HOUR_MS + 400_000, "a@down.test")).toEqual(["down.test"]);
});

test("the feed first, then RDAP; other settings hold from the next message on", async () => {
  const server = rdapServer({ "a.test": "2026-11-01T00:00:00Z", "b.test": "2026-11-11T00:00:00Z" });
  const feed = feedFile(["a.test 2026-11-21"]);
  const { of, age } = kit({ feed, rdap: server.base });
  expect([await of("x@a.test"), await of("x@b.test")]).toEqual([0, 10]);
  expect(server.asked).toEqual(["b.test"]);
  age.use({ feed: "", rdap: server.base });
  expect(await of("x@a.test")).toBe(20);
  age.use({ feed: "", rdap: null });
  expect(await of("x@a.test")).toContain("nothing is set up that would know the age of a.test");
  // A broken feed does not keep RDAP from answering.
  age.use({ feed: "/nonexistent", rdap: server.base });
  expect(await of("x@a.test")).toBe(20);
});

test("many domains at once: no more than twenty questions, the rest is unknown for now", async () => {
  const held = Promise.withResolvers<void>();
  let most = 0;
  let open = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch() {
      most = Math.max(most, ++open);
      await held.promise;
      open--;
      return Response.json({ events: [{ eventAction: "registration", eventDate: "2026-11-21T00:00:00Z" }] });
    },
  });
  closers.push(() => server.stop(true));
  const { of } = kit({ feed: "", rdap: `http://127.0.0.1:${server.port}/` });
  const all = Array.from({ length: 60 }, (_, i) => of(`a@d${i}.test`));
  const unknown = await Promise.all(all.slice(20));
  expect(unknown.every((words) => String(words).includes("too many domains"))).toBe(true);
  held.resolve();
  expect(await Promise.all(all.slice(0, 20))).toEqual(Array.from({ length: 20 }, () => 0));
  expect(most).toBeLessThanOrEqual(20);
  expect(await of("a@d59.test")).toBe(0);
});

test("nobody asked: nothing is looked up", async () => {
  const server = rdapServer({});
  const age = createDomainAge({
    settings: { feed: "", rdap: server.base },
    clock: settableClock(),
    log: silentLog,
  });
  const checker = createChecker({ checks: [age.check], log: silentLog });
  const input = { envelope: envelope(), raw: message(["From: a@example.org"]) };
  expect(await checker.run(input, new Set(["spf.result"]))).toEqual([]);
  expect(server.asked).toEqual([]);
});

test("the table keeps what a map would, to the minute", () => {
  const table = new AgeTable();
  const map = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const domain = `d${(i * 7919) % 15_000}.test`;
    const at = NOW - i * 60_000;
    table.set(domain, at);
    map.set(domain, at);
  }
  expect(table.size).toBe(map.size);
  for (const [domain, at] of map) expect(table.get(domain)).toBe(at);
  expect(table.get("d15001.test")).toBeNull();
});
