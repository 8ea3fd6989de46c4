// A password server that is down is looked at again until it answers: its alarm ends without a login of anybody, and few looks are made.
import { afterEach, expect, test } from "bun:test";
import { createDownServers } from "../../src/hooks/down-servers.ts";
import { silentLog } from "../../src/observe/log.ts";
import { waitUntil } from "../peers/run-command.ts";
import { TurnedClock } from "../queue/queue-kit.ts";
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

/** Servers behind a resolver that answers a look when `end` is called. */
function slowLook() {
  const clock = new TurnedClock(0);
  const alarms: (string | null)[] = [];
  const logged: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<never>();
  const answer = () => promise;
  const end = async (what: "nothing" | "a mistake of ours"): Promise<void> => {
    const nothing = { ok: false, failure: "nxdomain", words: "no such name" };
    if (what === "nothing") resolve(nothing as never);
    else reject(new TypeError("not an option"));
    await Bun.sleep(10);
  };
  const downs = createDownServers({
    resolver: { a: answer, aaaa: answer, mx: answer, txt: answer, ptr: answer, close() {} },
    clock,
    hostname: "gate.example.test",
    onAlarm: (_name, words) => void alarms.push(words),
    log: { ...silentLog, error: (_about: object, words?: string) => void logged.push(words ?? "") },
  });
  const server = {
    protocol: "imap",
    host: "mail.example.test",
    port: null,
    tls: "implicit",
    verifyCertificate: true,
  } as const;
  const look = async () => {
    downs.down(server, "no answer");
    for (let n = 0; n < 4; n++) {
      clock.step(clock.now() + 61_000);
      await Bun.sleep(2);
    }
  };
  return { downs, server, alarms, logged, look, end };
}

test.each(["answered", "stop"] as const)("a look that ends badly after %s raises nothing", async (before) => {
  const { downs, server, alarms, look, end } = slowLook();
  await look();
  if (before === "answered") downs.answered(server);
  else downs.stop();
  const { length } = alarms;
  await end("nothing");
  expect(alarms.slice(length)).toEqual([]);
});

test("a look that ends badly says what it found", async () => {
  const { alarms, logged, look, end } = slowLook();
  await look();
  await end("nothing");
  expect(alarms).toEqual([expect.stringContaining("no answer"), expect.stringContaining("no such name")]);
  expect(logged).toEqual([]);
});

test("a mistake of ours in a look is logged", async () => {
  const { alarms, logged, look, end } = slowLook();
  await look();
  await end("a mistake of ours");
  expect(logged).toEqual(["a password server could not be looked at"]);
  expect(alarms.length).toBe(1);
});
