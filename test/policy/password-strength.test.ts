// Requirement L5: weak passwords are refused with a reason a person understands.
import { describe, expect, test } from "bun:test";
import { refusePasswordHash } from "../../src/policy/password-hash.ts";
import { refuseWeakPassword } from "../../src/policy/password-strength.ts";
import { processorMs } from "../message/processor-time.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const LOGIN = "alice.miller@example.test";

describe("refused", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", "it has 0 characters, at least 10 are needed"],
    ["test", "it has 4 characters"],
    ["123456", "it is one of the passwords people use most"],
    ["1234567890", "it is one of the passwords people use most"],
    ["password1234", "many people use"],
    ["P@ssw0rd2024", "many people use"],
    ["qwertyuiop1", "many people use"],
    ["aaaaaaaaaaaaaa", "it repeats the same character"],
    ["abcabcabcabc", "it repeats the same few characters"],
    ["abcdefghijkl", "it is a sequence"],
    ["xalice.miller99", "it contains the login"],
    ["alice.miller@example.test", "it contains the login"],
    ["x".repeat(257), "is longer than 256 characters"],
    ["aaaaabbbbbccccc", "it has fewer than 5 different characters"],
    ["qazwsxedcrfv", "it follows the rows or columns of the keyboard"],
    ["zaq1xsw2cde3", "it follows the rows or columns of the keyboard"],
    ["!QAZ2wsx#EDC", "it follows the rows or columns of the keyboard"],
    ["Sommer2025!", "it is one word with figures or signs added"],
    ["Willkommen-1!", "it is made of the login, the domain or words every account has"],
    ["Ferrari-458!", "it is one word with figures or signs added"],
    ["Alice!Miller1", "it is made of the login, the domain or words every account has"],
    ["m1ller.alic3!", "it is made of the login, the domain or words every account has"],
    ["3xample-T3st!", "it is made of the login, the domain or words every account has"],
    ["gatepost-relay", "it is made of the login, the domain or words every account has"],
    ["123456test123456", "it is made of the login, the domain or words every account has"],
    ["new.test.domain.example.net", 'it contains "domain.example.net"'],
    ["domain.example!", "it is made of the login, the domain or words every account has"],
  ];
  test.each(cases.map(([password, words]) => ({ password, words })))("$password", ({ password, words }) => {
    expect(refuseWeakPassword(password, LOGIN, ["domain.example.net"])).toContain(words);
  });
});

test.each([
  "tulip magnet forty",
  "correct-horse-7-battery",
  "zR8!kq0Lw#yP",
  "déjà-vu über straße",
  "xkqzvbnmwptr12",
  "tulip magnet for alice",
  "kT7vQ2mZx9",
])("accepted: %s", (password) => {
  expect(refuseWeakPassword(password, LOGIN)).toBeNull();
});

test("a password made to take long takes no time", () => {
  const started = processorMs();
  refuseWeakPassword("4@8({[</369&#!1/|0$5+7%2/".repeat(10), LOGIN);
  expect(processorMs() - started).toBeLessThan(1500);
});

test("an account such as test with 123456 cannot be made, by any door", async () => {
  const settings = await settingsOn(new MemoryStore());
  const sender = { login: "test@example.test", password: "123456", domain: "example.test" };
  for (const result of [
    await settings.plan({ sender: [sender] }, { prune: false }),
    await settings.apply({ sender: [sender] }, { prune: false, actor: TESTER }),
    await settings.put("sender", sender, TESTER),
  ]) {
    if (result.ok) throw new Error("accepted");
    expect(result.problems[0]?.path).toBe("sender[0].password");
    expect(result.problems[0]?.message).toStartWith("is too weak: it has 6 characters");
  }
  expect(settings.current().policy.sender).toEqual([]);
});

describe("hashes from outside", () => {
  test("a sound one is taken", () => expect(refusePasswordHash(CHEAP_HASH)).toBeNull());
  test.each([
    "$argon2",
    "$argon2id$v=19$m=65536,t=3,p=4$short$x",
    "$2b$10$abcdefghijklmnopqrstuv",
    CHEAP_HASH.replace("m=64", "m=4194304"),
    CHEAP_HASH.replace("t=1", "t=4000"),
    CHEAP_HASH.replace("p=1", "p=200"),
    `${CHEAP_HASH}\n`,
  ])("refused: %s", (hash) => expect(refusePasswordHash(hash)).not.toBeNull());
});
