// Requirement L4: guesses are counted per account and network, wait longer and longer, and end in a ban that never shuts a person out
// because of a stranger. Time is injected.
import { describe, expect, test } from "bun:test";
import { clientNetwork } from "../../src/message/client-network.ts";
import { silentLog } from "../../src/observe/log.ts";
import { BAN_LIMITS } from "../../src/session/bans.ts";
import { GUESS_LIMITS } from "../../src/session/guess-counts.ts";
import { refuseBanned } from "../../src/session/refuse-banned.ts";
import { createBans } from "../../src/session/run-bans.ts";
import { client, snapshotOf } from "../policy/policy-fixtures.ts";

const MINUTE = 60_000;
const ALICE = "alice@example.test";
const GUESSER = "198.51.100.66";
const HOME = "203.0.113.5";

const snapshot = await snapshotOf({
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", proxy_from: ["192.0.2.200/32"] },
    { name: "submission", listen: "127.0.0.1:2526", auth: "required", relay: ["authenticated"] },
  ],
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [{ name: "example.test" }],
  sender: [{ kind: "ip", range: "192.0.2.16/28", domain: "example.test" }],
});

function trial() {
  let now = 1_795_000_000_000;
  const clock = { now: () => now, after: () => () => {} };
  const bans = createBans({ clock, log: silentLog, snapshot: () => snapshot });
  let guesses = 0;
  return {
    bans,
    advance: (ms: number) => (now += ms),
    /** So many different wrong passwords. */
    guess(ip: string, count = 1, login = ALICE): boolean {
      let banned = false;
      for (let i = 0; i < count; i++) banned = bans.noteFailedLogin({ ip, login }, `guess ${guesses++}`);
      return banned;
    },
  };
}

describe("networks", () => {
  test.each([
    ["192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"],
    ["::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"],
    ["64:ff9b::192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"],
    ["2001:db8:1:2:aaaa::9", "2001:db8:1:2::/64", "2001:db8:1::/48"],
  ])("%s", (ip, host, wide) => expect(clientNetwork(ip)).toEqual({ host, wide }));
  test.each(["", "127.1", "fe80::1%eth0", "example.org"])("none: %j", (ip) =>
    expect(clientNetwork(ip)).toBeNull(),
  );
});

describe("a guesser", () => {
  test("is banned at the tenth different password, and told apart from its neighbours", () => {
    const { bans, guess } = trial();
    expect(guess(GUESSER, 9)).toBe(false);
    expect(bans.banned(GUESSER)).toBeNull();
    expect(guess(GUESSER)).toBe(true);
    expect(bans.banned(GUESSER)).toMatchObject({
      network: "198.51.100.66/32",
      failedLogins: 10,
      logins: [ALICE],
    });
    expect(bans.banned(GUESSER)?.words).toContain("10 failed logins (last tried: alice@example.test)");
    expect(bans.banned("198.51.100.67")).toBeNull();
  });

  test("of IPv6 is banned with its /64", () => {
    const { bans, guess } = trial();
    for (let i = 0; i < 10; i++) guess(`2001:db8:1:2::${i + 1}`);
    expect(bans.banned("2001:db8:1:2:ffff::1")?.network).toBe("2001:db8:1:2::/64");
    expect(bans.banned("2001:db8:1:3::1")).toBeNull();
  });

  test("that takes turns among neighbours brings a ban of all of them", () => {
    const { bans, guess } = trial();
    for (let i = 0; i < 50; i++) guess(`198.51.100.${i + 1}`);
    expect(bans.banned("198.51.100.250")?.network).toBe("198.51.100.0/24");
    expect(bans.banned("198.51.101.1")).toBeNull();
  });

  test("that is slow is forgotten: points leak away", () => {
    const { bans, guess, advance } = trial();
    for (let i = 0; i < 100; i++) {
      expect(guess(GUESSER)).toBe(false);
      advance(6 * MINUTE + 1);
    }
    expect(bans.list()).toEqual([]);
  });

  test("is banned longer each time, up to a day", () => {
    const { bans, guess, advance } = trial();
    const lengths: number[] = [];
    for (let i = 0; i < 5; i++) {
      guess(GUESSER, 10);
      const ban = bans.banned(GUESSER);
      lengths.push(((ban?.until ?? 0) - (ban?.since ?? 0)) / MINUTE);
      expect(ban?.times).toBe(i + 1);
      advance((ban?.until ?? 0) - (ban?.since ?? 0) - 1);
      expect(bans.banned(GUESSER)).not.toBeNull();
      advance(1);
      expect(bans.banned(GUESSER)).toBeNull();
    }
    expect(lengths).toEqual([15, 60, 360, 1440, 1440]);
    advance(BAN_LIMITS.forgetBansMs);
    guess(GUESSER, 10);
    expect(bans.banned(GUESSER)?.times).toBe(1);
  });

  test("cannot take its failures back by logging in with an account of its own", () => {
    const { bans, guess } = trial();
    for (let i = 0; i < 9; i++) {
      guess(GUESSER);
      bans.noteLogin({ ip: GUESSER, login: "mallory@example.test" });
    }
    expect(guess(GUESSER)).toBe(true);
  });
});

describe("people", () => {
  test("a program with an old password is not banned: the same guess counts once", () => {
    const { bans, advance } = trial();
    for (let i = 0; i < 200; i++) {
      expect(bans.noteFailedLogin({ ip: HOME, login: ALICE }, "old password")).toBe(false);
      advance(2 * MINUTE);
    }
  });

  test("whoever mistypes and then gets it right starts anew", () => {
    const { bans, guess } = trial();
    for (let i = 0; i < 20; i++) {
      guess(HOME, 3);
      bans.noteLogin({ ip: HOME, login: ALICE });
    }
    expect(bans.banned(HOME)).toBeNull();
    expect(bans.loginDelayMs({ ip: HOME, login: ALICE })).toBe(0);
  });

  test("an account under attack from everywhere makes strangers wait, seconds at most, and known addresses not at all", () => {
    const { bans, guess } = trial();
    bans.noteLogin({ ip: HOME, login: ALICE });
    for (let i = 0; i < 3000; i++) guess(`198.51.${i % 200}.${Math.floor(i / 200) + 1}`);
    expect(bans.loginDelayMs({ ip: HOME, login: ALICE })).toBe(0);
    expect(bans.refuseLogin({ ip: HOME, login: ALICE })).toBeNull();
    expect(bans.loginDelayMs({ ip: "203.0.113.99", login: ALICE })).toBe(BAN_LIMITS.maxDelayMs);
    expect(bans.refuseLogin({ ip: "203.0.113.99", login: ALICE })).toBeNull();
    expect(bans.loginDelayMs({ ip: "203.0.113.99", login: "bob@example.test" })).toBe(0);
  });

  test("behind the same address as a guesser keep their own accounts, the guesser gets nothing", () => {
    const { bans, guess } = trial();
    bans.noteLogin({ ip: HOME, login: ALICE });
    guess(HOME, 20, "bob@example.test");
    expect(bans.banned(HOME)).not.toBeNull();
    expect(bans.isKnown(HOME)).toBe(true);
    expect(bans.refuseLogin({ ip: HOME, login: ALICE })).toBeNull();
    expect(bans.refuseLogin({ ip: HOME, login: "bob@example.test" })).not.toBeNull();
    expect(bans.refuseLogin({ ip: HOME, login: "nobody@example.test" })).not.toBeNull();
  });

  test("are not in a ban of their neighbourhood", () => {
    const { bans, guess } = trial();
    bans.noteLogin({ ip: "198.51.100.200", login: ALICE });
    for (let i = 0; i < 50; i++) guess(`198.51.100.${i + 1}`);
    expect(bans.banned("198.51.100.199")).not.toBeNull();
    expect(bans.banned("198.51.100.200")).toBeNull();
  });

  test.each(["10.1.2.3", "192.0.2.17", "127.0.0.1", "::1", "192.0.2.200"])(
    "trusted networks, IP senders, the machine itself and proxies are never banned: %s",
    (ip) => {
      const { bans, guess } = trial();
      expect(guess(ip, 500)).toBe(false);
      for (let i = 0; i < 500; i++) bans.noteUnknownRecipient(ip);
      expect(bans.list()).toEqual([]);
      // Slowed for the login that is guessed at, and for no other.
      expect(bans.loginDelayMs({ ip, login: ALICE })).toBe(BAN_LIMITS.maxDelayMs);
      expect(bans.loginDelayMs({ ip, login: "bob@example.test" })).toBe(0);
    },
  );
});

describe.each(["10.1.2.3", "192.0.2.17", "127.0.0.1", "192.0.2.200"])(
  "guesses from %s, which is never banned",
  (ip) => {
    const BOB = "bob@example.test";

    test("end for the login and the host; others, and the login from elsewhere, go on", () => {
      const { bans, guess, advance } = trial();
      bans.noteLogin({ ip, login: ALICE });
      for (let i = 0; i < GUESS_LIMITS.ofPair; i++) {
        expect(bans.refuseGuess({ ip, login: ALICE }, "the right one")).toBeNull();
        guess(ip);
      }
      expect(bans.refuseGuess({ ip, login: ALICE }, "the right one")).toContain(
        "20 different wrong passwords",
      );
      expect(bans.refuseGuess({ ip, login: BOB }, "the right one")).toBeNull();
      expect(bans.refuseGuess({ ip: "203.0.113.5", login: ALICE }, "the right one")).toBeNull();
      // 576 guesses in 120 seconds became: one in three minutes.
      let judged = 0;
      for (let second = 0; second < 3600; second++) {
        advance(1000);
        if (bans.refuseGuess({ ip, login: ALICE }, `g${second}`) !== null) continue;
        judged++;
        guess(ip);
      }
      expect(judged).toBeLessThan(25);
      advance(2 * GUESS_LIMITS.leakMs);
      expect(bans.refuseGuess({ ip, login: ALICE }, "the right one")).toBeNull();
      expect(bans.list()).toEqual([]);
    });

    test("do not begin anew whenever the owner logs in", () => {
      const { bans, guess } = trial();
      for (let i = 0; i < 40; i++) {
        guess(ip);
        if (i % 10 === 0) bans.noteLogin({ ip, login: ALICE });
      }
      expect(bans.refuseGuess({ ip, login: ALICE }, "next")).not.toBeNull();
    });

    test("are no guesses when a program sends an old password again and again, whoever else does", () => {
      const { bans } = trial();
      for (let i = 0; i < 2000; i++)
        bans.noteFailedLogin({ ip, login: `user${i % 5}@example.test` }, `old ${i % 5}`);
      expect(bans.refuseGuess({ ip, login: "user1@example.test" }, "new")).toBeNull();
    });

    test("with one password at many logins end for that password", () => {
      const { bans } = trial();
      bans.noteLogin({ ip, login: ALICE });
      for (let i = 0; i < GUESS_LIMITS.accountsOfHost; i++) {
        expect(bans.refuseGuess({ ip, login: `u${i}@example.test` }, "Winter2026!")).toBeNull();
        bans.noteFailedLogin({ ip, login: `u${i}@example.test` }, "Winter2026!");
      }
      expect(bans.refuseGuess({ ip, login: BOB }, "Winter2026!")).toContain("the same password");
      expect(bans.refuseGuess({ ip, login: BOB }, "another")).toBeNull();
      // Who has logged in from there before may have chosen it.
      expect(bans.refuseGuess({ ip, login: ALICE }, "Winter2026!")).toBeNull();
    });

    test("at ever new logins leave those in peace who have logged in from there", () => {
      const { bans } = trial();
      bans.noteLogin({ ip, login: ALICE });
      for (let i = 0; i < GUESS_LIMITS.ofHost; i++)
        bans.noteFailedLogin({ ip, login: `u${i}@example.test` }, `p${i}`);
      expect(bans.refuseGuess({ ip, login: BOB }, "x")).toContain("only logins that have succeeded");
      expect(bans.refuseGuess({ ip, login: ALICE }, "x")).toBeNull();
    });
  },
);

test("one password tried at many logins from many addresses is not judged for strangers any more", () => {
  const { bans } = trial();
  for (let i = 0; i < GUESS_LIMITS.accountsOfAll; i++)
    bans.noteFailedLogin({ ip: `198.51.${i}.9`, login: `u${i}@example.test` }, "Winter2026!");
  expect(bans.refuseGuess({ ip: HOME, login: ALICE }, "Winter2026!")).toContain("at 30 logins");
  expect(bans.refuseGuess({ ip: HOME, login: ALICE }, "another")).toBeNull();
  bans.noteLogin({ ip: HOME, login: ALICE });
  expect(bans.refuseGuess({ ip: HOME, login: ALICE }, "Winter2026!")).toBeNull();
});

describe("waits", () => {
  test("double with each failure of the network, over connections", () => {
    const { bans, guess } = trial();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      waits.push(bans.loginDelayMs({ ip: GUESSER, login: `user${i}@example.test` }));
      guess(GUESSER, 1, `user${i}@example.test`);
    }
    expect(waits).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 8000]);
  });

  test("are not shorter because some seconds passed", () => {
    const { bans, guess, advance } = trial();
    guess(GUESSER);
    advance(5000);
    expect(bans.loginDelayMs({ ip: GUESSER, login: "user@example.test" })).toBe(100);
  });
});

describe("harvesters", () => {
  test("a hundred unknown recipients ban, and add to failed logins", () => {
    const { bans, guess } = trial();
    const delays: number[] = [];
    for (let i = 0; i < 99; i++) {
      expect(bans.noteUnknownRecipient(GUESSER)).toBe(false);
      delays.push(bans.unknownRecipientDelayMs(GUESSER));
    }
    // Slowed from the tenth on, long before the ban.
    expect(delays.slice(0, 9)).toEqual(Array(9).fill(0));
    expect(delays.slice(9, 12)).toEqual([500, 1000, 1500]);
    expect(delays.at(-1)).toBe(5000);
    expect(bans.noteUnknownRecipient(GUESSER)).toBe(true);
    expect(bans.banned(GUESSER)?.words).toContain("100 unknown recipients");
    guess("198.51.100.7", 5);
    for (let i = 0; i < 49; i++) bans.noteUnknownRecipient("198.51.100.7");
    expect(bans.noteUnknownRecipient("198.51.100.7")).toBe(true);
  });
  test("many honest servers side by side are not banned together", () => {
    const { bans } = trial();
    for (let i = 0; i < 90; i++)
      for (let host = 1; host < 50; host++) bans.noteUnknownRecipient(`198.51.100.${host}`);
    expect(bans.list()).toEqual([]);
  });
});

describe("the answer to a banned client", () => {
  const answerTo = (bans: ReturnType<typeof createBans>, name: string, ip = GUESSER) => {
    const listener = snapshot.listener(name);
    if (listener === null) throw new Error(name);
    return refuseBanned({ client: client({ ip }), listener }, { bans });
  };
  test("is for a time while the ban is short, and for good when it is long", () => {
    const { bans, guess, advance } = trial();
    expect(answerTo(bans, "mx")).toBeNull();
    const codes: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      guess(GUESSER, 10);
      codes.push(answerTo(bans, "mx")?.reply.code);
      expect(answerTo(bans, "mx")?.next).toBe("close");
      advance(BAN_LIMITS.lengthsMs[i] ?? 0);
    }
    expect(codes).toEqual([421, 421, 421, 554]);
    expect(answerTo(bans, "mx")).toBeNull();
  });
  test("lets those in to log in who have logged in before", () => {
    const { bans, guess } = trial();
    bans.noteLogin({ ip: GUESSER, login: ALICE });
    guess(GUESSER, 10);
    expect(answerTo(bans, "submission")).toBeNull();
    expect(answerTo(bans, "mx")).not.toBeNull();
  });
});

describe("the list", () => {
  test("has the newest first; lifting ends a ban and forgets what was counted", () => {
    const { bans, guess, advance } = trial();
    guess(GUESSER, 10);
    advance(1000);
    guess("198.51.100.67", 10);
    expect(bans.list().map(({ network }) => network)).toEqual(["198.51.100.67/32", "198.51.100.66/32"]);
    expect(bans.lift("198.51.100.66/32")).toBe(true);
    expect(bans.lift("198.51.100.66/32")).toBe(false);
    expect(bans.banned(GUESSER)).toBeNull();
    expect(guess(GUESSER, 9)).toBe(false);
    guess(GUESSER);
    expect(bans.banned(GUESSER)?.times).toBe(1);
    advance(15 * MINUTE);
    expect(bans.list()).toEqual([]);
  });

  test("shows logins without control characters, and no passwords", () => {
    const { bans } = trial();
    for (let i = 0; i < 10; i++)
      bans.noteFailedLogin({ ip: GUESSER, login: "a\u001b[31m\u202ez@example.test" }, `hunter2-${i}`);
    const shown = JSON.stringify(bans.list());
    expect(shown).toContain("a?[31m?z@example.test");
    expect(shown).not.toContain("hunter2");
  });

  test("and everything else stays bounded under a flood", () => {
    const { bans } = trial();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 120_000; i++) {
      const ip = `${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`;
      bans.noteFailedLogin({ ip, login: `user${i}@example.test` }, "guess");
      bans.noteLogin({ ip, login: `user${i}@example.test` });
    }
    Bun.gc(true);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(150 * 1024 * 1024);
    // The last ones are still known, the first ones are forgotten.
    expect(bans.isKnown("101.212.191.1")).toBe(true);
    expect(bans.isKnown("100.0.0.1")).toBe(false);
  }, 120_000);
});
