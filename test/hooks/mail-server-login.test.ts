// Passwords checked at a mail server that is scripted: what each protocol sends, what each answer means, what is remembered, and servers
// that are slow, broken or hostile.
import { afterEach, describe, expect, test } from "bun:test";
import type { ScriptOptions } from "./scripted-mail-server.ts";
import { ASKED, endTrials, foreign, imap, PLAIN, pop3, smtp, trial } from "./trial-mail-server.ts";

afterEach(endTrials);

describe("what is sent", () => {
  const password64 = Buffer.from(ASKED.password).toString("base64");
  const login64 = Buffer.from(ASKED.login).toString("base64");
  const literals = ["g4 LOGIN {18}", "alice@example.test {10}", "se cret ü"];
  test.each([
    ["IMAP with an initial response", imap("OK"), [`g4 AUTHENTICATE PLAIN ${PLAIN}`]],
    ["IMAP without one", imap("OK", "IMAP4rev1 STARTTLS AUTH=PLAIN"), ["g4 AUTHENTICATE PLAIN", PLAIN]],
    ["IMAP LOGIN as counted literals", imap("OK", "IMAP4rev1 STARTTLS"), literals],
    ["POP3 AUTH", pop3("+OK"), [`AUTH PLAIN ${PLAIN}`]],
    ["POP3 USER and PASS", pop3("+OK", ""), [`USER ${ASKED.login}`, `PASS ${ASKED.password}`]],
    ["SMTP AUTH PLAIN", smtp("235 ok"), [`AUTH PLAIN ${PLAIN}`]],
    ["SMTP AUTH LOGIN", smtp("235 ok", "LOGIN"), ["AUTH LOGIN", login64, password64]],
  ])("%s, by implicit TLS and by STARTTLS", async (_name, script, lines) => {
    for (const implicit of [true, false]) {
      const { server, ask } = await trial({ ...script, implicit });
      expect(await ask()).toEqual({ result: "right" });
      expect(server.lines.join("\n")).toContain(lines.join("\n"));
      expect(server.lines.some((line) => /STARTTLS|STLS/.test(line))).toBe(!implicit);
    }
  });

  test("POP3: a response too long for one line goes on a line of its own", async () => {
    const { server, ask } = await trial(pop3("+OK"));
    const password = "x".repeat(300);
    expect(await ask({ password })).toEqual({ result: "right" });
    expect(server.lines[1]).toBe("AUTH PLAIN");
    expect(server.lines[2]).toBe(Buffer.from(`\0${ASKED.login}\0${password}`).toString("base64"));
  });

  test.each(["a\r\nDELE 1", "a\nb", "a\0b"])(
    "nothing, for a password that is more than one line: %j",
    async (password) => {
      const { server, ask } = await trial(pop3("+OK", ""));
      expect(await ask({ password })).toEqual({ result: "wrong" });
      expect(server.connections).toBe(0);
    },
  );

  test.each([
    ["imap", imap("OK", "IMAP4rev1")],
    ["smtp", { ...smtp("235"), script: () => ({ say: "250 AUTH PLAIN\r\n" }) }],
    ["pop3", { ...pop3("+OK"), script: () => ({ say: "-ERR no\r\n" }) }],
  ])("no password to a server without TLS: %s", async (_name, script) => {
    const { server, ask } = await trial({ ...script, implicit: false });
    expect((await ask()).result).toBe("unavailable");
    expect(server.lines.join("\n")).not.toContain(PLAIN);
  });
});

describe("what an answer means", () => {
  test.each([
    [imap("OK done"), "right"],
    [imap("NO [AUTHENTICATIONFAILED] no"), "wrong"],
    [imap("NO no"), "wrong"],
    [imap("NO [UNAVAILABLE] Temporary authentication failure."), "unavailable"],
    [imap("NO [CONTACTADMIN] ask"), "unavailable"],
    [imap("BAD what"), "unavailable"],
    [imap("OK", "IMAP4rev1 LOGINDISABLED"), "unavailable"],
    [pop3("+OK"), "right"],
    [pop3("-ERR [IN-USE] another session"), "right"],
    [pop3("-ERR [AUTH] no"), "wrong"],
    [pop3("-ERR no"), "wrong"],
    [pop3("-ERR [SYS/TEMP] later"), "unavailable"],
    [pop3("what"), "unavailable"],
    [smtp("235 2.7.0 ok"), "right"],
    [smtp("535 5.7.8 no"), "wrong"],
    [smtp("525 5.7.13 disabled"), "wrong"],
    [smtp("454 4.7.0 Temporary authentication failure"), "unavailable"],
    [smtp("421 bye"), "unavailable"],
    [smtp("504 5.5.4 unknown"), "unavailable"],
    [smtp("235 ok", "GSSAPI"), "unavailable"],
  ] as const)("%#", async (script, result) => {
    const { ask, alarms } = await trial(script);
    expect((await ask()).result).toBe(result);
    // Trouble of the server raises an alarm, a clear answer ends it.
    expect(alarms.at(-1) === null).toBe(result !== "unavailable");
  });
});

describe("certificates", () => {
  test("a name that is proven is fine", async () => {
    const { ask } = await trial({ ...imap("OK"), verify: true });
    expect((await ask()).result).toBe("right");
  });
  test("another name is not, and no password is sent", async () => {
    const { ask, server } = await trial({ ...imap("OK"), verify: true, certificate: foreign });
    const answer = await ask();
    expect(answer.result).toBe("unavailable");
    expect(server.lines).toEqual([]);
  });
  test("with verify_certificate = false any is good enough", async () => {
    const { ask } = await trial({ ...imap("OK"), certificate: foreign });
    expect((await ask()).result).toBe("right");
  });
});

describe("what is remembered", () => {
  test("a right answer as long as `cache` says, for that password alone", async () => {
    const { ask, server, clock } = await trial(imap("OK"));
    for (let i = 0; i < 3; i++) await ask();
    await ask({ login: "ALICE@example.test" });
    expect(server.connections).toBe(1);
    clock.turn(299_000);
    await ask();
    expect(server.connections).toBe(1);
    clock.turn(2000);
    await ask();
    expect(server.connections).toBe(2);
  });

  test("no right answer for the password before, once another one was right", async () => {
    const { ask, server } = await trial(imap("OK"));
    await ask({ password: "old" });
    await ask({ password: "new" });
    expect(server.connections).toBe(2);
    // Asked again: it may be right still, as where each device has its own.
    await ask({ password: "old" });
    expect(server.connections).toBe(3);
    await ask({ password: "new" });
    await ask({ password: "old" });
    expect(server.connections).toBe(3);
  });

  test("a wrong one for seconds only, and it is never tried twice for one login typed", async () => {
    const { ask, server, clock } = await trial(smtp("535 no"));
    expect((await ask()).result).toBe("wrong");
    expect(server.lines.filter((line) => line.startsWith("AUTH"))).toHaveLength(1);
    await ask();
    expect(server.connections).toBe(1);
    clock.turn(6000);
    await ask();
    expect(server.connections).toBe(2);
  });

  test("the same question at the same time is one dialogue; different ones are few side by side", async () => {
    const { ask, server } = await trial(imap("OK"));
    await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(server.connections).toBe(1);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => ask({ password: `p${i}`, client: `192.0.2.${i}` })),
    );
    expect(answers.every(({ result }) => result === "right")).toBe(true);
    expect(server.most).toBeLessThanOrEqual(4);
  });

  test("one client cannot take all the places to wait", async () => {
    const { ask } = await trial(imap("OK"));
    const flood = Array.from({ length: 100 }, (_, i) => ask({ password: `p${i}` }));
    expect((await ask({ password: "mine", client: "192.0.2.99" })).result).toBe("right");
    const results = (await Promise.all(flood)).map(({ result }) => result);
    expect(results.filter((result) => result === "busy")).toHaveLength(84);
  });
});

describe("a password that another keyboard writes otherwise", () => {
  const PREPARED = "pässwörd lang";
  const DECOMPOSED = PREPARED.normalize("NFD");
  /** Takes this password of alice alone. */
  const takes = (password: string) => {
    const initial = Buffer.from(`\0${ASKED.login}\0${password}`).toString("base64");
    const as = <T extends { readonly script: ScriptOptions["script"] }>(yes: T, no: T): T => ({
      ...no,
      script: (line, turn) => (line.includes(initial) ? yes : no).script(line, turn),
    });
    return {
      imap: as(imap("OK"), imap("NO no")),
      pop3: as(pop3("+OK"), pop3("-ERR [AUTH] no")),
      smtp: as(smtp("235 ok"), smtp("535 no")),
    };
  };
  const tries = (lines: readonly string[]) => lines.filter((line) => line.includes("AUTH")).length;
  const PROTOCOLS = ["imap", "pop3", "smtp"] as const;
  const WRITTEN = [
    ["decomposed", DECOMPOSED],
    ["half decomposed", PREPARED.replace("ö", "o\u0308")],
    ["with a no-break space", PREPARED.replace(" ", "\u00a0")],
    ["decomposed, with an ideographic space", DECOMPOSED.replace(" ", "\u3000")],
  ] as const;

  for (const protocol of PROTOCOLS) {
    test.each(WRITTEN)(`${protocol}: asked prepared, once: %s`, async (_name, password) => {
      const { ask, server } = await trial(takes(PREPARED)[protocol]);
      expect(await ask({ password })).toEqual({ result: "right" });
      expect(tries(server.lines)).toBe(1);
      expect((await ask({ password: PREPARED })).result).toBe("right");
      expect(server.connections).toBe(1);
    });

    test(`${protocol}: as it was written, where the server has it so`, async () => {
      const { ask, server, clock } = await trial(takes(DECOMPOSED)[protocol]);
      const answers = await Promise.all(Array.from({ length: 5 }, () => ask({ password: DECOMPOSED })));
      expect(answers.every(({ result }) => result === "right")).toBe(true);
      expect(tries(server.lines)).toBe(2);
      clock.turn(60_000);
      expect((await ask({ password: DECOMPOSED })).result).toBe("right");
      expect(server.connections).toBe(2);
    });
  }

  test("a wrong one is one answer, and asked again only where the two differ", async () => {
    const { ask, server, login, address } = await trial(takes("another").smtp);
    for (const [password, asked] of [
      ["plain", 1],
      [PREPARED, 1],
      ["pa\u0308ss", 2],
    ] as const) {
      const before = tries(server.lines);
      expect(await ask({ password })).toEqual({ result: "wrong" });
      expect(await ask({ password })).toEqual({ result: "wrong" });
      expect(tries(server.lines) - before).toBe(asked);
    }
    // Who does not exist is refused as late as who does.
    const once = login.usualRefusalMs(address, PREPARED);
    expect(Math.abs(login.usualRefusalMs(address, DECOMPOSED) - 2 * once)).toBeLessThanOrEqual(1);
  });

  test("a server in trouble is not asked a second time", async () => {
    const { ask, server } = await trial(smtp("454 4.7.0 later"));
    expect((await ask({ password: DECOMPOSED })).result).toBe("unavailable");
    expect(tries(server.lines)).toBe(1);
  });
});

describe("servers in trouble", () => {
  test("one that is down: unavailable, an alarm, and for a moment nobody else waits for it", async () => {
    const { ask, server, alarms, clock } = await trial(imap("OK"));
    await server.close();
    expect(await ask()).toMatchObject({
      result: "unavailable",
      words: expect.stringContaining("ECONNREFUSED"),
    });
    expect(alarms.at(-1)).toContain("Logins of its domain are put off");
    expect((await ask({ password: "b" })).result).toBe("unavailable");
    expect(alarms).toHaveLength(1);
    clock.turn(5001);
    await ask();
    expect(alarms).toHaveLength(2);
  });

  test("one that says nothing is given up after ten seconds", async () => {
    const { ask, clock, server } = await trial({ ...imap("OK"), greeting: "" });
    const asked = ask();
    while (server.connections === 0) await Bun.sleep(1);
    await Bun.sleep(20);
    clock.turn(10_001);
    expect(await asked).toMatchObject({
      result: "unavailable",
      words: expect.stringContaining("10 seconds"),
    });
  });

  test.each([
    ["talks without a line end", "x".repeat(9000)],
    ["talks without end", "* OK\r\n".repeat(12_000)],
    ["is no IMAP server", "220 mail ESMTP\r\n"],
    ["has been logged in to already", "* PREAUTH hello\r\n"],
  ])("one that %s", async (_name, greeting) => {
    const { ask } = await trial({ ...imap("OK"), greeting });
    expect((await ask()).result).toBe("unavailable");
  });

  test("words before TLS, which anybody in between may have said, are not listened to", async () => {
    const script: ScriptOptions["script"] = (line) =>
      line.startsWith("g2")
        ? { say: "g2 OK go\r\ng4 OK you are in\r\n", next: "tls" }
        : { say: "* CAPABILITY STARTTLS\r\ng1 OK\r\n" };
    const { ask } = await trial({ ...imap("OK"), script, implicit: false });
    expect((await ask()).result).toBe("unavailable");
  });

  test("one that closes in the middle: the password is not sent again", async () => {
    const { script } = imap("OK");
    const { ask, server } = await trial({
      ...imap("OK"),
      script: (line, turn) =>
        line.includes("AUTHENTICATE") ? { say: "", next: "close" } : script(line, turn),
    });
    expect((await ask()).result).toBe("unavailable");
    expect(server.lines.filter((line) => line.includes(PLAIN))).toHaveLength(1);
  });
});
