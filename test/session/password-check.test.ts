// Proving passwords: the cache must be quick, bound to what it proved, and never wider.
import { describe, expect, test } from "bun:test";
import { hashPassword } from "../../src/policy/password-hash.ts";
import { createPasswordCheck } from "../../src/session/password-check.ts";
import { processorMs } from "../message/processor-time.ts";

const CHEAP = { algorithm: "argon2id", memoryCost: 1024, timeCost: 1 } as const;
const HASH = await Bun.password.hash("right", CHEAP);
const OTHER = await Bun.password.hash("new", CHEAP);

function trial() {
  let now = 1_000_000;
  const clock = { now: () => now, after: () => () => {} };
  const passwords = createPasswordCheck(clock);
  return {
    check: (login: string, password: string, hash: string | null) =>
      passwords.check({ login, password, hash, client: "192.0.2.1" }),
    passwords,
    advance: (ms: number) => (now += ms),
  };
}

/** The processor's milliseconds of this process: hashes are computed in threads of their own. */
async function workMs(work: () => Promise<unknown>): Promise<number> {
  const from = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

describe("password check", () => {
  test("right, wrong, unknown login, unreadable hash", async () => {
    const { check } = trial();
    expect(await check("a@example.test", "right", HASH)).toBe("ok");
    expect(await check("a@example.test", "wrong", HASH)).toBe("wrong");
    expect(await check("a@example.test", "right", null)).toBe("wrong");
    expect(await check("a@example.test", "right", "$argon2id$nonsense")).toBe("wrong");
  });

  test("a proven login costs microseconds", async () => {
    const { check } = trial();
    await check("a@example.test", "right", HASH);
    const start = processorMs();
    for (let i = 0; i < 1000; i++) await check("a@example.test", "right", HASH);
    expect((processorMs() - start) / 1000).toBeLessThan(0.2);
  });

  test("a proof holds for its own login, password and hash only", async () => {
    const { check } = trial();
    expect(await check("a@example.test", "right", HASH)).toBe("ok");
    expect(await check("b@example.test", "wrong", HASH)).toBe("wrong");
    // The password was changed: the old one no longer opens.
    expect(await check("a@example.test", "right", OTHER)).toBe("wrong");
    expect(await check("a@example.test", "new", OTHER)).toBe("ok");
    expect(await check("a@example.testri", "ght", HASH)).toBe("wrong");
  });

  test("a proof ends after an hour", async () => {
    const { check, advance } = trial();
    const slow = await Bun.password.hash("right", { algorithm: "argon2id", memoryCost: 32_768, timeCost: 2 });
    await check("a", "right", slow);
    const timed = () => workMs(() => check("a", "right", slow));
    const remembered = Math.min(await timed(), await timed(), await timed());
    advance(3_600_001);
    expect(await timed()).toBeGreaterThan(remembered * 5);
  });

  test("many guesses at once: two run, a bounded number waits, the others are put off", async () => {
    const { check, passwords } = trial();
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        passwords.check({ login: "a", password: `guess ${i}`, hash: HASH, client: `198.51.${i % 4}.7` }),
      ),
    );
    expect(results.filter((one) => one === "wrong").length).toBe(66);
    expect(results.filter((one) => one === "busy").length).toBe(34);
    expect(await check("a", "right", HASH)).toBe("ok");
  });

  test("one client cannot take all the places to wait", async () => {
    const { passwords } = trial();
    const guess = (client: string) => passwords.check({ login: "a", password: "guess", hash: HASH, client });
    const flood = Array.from({ length: 200 }, () => guess("192.0.2.66"));
    const right = (client: string) => passwords.check({ login: "b", password: "right", hash: HASH, client });
    // A neighbour counts as the same.
    expect(await guess("192.0.2.7")).toBe("busy");
    expect(await right("198.51.100.7")).toBe("ok");
    expect((await Promise.all(flood)).filter((one) => one === "busy").length).toBe(168);
    expect(await guess("192.0.2.66")).toBe("wrong");
  });

  test("people in a network of the house's own count one by one", async () => {
    const { passwords } = trial();
    const guess = (client: string) => passwords.check({ login: "a", password: "guess", hash: HASH, client });
    const flood = Array.from({ length: 60 }, () => guess("10.0.0.66"));
    expect(await passwords.check({ login: "b", password: "right", hash: HASH, client: "10.0.0.7" })).toBe(
      "ok",
    );
    expect((await Promise.all(flood)).filter((one) => one === "busy").length).toBe(28);
  });

  test("a login that does not exist takes as long as one that does", async () => {
    const { passwords } = trial();
    const stored = await hashPassword("right");
    const timed = (hash: string | null) =>
      workMs(() => passwords.check({ login: "a", password: "guess", hash, client: "" }));
    await timed(null);
    let [known, unknown] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    // The least of both: threads of other tests may be at work, and their time is counted in some of the rounds.
    const isAlike = () => unknown / known < 2.2 && unknown / known > 0.45;
    for (let i = 0; i < 5 || (i < 30 && !isAlike()); i++) {
      known = Math.min(known, await timed(stored));
      unknown = Math.min(unknown, await timed(null));
    }
    expect(unknown / known).toBeLessThan(2.2);
    expect(unknown / known).toBeGreaterThan(0.45);
  });
});
