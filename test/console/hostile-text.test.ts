// Subjects, names and addresses that strangers wrote: shown as text, isolated, their tricks made visible, never too long.
import { describe, expect, test } from "bun:test";
import { identityUrl } from "../../src/console/pages/identity-address.ts";
import { Foreign } from "../../src/console/parts/foreign-text.tsx";
import { administratorAt } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";
import { HOSTILE_NAME, LONG_SUBJECT, RTL_SUBJECT, SCRIPT_SUBJECT } from "./mail-scenarios.ts";

const HOSTILE_NAMES = [
  SCRIPT_SUBJECT,
  RTL_SUBJECT,
  HOSTILE_NAME,
  LONG_SUBJECT,
  "__proto__",
  "constructor",
  "../../admin?x=1#y",
  "\u2066\u202eclient\u2069 \u0000",
];

/** Identities, locks, their reasons, bans and one-time links, all as strangers would write them. */
async function hostileSenders(gateway: FakeGateway): Promise<readonly string[]> {
  const { outgoing } = gateway;
  const [sample] = outgoing.identities;
  const [lock] = outgoing.locks;
  const [ban] = outgoing.bans;
  if (sample === undefined || lock === undefined || ban === undefined) throw new Error("no samples");
  for (const name of HOSTILE_NAMES) {
    const { sender } = lock;
    const words = `rule "${name}": ${name}`;
    const bulk = sample.bulk.map((fact) => (Array.isArray(fact.value) ? { ...fact, value: [words] } : fact));
    outgoing.identities.push({ ...sample, sender, name, bulk });
    outgoing.locks.push({ ...lock, identity: name, words, by: name });
    outgoing.lockEvents.push({
      sender,
      identity: name,
      domain: lock.domain,
      at: lock.since,
      what: "locked",
      by: name,
      words,
      until: null,
    });
    outgoing.bans.push({ ...ban, network: `2001:db8::${outgoing.bans.length}/64`, logins: [name], words });
  }
  const keys = HOSTILE_NAMES.map((identity) => ({ sender: lock.sender, identity }));
  const tokens = await Promise.all(
    HOSTILE_NAMES.map((identity) =>
      gateway.services.links.create({
        kind: "unlock",
        subject: { sender: lock.sender, identity, since: String(lock.since) },
        validMs: 3_600_000,
      }),
    ),
  );
  const typed = encodeURIComponent(HOSTILE_NAME);
  return [
    ...keys.map(identityUrl),
    ...tokens.map((token) => `/unlock/${token}`),
    "/identities",
    `/identities?q=${typed}&sender=${typed}&domain=${typed}&locked=yes`,
    "/senders",
    `/senders?q=${typed}&domain=${typed}`,
    `/senders/new?kind=${typed}`,
    `/senders/${typed}/edit`,
    `/domains/${typed}/dkim`,
    `/domains/${typed}/outgoing`,
    "/domains/example.test/outgoing",
    "/domains/example.test/dkim",
    `/smtp-password/${typed}`,
    "/bans",
    "/templates",
  ];
}

async function allPages(): Promise<readonly (readonly [string, string])[]> {
  const gateway = await fakeGateway();
  const { browser } = administratorAt(gateway);
  const messages = await gateway.services.messageLog.search({ limit: 20 });
  const items = await gateway.services.quarantine.list({ limit: 20 });
  const paths = [
    "/",
    "/messages",
    `/messages?q=${encodeURIComponent('"><script>alert(9)</script>')}`,
    "/quarantine",
    `/quarantine?state=&rule=${encodeURIComponent('"><script>alert(9)</script>')}`,
    "/queue",
    "/audit",
    "/domains/%3Cscript%3Ealert(9)%3C%2Fscript%3E/edit",
    "/login?next=%22%3E%3Cscript%3Ealert(9)%3C/script%3E",
    ...messages.map((line) => `/messages/${line.id}`),
    ...(await hostileSenders(gateway)),
    ...items.flatMap((item) => [`/quarantine/${item.id}`, `/quarantine/${item.id}/delete`]),
  ];
  return Promise.all(paths.map(async (path) => [path, await (await browser.get(path)).text()] as const));
}

describe("pages full of hostile text", () => {
  test("hold no element and no attribute that came out of it", async () => {
    for (const [path, markup] of await allPages()) {
      const scripts = [...markup.matchAll(/<script[^>]*>/g)].map(([tag]) => tag);
      expect([
        path,
        scripts.filter((tag) => !/^<script src="\/assets\/[a-z]+-[0-9a-f]{12}\.js" defer="">$/.test(tag)),
      ]).toEqual([path, []]);
      expect(markup).not.toMatch(/<svg\/onload|<img src=x|<b>(?:invoice|info)<\/b>/);
      // What stands in a quoted value is text, whatever it looks like.
      expect(markup.replace(/="[^"]*"/g, "=")).not.toMatch(/<[a-z][^>]*\son[a-z]+\s*=/i);
    }
  });

  test("hold no raw control or direction character", async () => {
    for (const [path, markup] of await allPages()) {
      const odd = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u202a-\u202e\u2066-\u2069]/.exec(
        // What a form hands back unseen has to be what it was.
        markup.replace(/<title>.*?<\/title>|<input type="hidden"[^>]*>/gs, ""),
      );
      expect([path, odd?.[0] ?? null]).toEqual([path, null]);
    }
  });

  test("stay small however long a subject is", async () => {
    for (const [path, markup] of await allPages())
      expect([path, markup.length < 150_000]).toEqual([path, true]);
  });
});

describe("Foreign", () => {
  const render = (text: string, max?: number) =>
    String(Foreign(max === undefined ? { text } : { text, max }));

  test("escapes markup", () => {
    const shown = render(SCRIPT_SUBJECT);
    expect(shown).toContain("&lt;script&gt;");
    expect(shown).not.toContain("<script");
    expect(render(HOSTILE_NAME)).not.toContain("<svg");
  });

  test("isolates the direction and names what is invisible", () => {
    const shown = render(RTL_SUBJECT);
    expect(shown).toStartWith("<bdi>");
    for (const code of ["202E", "202C", "0000", "0007"]) expect(shown).toContain(`U+${code}`);
  });

  test("cuts long text between characters", () => {
    expect(render(LONG_SUBJECT).length).toBeLessThan(1600);
    expect(render("😀".repeat(300), 10)).toContain(`>${"😀".repeat(9)}…</bdi>`);
  });
});
