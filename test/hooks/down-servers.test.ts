// A password server that is down is looked at again until it answers: its alarm ends without a login of anybody, and few looks are made.
import { afterEach, expect, test } from "bun:test";
import { waitUntil } from "../peers/run-command.ts";
import { endTrials, imap, pop3, smtp, trial } from "./trial-mail-server.ts";

afterEach(endTrials);

type Trial = Awaited<ReturnType<typeof trial>>;

/** The end of the rest after the last look, then the next look. */
const minuteLater = async ({ clock }: Trial) => {
  clock.turn(1000);
  clock.turn(59_000);
  await Bun.sleep(5);
};
const lifted = ({ alarms }: Trial) => waitUntil("the alarm ends", () => alarms.at(-1) === null);

test.each([
  ["imap", imap("OK"), true],
  ["imap after STARTTLS", imap("OK"), false],
  ["pop3", pop3("+OK"), true],
  ["smtp", smtp("235 ok"), true],
] as const)("%s: back again, without a password said", async (_name, script, implicit) => {
  const it = await trial({ ...script, implicit });
  await it.server.close();
  expect((await it.ask()).result).toBe("unavailable");
  expect(it.alarms.at(-1)).toContain("Logins of its domain are put off");
  await minuteLater(it);
  await waitUntil("it was looked at", () => it.alarms.length > 1);
  expect(it.alarms.at(-1)).toContain("ECONNREFUSED");
  const back = await it.restart();
  await minuteLater(it);
  await lifted(it);
  expect(back.lines.filter((line) => /AUTH(ENTICATE)? |LOGIN |USER|PASS/.test(line))).toEqual([]);
  // Well: it is looked at no more, and logins find it.
  const { connections } = back;
  for (let minute = 0; minute < 5; minute++) await minuteLater(it);
  expect(back.connections).toBe(connections);
  expect((await it.ask()).result).toBe("right");
});

test("one that is there and no mail server stays down; one that is asked no more is looked at no more", async () => {
  let asked = true;
  const it = await trial({ ...imap("OK"), greeting: "220 mail ESMTP\r\n", isAsked: () => asked });
  await it.ask();
  for (let minute = 0; minute < 3; minute++) {
    const { connections } = it.server;
    // The look before it has ended, and its rest has begun.
    await waitUntil("it rests", () => it.clock.isAwaited());
    await minuteLater(it);
    await waitUntil("it was looked at", () => it.server.connections > connections);
    await Bun.sleep(20);
    expect(it.server.connections).toBe(connections + 1);
    expect(it.alarms.at(-1)).toContain("Passwords cannot be checked");
  }
  await waitUntil("it rests", () => it.clock.isAwaited());
  asked = false;
  const { connections } = it.server;
  for (let minute = 0; minute < 3; minute++) await minuteLater(it);
  expect(it.alarms.at(-1)).toBeNull();
  expect(it.server.connections).toBe(connections);
});

test("logins that find it down are looks too, and nothing is looked at after the end", async () => {
  const it = await trial(imap("OK"));
  await it.server.close();
  await it.ask();
  it.clock.turn(1000);
  it.clock.turn(58_000);
  await it.ask();
  const back = await it.restart();
  it.clock.turn(1000);
  await Bun.sleep(20);
  expect(back.connections).toBe(0);
  it.login.close();
  for (let minute = 0; minute < 3; minute++) await minuteLater(it);
  expect(back.connections).toBe(0);
});
