// An alarm is told where what it is about is set, in the list's row and on its page, and the overview leads there.
import { expect, test } from "bun:test";
import { alarmPlaces, alarmsByDomain } from "../../src/console/alarm-places.ts";
import { createConsole } from "../../src/console/create-console.ts";
import type { Alarm } from "../../src/console/services.ts";
import { serverKey } from "../../src/hooks/mail-server-dialogue.ts";
import { domainSchema } from "../../src/policy/schema.ts";
import { passwordServerAddress } from "../../src/policy/still-asked.ts";
import { processorMs } from "../message/processor-time.ts";
import { browserOf } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

const ACTOR = { name: "test", via: "console", ip: "" } as const;
const ALARM_WORDS = "the very last words";

interface Case {
  readonly alarm: string;
  /** Pages on which it must stand: the list, and the page where it is set. */
  readonly told: readonly string[];
  /** Links of the overview's entry. */
  readonly links: readonly string[];
}

const OUTGOING = "/domains/shop.example.test/outgoing";
const CASES: readonly Case[] = [
  {
    alarm: 'clamd "clamd"',
    told: ["/settings/hooks", "/settings/hooks/clamd/edit"],
    links: ["/settings/hooks"],
  },
  {
    alarm: 'clamd size "clamd"',
    told: ["/settings/hooks", "/settings/hooks/clamd/edit"],
    links: ["/settings/hooks", "/listeners"],
  },
  { alarm: "password-server", told: ["/domains", OUTGOING], links: [OUTGOING] },
  { alarm: "web hook of shop.example.test", told: ["/domains", OUTGOING], links: [OUTGOING] },
  { alarm: "lock alerts of shop.example.test", told: ["/domains", OUTGOING], links: [OUTGOING] },
  { alarm: "short message gateway of shop.example.test", told: ["/domains", OUTGOING], links: [OUTGOING] },
  {
    alarm: "dkim gate1._domainkey.example.test",
    told: ["/domains", "/domains/example.test/dkim"],
    links: ["/domains/example.test/dkim"],
  },
  {
    alarm: "dkim key gate1._domainkey.example.test",
    told: ["/domains", "/domains/example.test/dkim"],
    links: ["/domains/example.test/dkim"],
  },
  {
    alarm: "call-out example.test",
    told: ["/domains", "/domains/example.test/edit"],
    links: ["/domains/example.test/edit"],
  },
  {
    alarm: "loop example.test",
    told: ["/domains", "/domains/example.test/edit"],
    links: ["/domains/example.test/edit"],
  },
  { alarm: "loop (smart host)", told: ["/settings/delivery"], links: ["/settings/delivery"] },
  { alarm: "disk-full", told: [], links: ["/settings"] },
  { alarm: 'clamd "other"', told: [], links: ["/settings/hooks"] },
  // No domains here: they have no pages.
  { alarm: "call-out le.test", told: [], links: ["/settings"] },
  { alarm: "loop gone.example", told: [], links: ["/settings"] },
];
const PAGES = [...new Set(CASES.flatMap(({ told }) => told))];

test("each alarm stands on the pages where it is set and on no other, with its time and words", async () => {
  const gateway = await fakeGateway();
  const { settings, clock } = gateway.services;
  const shop = settings.current().policy.domain.find(({ name }) => name === "shop.example.test");
  if (shop === undefined) throw new Error("no such domain");
  const server = { protocol: "imap", host: "imap.example.test" } as const;
  await settings.put("domain", { ...shop, outgoing: { ...shop.outgoing, password_server: server } }, ACTOR);
  const set = settings.current().policy.domain.find(({ name }) => name === "shop.example.test")?.outgoing;
  if (!set?.password_server) throw new Error("no password server");
  const key = serverKey(passwordServerAddress(set.password_server));
  let alarms: readonly Alarm[] = [];
  const app = createConsole({ ...gateway.services, alarms: () => alarms });
  const browser = browserOf(app, gateway, "administrator");
  const page = async (path: string): Promise<string> => (await browser.get(path)).text();
  for (const { alarm, told, links } of CASES) {
    const name = alarm === "password-server" ? `${alarm} ${key}` : alarm;
    alarms = [{ name, since: clock.now() - 180_000, words: ALARM_WORDS }];
    for (const path of PAGES) {
      const markup = await page(path);
      expect([alarm, path, markup.includes(ALARM_WORDS)]).toEqual([alarm, path, told.includes(path)]);
      if (told.includes(path))
        expect(markup).toMatch(/Since\s+<time [^>]*>[^<]+<\/time>: <bdi>the very last words/);
    }
    const overview = await page("/");
    const entry = overview.slice(
      overview.indexOf(ALARM_WORDS),
      overview.indexOf("</li>", overview.indexOf(ALARM_WORDS)),
    );
    expect([alarm, ...[...entry.matchAll(/href="([^"]+)"/g)].map(([, href]) => href)]).toEqual([
      alarm,
      ...links,
    ]);
  }
});

test("a hook with an alarm is not plainly on; one that is off says so; the size leads to the listeners too", async () => {
  const gateway = await fakeGateway();
  let alarms: readonly Alarm[] = [];
  const app = createConsole({ ...gateway.services, alarms: () => alarms });
  const browser = browserOf(app, gateway, "administrator");
  const row = async (): Promise<string> =>
    /<tr id="h-clamd".*?<\/tr>/s.exec(await (await browser.get("/settings/hooks")).text())?.[0] ?? "";
  expect(await row()).toContain(">On<");
  const alarm = (name: string): Alarm => ({ name, since: gateway.clock.now(), words: ALARM_WORDS });
  alarms = [alarm('clamd "clamd"')];
  expect(await row()).toContain(">Does not answer<");
  expect(await row()).not.toContain(">On<");
  const own = 'it answers and cannot scan: clamd answered "x ERROR"';
  alarms = [{ ...alarm('clamd "clamd"'), words: own }];
  expect(await row()).toContain(">Cannot scan<");
  expect(await row()).not.toContain(">Does not answer<");
  alarms = [alarm('clamd size "clamd"')];
  expect(await row()).toContain(">Takes too little<");
  expect(await row()).toContain('href="/listeners"');
  const [hook] = gateway.services.settings.current().policy.hook;
  await gateway.services.settings.put("hook", { ...hook, enabled: false }, ACTOR);
  expect(await row()).toContain(">Off<");
});

test.each([
  ["one server for all", 1],
  ["ten", 10],
  ["each its own", 2000],
] as const)("what 2000 domains have of alarms is found at once: password servers, %s", (_, servers) => {
  const hostOf = (i: number): string => `imap${i % servers}.example.test`;
  const domain = Array.from({ length: 2000 }, (_, i) =>
    domainSchema.parse({
      name: `d${i}.test`,
      outgoing: { password_server: { protocol: "imap", host: hostOf(i) } },
    }),
  );
  const keys = domain.flatMap(({ outgoing: { password_server } }) =>
    password_server === null ? [] : [serverKey(passwordServerAddress(password_server))],
  );
  const alarms: readonly Alarm[] = [...new Set(keys)].map((key) => ({
    name: `password-server ${key}`,
    since: 0,
    words: ALARM_WORDS,
  }));
  expect(alarms).toHaveLength(servers);
  const begun = processorMs();
  const standing = alarmsByDomain(alarms, { domain });
  const found = domain.map(({ name }) =>
    (["edit", "outgoing", "dkim"] as const).map((part) => standing({ domain: name, part }).length),
  );
  const places = alarms.map((alarm) => alarmPlaces(alarm, { domain })[0].href);
  const spent = processorMs() - begun;
  expect(found.every(([edit, outgoing, dkim]) => edit === 0 && outgoing === 1 && dkim === 0)).toBe(true);
  expect(places.every((href) => href.endsWith("/outgoing"))).toBe(true);
  // Alone some 10 ms. Each alarm worked out anew for each row is a walk over all domains: seconds.
  expect(spent).toBeLessThan(150);
});
