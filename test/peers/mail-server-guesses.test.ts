// Guesses at one mailbox of a real Dovecot that makes whoever guesses wait, as it does by default: everybody else there logs in.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createMailServerLogin } from "../../src/hooks/mail-server-login.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { havePrograms } from "./run-command.ts";
import { type RunningLoginServer, runLoginServer } from "./run-login-server.ts";

const PASSWORD = "right-password-17";
const GUESSER = "203.0.113.50";
const OTHER = "198.51.100.61";

const noDns = () =>
  Promise.resolve({ ok: false as const, failure: "nxdomain" as const, words: "no DNS here" });
const resolver = { a: noDns, aaaa: noDns, mx: noDns, txt: noDns, ptr: noDns, close: () => {} };

const ready = havePrograms("guesses at a real mail server", ["dovecot", "/usr/lib/dovecot/imap-login"]);

describe.skipIf(!ready).each([
  ["with its defaults", null],
  ["that trusts the gateway's network", "127.0.0.0/8"],
])("guesses at a Dovecot %s", (_name, trustedNetworks) => {
  let dovecot: RunningLoginServer;
  beforeAll(async () => {
    dovecot = await runLoginServer(
      { "dick@a.test": PASSWORD, "sync@c.test": PASSWORD },
      { delays: true, trustedNetworks },
    );
  }, 120_000);
  afterAll(() => dovecot.dispose());

  const ways = [
    ["imap", "imaps"],
    ...(trustedNetworks === null ? [] : [["pop3", "pop3s"] as const, ["smtp", "submissions"] as const]),
  ] as const;
  test.each(ways)(
    "%s: six wrong passwords, and the right one of another domain's user",
    async (protocol, port) => {
      const alarms: (string | null)[] = [];
      const logins = createMailServerLogin({
        log: silentLog,
        resolver,
        clock: systemClock,
        hostname: "gate.example.test",
        onAlarm: (_alarm, words) => alarms.push(words),
      });
      const server = {
        protocol,
        host: "127.0.0.1",
        port: dovecot.ports[port],
        tls: "implicit",
        verifyCertificate: false,
      } as const;
      const ask = (login: string, password: string, client: string) =>
        logins.check({ server, cacheMs: 1000, login, password, client });
      const guesses = Array.from({ length: 6 }, (_, i) => ask("dick@a.test", `guess ${i}`, GUESSER));
      expect((await guesses[0])?.result).toBe("wrong");
      expect(await ask("sync@c.test", PASSWORD, OTHER)).toEqual({ result: "right" });
      for (const { result } of await Promise.all(guesses)) expect(["wrong", "busy"]).toContain(result);
      expect(alarms.filter((words) => words !== null)).toEqual([]);
      // The server counts by the client, where it takes our word for it.
      expect(dovecot.log().includes(`rip=${GUESSER}`)).toBe(trustedNetworks !== null);
    },
    120_000,
  );
});
