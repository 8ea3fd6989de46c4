// Who asks a mail server about passwords: what the server hears of the client, and that one who guesses does not shut out the others.
import { afterEach, describe, expect, test } from "bun:test";
import type { ScriptOptions } from "./scripted-mail-server.ts";
import { ASKED, endTrials, imap, PLAIN, pop3, smtp, trial } from "./trial-mail-server.ts";

afterEach(endTrials);

describe("the server hears who is asking", () => {
  const introduced = (lines: readonly string[]) => lines.filter((line) => /XCLIENT|originating/.test(line));
  const withId = () => {
    const { script, ...rest } = imap("OK", "IMAP4rev1 STARTTLS ID AUTH=PLAIN SASL-IR");
    const idScript: ScriptOptions["script"] = (line, turn) =>
      line.startsWith("g5 ID") ? { say: "* ID NIL\r\ng5 OK\r\n" } : script(line, turn);
    return { ...rest, script: idScript };
  };
  const id = (client: string) => [`g5 ID ("name" "Gatepost" "x-originating-ip" "${client}")`];
  const xpop3 = () => ({ ...pop3("+OK"), greeting: "+OK [XCLIENT] ready\r\n" });
  const xsmtp = (taken: string) => {
    const { script, ...rest } = smtp("235 ok");
    const xscript: ScriptOptions["script"] = (line, turn) => {
      if (line.startsWith("EHLO"))
        return { say: "250-mail\r\n250-STARTTLS\r\n250-XCLIENT NAME ADDR PORT\r\n250 AUTH PLAIN\r\n" };
      return line.startsWith("XCLIENT") ? { say: `${taken}\r\n` } : script(line, turn);
    };
    return { ...rest, script: xscript };
  };
  test.each([
    ["IMAP", withId(), "203.0.113.5", id("203.0.113.5")],
    ["IMAP, IPv6", withId(), "2001:DB8::5", id("2001:db8::5")],
    ["IMAP, IPv4 in IPv6", withId(), "::ffff:203.0.113.5", id("203.0.113.5")],
    ["IMAP, a zone", withId(), "fe80::1%eth0", []],
    ["IMAP, no address", withId(), '1.2.3.4" "x', []],
    ["IMAP without ID", imap("OK"), "203.0.113.5", []],
    ["POP3", xpop3(), "203.0.113.5", ["XCLIENT ADDR=203.0.113.5"]],
    ["POP3, IPv6", xpop3(), "2001:db8::5", ["XCLIENT ADDR=2001:db8::5"]],
    ["POP3 without", pop3("+OK"), "203.0.113.5", []],
    ["POP3, no address", xpop3(), "203.0.113.5 SESSION=x", []],
    ["SMTP", xsmtp("220 ready"), "203.0.113.5", ["XCLIENT ADDR=203.0.113.5"]],
    ["SMTP, IPv6", xsmtp("220 ready"), "2001:db8::5", ["XCLIENT ADDR=IPV6:2001:db8::5"]],
    ["SMTP, not taken", xsmtp("550 no"), "203.0.113.5", ["XCLIENT ADDR=203.0.113.5"]],
    ["SMTP without", smtp("235 ok"), "203.0.113.5", []],
  ] as const)("%s", async (_name, script, client, lines) => {
    for (const implicit of [true, false]) {
      const { ask, server } = await trial({ ...script, implicit });
      expect(await ask({ client })).toEqual({ result: "right" });
      expect(introduced(server.lines)).toEqual([...lines]);
    }
  });
});

describe("servers slow to answer one login", () => {
  /** Says nothing to the login of anybody but alice. */
  function silent(next?: "close") {
    const { script, ...rest } = imap("OK");
    const mute: ScriptOptions["script"] = (line, turn) =>
      line.includes("AUTHENTICATE") && !line.includes(PLAIN)
        ? next === undefined
          ? null
          : { say: "", next }
        : script(line, turn);
    return { ...rest, script: mute };
  }
  const tries = (lines: readonly string[]) => lines.filter((line) => line.includes("AUTHENTICATE")).length;
  const until = async (is: () => boolean) => {
    while (!is()) await Bun.sleep(2);
  };

  test("is waited for 25 seconds; others go on, meanwhile and afterwards", async () => {
    const { ask, server, clock, alarms } = await trial(silent());
    const guess = ask({ login: "bob@example.test", password: "guess", client: "203.0.113.5" });
    await until(() => tries(server.lines) === 1);
    expect((await ask({ password: ASKED.password })).result).toBe("right");
    clock.turn(20_000);
    await Bun.sleep(20);
    clock.turn(5001);
    expect(await guess).toMatchObject({
      result: "unavailable",
      words: expect.stringContaining("25 seconds"),
    });
    expect(alarms.at(-1)).toContain("logins of others go on");
    // Whoever it concerns is told for a moment without another dialogue.
    const again = { login: "bob@example.test", password: "another", client: "203.0.113.5" };
    expect((await ask(again)).result).toBe("unavailable");
    expect(tries(server.lines)).toBe(2);
    clock.turn(300_000);
    expect((await ask()).result).toBe("right");
    expect(alarms.at(-1)).toBeNull();
  });

  test("one that breaks off a login is not down for others", async () => {
    const { ask } = await trial(silent("close"));
    const guess = { login: "bob@example.test", password: "guess", client: "203.0.113.5" };
    expect((await ask(guess)).result).toBe("unavailable");
    expect((await ask()).result).toBe("right");
  });

  test.each([
    [
      "one login from many networks",
      (i: number) => ({ login: "bob@example.test", client: `198.51.${i}.1` }),
      2,
    ],
    [
      "many logins from one network",
      (i: number) => ({ login: `u${i}@example.test`, client: `203.0.113.${i}` }),
      4,
    ],
    [
      "many logins from one IPv6 /64",
      (i: number) => ({ login: `u${i}@example.test`, client: `2001:db8::${i}` }),
      4,
    ],
  ])("guesses at %s do not take all the places", async (_name, guesser, most) => {
    const { ask, server, clock } = await trial(silent());
    const guesses = Array.from({ length: 100 }, (_, i) => ask({ ...guesser(i), password: `g${i}` }));
    await until(() => tries(server.lines) === most);
    expect((await ask()).result).toBe("right");
    await Bun.sleep(20);
    expect(tries(server.lines)).toBe(most + 1);
    // Nobody waits for a place without end.
    clock.turn(20_001);
    clock.turn(25_001);
    const results = await Promise.all(guesses);
    expect(results.filter(({ result }) => result === "busy").length).toBeGreaterThanOrEqual(100 - most * 2);
  });

  test("logins and networks that were wrong of late leave half of the places to others", async () => {
    const wrong = imap("NO no");
    let mute = false;
    const script: ScriptOptions["script"] = (line, turn) => {
      if (!line.includes("AUTHENTICATE")) return wrong.script(line, turn);
      if (line.includes(PLAIN)) return { say: "g4 OK\r\n" };
      return mute ? null : { say: "g4 NO no\r\n" };
    };
    const { ask, server } = await trial({ ...wrong, script });
    const guess = (i: number, password: string) =>
      ask({ login: `u${i}@example.test`, client: `198.51.${i}.1`, password });
    for (let i = 0; i < 20; i++) expect((await guess(i, "first")).result).toBe("wrong");
    mute = true;
    for (let i = 0; i < 20; i++) void guess(i, "second");
    await until(() => tries(server.lines) === 24);
    expect((await ask()).result).toBe("right");
    expect(tries(server.lines)).toBe(25);
  });
});
