// What is remembered of log-ins: over a real listener, over a restart, and under guessers without end.
import { expect, test } from "bun:test";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { LOGIN_BOOK_LIMITS, openLoginBook } from "../../src/session/login-book.ts";
import { StoreError } from "../../src/store/database.ts";
import { createNoticeState, type KeptNoticeState, type NoticeState } from "../../src/store/notice-state.ts";
import { openTrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";
import { connectClient, plainOf } from "./login-client.ts";

const PASSWORD = "tulip magnet forty";

test("a wrong password, a right one and an unknown login leave their traces", async () => {
  const password_hash = await Bun.password.hash(PASSWORD, {
    algorithm: "argon2id",
    memoryCost: 64,
    timeCost: 1,
  });
  await using gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:0",
          proxy_from: ["127.0.0.0/8"],
          greeting_delay: 0,
          auth: "optional",
          auth_without_tls: true,
        },
      ],
      domain: [{ name: "example.test" }],
      sender: [{ login: "alice@example.test", domain: "example.test", password_hash }],
    }),
  });
  const tries: [string, string, string][] = [
    ["Alice@example.test", "wrong", "535"],
    ["alice@EXAMPLE.test", "wrong again", "535"],
    ["nobody@example.test", "x", "535"],
    ["alice@example.test", PASSWORD, "235"],
  ];
  for (const [login, password, code] of tries) {
    const client = await connectClient(gateway.port(), "192.0.2.7");
    expect(await client.say(plainOf(login, password))).toStartWith(code);
    client.close();
  }
  const network = "192.0.2.7/32";
  expect(gateway.logins.of("alice@example.test")).toMatchObject([
    { network, taken: 1, refused: 2, cause: "wrong password" },
  ]);
  expect(gateway.logins.refused(10).map(({ login, exists, refused }) => [login, exists, refused])).toEqual([
    ["nobody@example.test", false, 1],
    ["alice@example.test", true, 2],
  ]);
});

test("it is there after a restart", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const parts = { state: createNoticeState(database, database), clock: systemClock, log: silentLog };
  const before = await openLoginBook(parts);
  before.note({ ip: "192.0.2.7", login: "a@b.test" }, { cause: "wrong password", exists: true });
  before.note({ ip: "192.0.2.8", login: "made@up.test" }, { cause: "no such login", exists: false });
  await before.close();
  const after = await openLoginBook(parts);
  expect(after.of("a@b.test")).toEqual(before.of("a@b.test"));
  expect(after.refused(10)).toHaveLength(1);
  await database.close();
});

test("what could not be kept is kept the next time", async () => {
  const timers: (() => void)[] = [];
  const clock = {
    now: () => 1,
    after(_ms: number, wake: () => void) {
      timers.push(wake);
      return () => {};
    },
  };
  const kept: string[] = [];
  let full = true;
  const state: NoticeState = {
    load: async () => [],
    async keep(_kind, entries) {
      if (full) throw new StoreError("disk-full", "no space");
      kept.push(...entries.map(({ key }) => key));
    },
  };
  const book = await openLoginBook({ state, clock, log: silentLog });
  book.note({ ip: "192.0.2.7", login: "a@b.test" }, { cause: null, exists: true });
  timers.shift()?.();
  await Bun.sleep(1);
  full = false;
  expect(timers).toHaveLength(1);
  timers.shift()?.();
  await Bun.sleep(1);
  expect(kept).toEqual(["a@b.test"]);
  await book.close();
  expect(timers).toEqual([]);
});

test("guessers fill neither memory nor disk, and push out nobody's own network", async () => {
  const disk = new Map<string, unknown>();
  const state: NoticeState = {
    load: async () => [],
    async keep(_kind: string, entries: readonly KeptNoticeState[]) {
      for (const { key, value } of entries) value === null ? disk.delete(key) : disk.set(key, value);
    },
  };
  const book = await openLoginBook({ state, clock: systemClock, log: silentLog });
  const home = { ip: "198.51.100.1", login: "a@b.test" };
  book.note(home, { cause: null, exists: true });
  for (let i = 0; i < 1000; i++) {
    const ip = `10.0.${i >> 8}.${i & 255}`;
    book.note({ ip, login: "a@b.test" }, { cause: "wrong password", exists: true });
    book.note({ ip, login: `${i}@b.test` }, { cause: "no such login", exists: false });
  }
  const traces = book.of("a@b.test");
  expect(traces).toHaveLength(LOGIN_BOOK_LIMITS.networks);
  expect(traces.some(({ network, takenAt }) => network === "198.51.100.1/32" && takenAt > 0)).toBe(true);
  expect(book.refused(10_000).length).toBeLessThanOrEqual(
    LOGIN_BOOK_LIMITS.unknown + LOGIN_BOOK_LIMITS.networks,
  );
  for (let i = 0; i < 2 * LOGIN_BOOK_LIMITS.known; i++)
    book.note({ ip: "10.1.1.1", login: `${i}@c.test` }, { cause: "wrong password", exists: true });
  await book.close();
  expect(disk.size).toBeLessThanOrEqual(LOGIN_BOOK_LIMITS.known);
});
