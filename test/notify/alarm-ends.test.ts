// The alarm of a domain's web hook or short message gateway ends, told, when the settings change what it is about or a trial gets through;
// what waits to be told then goes where the settings say.
import { expect, test } from "bun:test";
import { DAY, domainWith, lockNews, MINUTE, openGate } from "./outgoing-kit.ts";

const hookTo = (url: string) => ({ alerts: { webhook: { url } } });
const smsTo = (url: string) => ({ alerts: { sms: { url, to: "+43 1" } } });
const DEAD = "https://dead.example.org/";
const LIVE = "https://live.example.org/";

const WAYS = [
  ["webhook", "web hook of example.test", hookTo],
  ["sms", "short message gateway of example.test", smsTo],
] as const;

function answer({ url }: { readonly url: string }) {
  return url.startsWith(DEAD)
    ? { ok: false, status: null, retry: true, words: `${DEAD} cannot be reached` }
    : { ok: true, status: 200, retry: false, words: "answered 200" };
}

for (const [channel, name, to] of WAYS) {
  const changes = {
    "goes elsewhere": [domainWith(to(LIVE))],
    "is set no more": [domainWith({ alerts: { mail: ["admin@example.test"] } })],
    "is of a domain that is switched off": [{ ...domainWith(to(DEAD)), enabled: false }],
    "is of a domain that is gone": [],
  } as const;
  test.each(Object.entries(changes))(`${name} %s`, async (_what, domains) => {
    await using gate = await openGate([domainWith(to(DEAD))]);
    gate.answer = answer;
    gate.notices.locked(lockNews(gate.clock));
    await gate.turn(MINUTE);
    expect(gate.alarms.get(name)).toContain("cannot be reached");
    gate.domains = [...domains];
    expect([...gate.alarms]).toEqual([]);
    expect(gate.ended).toEqual([name]);
    await gate.turn(DAY);
    expect([...gate.alarms]).toEqual([]);
    const live = gate.posts.filter(({ url }) => url.startsWith(LIVE)).length;
    expect(live).toBe(domains[0]?.enabled === true && domains[0].outgoing.alerts[channel] !== null ? 1 : 0);
  });

  test(`${name}: a trial that gets through ends it, one that does not leaves it`, async () => {
    await using gate = await openGate([domainWith(to(DEAD))]);
    gate.answer = answer;
    gate.notices.locked(lockNews(gate.clock));
    await gate.turn(DAY);
    expect(gate.alarms.get(name)).toContain("Lost: alert about the lock of client-a");
    expect(await gate.notices.test("example.test", channel)).toMatchObject({ ok: false });
    expect([...gate.alarms.keys()]).toEqual([name]);
    gate.answer = () => answer({ url: LIVE });
    expect(await gate.notices.test("example.test", channel)).toMatchObject({ ok: true });
    expect([...gate.alarms]).toEqual([]);
    expect(gate.ended).toEqual([name]);
  });

  test(`${name}: the new place fails as well`, async () => {
    await using gate = await openGate([domainWith(to(DEAD))]);
    gate.answer = answer;
    gate.notices.locked(lockNews(gate.clock));
    await gate.turn(MINUTE);
    gate.domains = [domainWith(to(`${DEAD}other`))];
    expect([...gate.alarms]).toEqual([]);
    await gate.turn(30 * MINUTE);
    expect([...gate.alarms.keys()]).toEqual([name]);
    expect(gate.posts.at(-1)?.url).toContain("other");
  });
}
