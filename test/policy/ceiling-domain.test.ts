// What the operator set for a domain is a ceiling also where a sender's own value takes its place, whoever made the sender and whenever.
import { describe, expect, test } from "bun:test";
import { planOf } from "../../src/outgoing/sending-plan.ts";
import type { Actor, Settings } from "../../src/policy/settings.ts";
import { put, senderNow, TENANT } from "./ceiling-kit.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const LIMITED = {
  limit_identities: true,
  default_limits: { per_minute: 2, per_hour: 4, recipients_per_day: 6 },
};
const domain = (outgoing: object) => ({ name: "shop.test", routes: [{ host: "10.0.0.7" }], outgoing });
const ann = { kind: "user", login: "ann@shop.test", domain: "shop.test", password_hash: CHEAP_HASH };
const bob = { ...ann, login: "bob@shop.test" };
const both: Actor = { ...TENANT, domains: ["shop.test", "free.test"] };

async function gateway(outgoing: object, store = new MemoryStore()): Promise<Settings> {
  const settings = await settingsOn(store);
  const document = {
    domain: [domain(outgoing), { name: "free.test" }, { name: "other.test" }],
    sender: [ann],
  };
  const made = await settings.apply(document, { prune: false, actor: TESTER });
  if (!made.ok) throw new Error(JSON.stringify(made.problems));
  return settings;
}

const planNow = (settings: Settings, key: string) => {
  const party = settings.current().partyOfKey(key);
  if (party === null) throw new Error(`no sender ${key}`);
  const { connections, recipients } = planOf(party).identity;
  return [...connections, ...(recipients === null ? [] : [recipients])].map(({ most }) => most);
};

const enterprise = { enterprise: true, default_limits: LIMITED.default_limits };
const locked = { lock_identities: true };
const least = { per_minute: 2, per_hour: 4, recipients_per_day: 6 };

describe("a value of a sender that takes the place of its domain's", () => {
  const pairs: readonly (readonly [string, object, object, object, string])[] = [
    // [what, the operator's of the domain, above it, as much as it, the field]
    [
      "a limit a minute",
      LIMITED,
      { identity_limits: { per_minute: 3 } },
      { identity_limits: { per_minute: 2 } },
      "identity_limits.per_minute",
    ],
    [
      "a limit an hour",
      LIMITED,
      { identity_limits: { ...least, per_hour: 1000 } },
      { identity_limits: least },
      "identity_limits.per_hour",
    ],
    [
      "a limit of recipients",
      LIMITED,
      { identity_limits: { recipients_per_day: 7 } },
      { identity_limits: { recipients_per_day: 1 } },
      "identity_limits.recipients_per_day",
    ],
    [
      "a limit, under enterprise mode",
      enterprise,
      { identity_limits: { per_minute: 1000 } },
      { identity_limits: { per_day: 1000 } },
      "identity_limits.per_minute",
    ],
    ["the spam that locks", locked, { lock: { spam: 6 } }, { lock: { spam: 1 } }, "lock.spam"],
    [
      "the spam that locks, under enterprise mode",
      enterprise,
      { lock: { spam: 10_000 } },
      { lock: { spam: 5 } },
      "lock.spam",
    ],
    [
      "the time it is counted over",
      locked,
      { lock: { window: "599s" } },
      { lock: { window: "600s" } },
      "lock.window",
    ],
    ["the time of a lock", locked, { lock: { timeout: "1s" } }, { lock: { timeout: "2h" } }, "lock.timeout"],
    ["the ends of locks", locked, { lock: { max_unlocks: 3 } }, { lock: { max_unlocks: 0 } }, "max_unlocks"],
    [
      "who counts as one, with limits",
      LIMITED,
      { identify_by: { header: "X-Who" } },
      { identify_by: "envelope-sender" },
      "identify_by",
    ],
    [
      "who counts as one, with locks",
      locked,
      { identify_by: [{ header: "X-Who" }] },
      { identify_by: "authenticated-user" },
      "identify_by",
    ],
  ];

  test.each(pairs)("%s: of a sender that is added", async (_, outgoing, more, asMuch, field) => {
    const settings = await gateway(outgoing);
    const before = settings.current().policy;
    const refused = await put(settings, "sender", { ...bob, ...more }, TENANT);
    expect(refused).toContain(`${field} an administrator of the gateway has set`);
    expect(refused).toContain("every identity of shop.test");
    expect(settings.current().policy).toBe(before);
    expect(await put(settings, "sender", { ...bob, ...asMuch }, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...bob, ...more }, TENANT)).toContain(field);
    expect(await put(settings, "sender", { ...bob, ...more }, TESTER)).toBe("done");
  });

  test.each(pairs)("%s: of a sender of the operator's", async (_, outgoing, more, __, field) => {
    const settings = await gateway(outgoing);
    expect(await put(settings, "sender", { ...ann, ...more }, TENANT)).toContain(`${field} `);
    expect(await settings.remove("sender", "ann@shop.test", TENANT)).toBe(true);
    expect(await put(settings, "sender", { ...ann, ...more }, TENANT)).toContain(`${field} `);
    expect(await put(settings, "sender", ann, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...ann, ...more }, TENANT)).toContain(`${field} `);
  });

  test.each(pairs)("%s: free where the domain's own have set it", async (_, outgoing, more) => {
    const settings = await gateway({});
    expect(await put(settings, "domain", domain(outgoing), TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...bob, ...more }, TENANT)).toBe("done");
  });

  test("the operator's own exception stands, and the domain's own may go up to it", async () => {
    const settings = await gateway(LIMITED);
    const big = { ...ann, identity_limits: { per_minute: 50 }, lock: { spam: 50 } };
    expect(await put(settings, "sender", big, TESTER)).toBe("done");
    const less = { ...ann, identity_limits: { per_minute: 40 } };
    expect(await put(settings, "sender", less, TENANT)).toBe("done");
    expect(await put(settings, "sender", big, TENANT)).toBe("done");
    expect(planNow(settings, "ann@shop.test")).toEqual([50, 4, 6]);
    expect(await put(settings, "sender", { ...big, identity_limits: { per_minute: 51 } }, TENANT)).toContain(
      "set 50; you may set less",
    );
    expect(
      await put(settings, "sender", { ...big, identity_limits: { per_minute: 50, per_hour: 5 } }, TENANT),
    ).toContain("identity_limits.per_hour an administrator of the gateway has set 4 for every identity");
  });

  test("the operator's stays the measure after the domain's own set less, and over a restart", async () => {
    const store = new MemoryStore();
    const settings = await gateway(LIMITED, store);
    const less = { ...LIMITED, default_limits: { ...LIMITED.default_limits, per_minute: 1 } };
    expect(await put(settings, "domain", domain(less), TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...bob, identity_limits: { per_minute: 2 } }, TENANT)).toBe(
      "done",
    );
    const again = await settingsOn(store);
    expect(await put(again, "sender", { ...bob, identity_limits: { per_minute: 3 } }, TENANT)).toContain(
      "has set 2 for every identity",
    );
    expect(planNow(again, "bob@shop.test")).toEqual([2, 4, 6]);
  });
});

describe("a sender of another domain that writes for it", () => {
  const free = { ...ann, login: "joe@free.test", domain: "free.test" };
  test.each([
    ["@shop.test", "lock.spam", { lock: { spam: 10_000 } }],
    ["ann@shop.test", "lock.window", { lock: { window: "1s" } }],
    ["bob@shop.test", "lock.max_unlocks", { lock: { max_unlocks: 9 } }],
    ["@shop.test", "identify_by", { identify_by: { header: "X-Who" } }],
  ])("as %s: %s", async (grant, field, over) => {
    const settings = await gateway(enterprise);
    const joe = { ...free, send_as: [grant] };
    expect(await put(settings, "sender", { ...joe, ...over }, both)).toContain(`sender[0].${field} `);
    expect(await put(settings, "sender", { ...free, ...over }, both)).toBe("done");
    expect(await put(settings, "sender", { ...joe, ...over }, both)).toContain(`sender[0].${field} `);
    // Its limits are of its own domain's mail; those of the other domain hold for that one's.
    expect(await put(settings, "sender", { ...joe, identity_limits: { per_minute: 99 } }, both)).toBe("done");
    expect(await put(settings, "sender", { ...joe, ...over }, TESTER)).toBe("done");
  });

  test("is locked as the product locks, where its own was there first", async () => {
    const settings = await gateway({});
    const joe = { ...free, send_as: ["@shop.test"], lock: { spam: 10_000 } };
    expect(await put(settings, "sender", joe, both)).toBe("done");
    const spam = () => {
      const party = settings.current().partyOfKey("joe@free.test");
      return party === null ? null : planOf(party).lock.spam;
    };
    expect(spam()).toBe(10_000);
    expect(await put(settings, "domain", domain(enterprise), TESTER)).toBe("done");
    expect(spam()).toBe(5);
  });
});

describe("a value that was there before the operator's", () => {
  const own = {
    ...bob,
    identity_limits: { per_minute: 1000, per_hour: 3, per_day: 5000 },
    lock: { spam: 10_000, window: "1s", timeout: "1s", max_unlocks: 1000, identity: false },
  };
  const store = new MemoryStore();

  test("does not hold against it; what is set stays to be read, and comes back when the operator lets go", async () => {
    const settings = await gateway({}, store);
    expect(await put(settings, "sender", own, TENANT)).toBe("done");
    expect(planNow(settings, "bob@shop.test")).toEqual([1000, 3, 5000]);
    expect(await put(settings, "domain", domain({ ...LIMITED, lock_identities: true }), TESTER)).toBe("done");
    expect(planNow(settings, "bob@shop.test")).toEqual([2, 3, 5000, 6]);
    const party = settings.current().partyOfKey("bob@shop.test");
    expect(party === null ? null : planOf(party).lock).toMatchObject({
      identity: true,
      spam: 5,
      windowMs: 600_000,
      timeoutMs: 3_600_000,
      maxTimeouts: 2,
    });
    expect(senderNow(settings, "bob@shop.test")?.identity_limits.per_minute).toBe(1000);
    const refused = await put(settings, "sender", { ...own, archive: true }, TENANT);
    for (const field of ["identity_limits.per_minute", "lock.spam", "lock.window", "lock.timeout"])
      expect(refused).toContain(`sender[0].${field} `);
  });

  test("nor after a restart", async () => {
    const settings = await settingsOn(store);
    expect(planNow(settings, "bob@shop.test")).toEqual([2, 3, 5000, 6]);
    expect(await put(settings, "domain", domain({}), TESTER)).toBe("done");
    expect(planNow(settings, "bob@shop.test")).toEqual([1000, 3, 5000]);
  });

  test("holds where the operator gave it", async () => {
    const settings = await gateway({});
    expect(await put(settings, "sender", { ...bob, archive: true }, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...bob, identity_limits: { per_minute: 70 } }, TESTER)).toBe(
      "done",
    );
    expect(await put(settings, "domain", domain(LIMITED), TESTER)).toBe("done");
    expect(planNow(settings, "bob@shop.test")).toEqual([70, 4, 6]);
  });
});

describe("the same by way of", () => {
  const device = { ...ann, login: "scanner1", send_as: ["scan@shop.test"] };

  test.each([
    ["TLS only", { require_tls: true }, {}],
    ["enterprise mode", { enterprise: true }, { require_tls: true }],
    ["a limit", LIMITED, { limit_identities: true }],
  ])("another domain without what the operator set for the sender's: %s", async (_, outgoing, free) => {
    const settings = await gateway(outgoing);
    expect(await put(settings, "sender", device, TESTER)).toBe("done");
    expect(await put(settings, "domain", { name: "free.test", outgoing: free }, TESTER)).toBe("done");
    const moved = { ...device, domain: "free.test" };
    expect(await put(settings, "sender", moved, both)).toContain("sender[0].domain is shop.test for this");
    expect(await settings.remove("sender", "scanner1", both)).toBe(true);
    expect(await put(settings, "sender", moved, both)).toContain("sender[0].domain is shop.test for this");
    expect(await put(settings, "domain", { name: "free.test", outgoing }, TESTER)).toBe("done");
    expect(await put(settings, "sender", moved, both)).toBe("done");
  });

  test.each([{ rules: ["macros"] }, { block: ["macros"] }])(
    "taking away the log-in whose rules hold for all of the domain: %p",
    async (set) => {
      const settings = await gateway({});
      const whole = { kind: "domain", domain: "shop.test", password_hash: CHEAP_HASH };
      expect(await put(settings, "sender", { ...whole, ...set }, TESTER)).toBe("done");
      expect(await settings.remove("sender", "@shop.test", TENANT)).toBe(false);
      expect(settings.whyKept("sender", "@shop.test", TENANT)).toContain("for everybody of the domain");
      expect(settings.whyKept("sender", "ann@shop.test", TENANT)).toBeNull();
      expect(settings.whyKept("sender", "@shop.test", TESTER)).toBeNull();
      expect(await put(settings, "sender", { ...whole, ...set, enabled: false }, TENANT)).toContain(
        "sender[0].enabled has rules or blocks",
      );
      expect(await put(settings, "sender", { ...whole, ...set, limits: { per_day: 1 } }, TENANT)).toBe(
        "done",
      );
      expect(await settings.remove("sender", "@shop.test", TESTER)).toBe(true);
      expect(await put(settings, "sender", { ...whole, block: ["macros"] }, TENANT)).toBe("done");
      expect(await settings.remove("sender", "@shop.test", TENANT)).toBe(true);
    },
  );

  test("report addresses, which take the report from those of the alerts", async () => {
    const told = { alerts: { mail: ["op@ops.test"] }, report: { every: "weekly" } };
    const settings = await gateway(told);
    const report = (to: readonly string[]) => domain({ ...told, report: { every: "weekly", to } });
    expect(await put(settings, "domain", report(["me@shop.test"]), TENANT)).toContain(
      "outgoing.report.to op@ops.test was chosen",
    );
    expect(await put(settings, "domain", report(["me@shop.test", "op@ops.test"]), TENANT)).toBe("done");
    expect(await put(settings, "domain", report([]), TENANT)).toBe("done");
  });
});
