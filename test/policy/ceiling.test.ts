// What the operator set is a ceiling for administrators of domains: less may be set, never more, whichever way it is tried.
import { describe, expect, test } from "bun:test";
import { DOMAIN, gateway, put, RANGE, SENDER, senderNow, TENANT } from "./ceiling-kit.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

describe("a sender the operator has set", () => {
  const more: readonly (readonly [string, object, string])[] = [
    ["a higher limit", { limits: { per_hour: 101, per_day: 1000 } }, "limits.per_hour"],
    ["a limit taken away", { limits: { per_hour: null, per_day: 1000 } }, "limits.per_hour"],
    ["limits left out", { limits: {} }, "limits.per_day"],
    ["a higher limit of identities", { identity_limits: { per_minute: 6 } }, "identity_limits.per_minute"],
    ["no lock of identities", { lock: { ...SENDER.lock, identity: false } }, "lock.identity"],
    ["no lock of the sender", { lock: { ...SENDER.lock, sender: false } }, "lock.sender"],
    ["more spam before a lock", { lock: { ...SENDER.lock, spam: 6 } }, "lock.spam"],
    ["a shorter window", { lock: { ...SENDER.lock, window: "9m" } }, "lock.window"],
    ["a shorter lock", { lock: { ...SENDER.lock, timeout: "59m" } }, "lock.timeout"],
    ["more ends of locks", { lock: { ...SENDER.lock, max_unlocks: 3 } }, "lock.max_unlocks"],
    ["the lock section left out", { lock: {} }, "lock.sender"],
    ["less that is stopped", { block: [] }, "block"],
    ["something else that is stopped", { block: ["new-domains"] }, "block"],
    ["no archive", { archive: false }, "archive"],
    ["identities by a header", { identify_by: { header: "X-Who" } }, "identify_by"],
    ["rules of its own", { rules: ["virus"] }, "rules"],
    ["an exception from a rule", { except_rules: ["bulk-slow"] }, "except_rules"],
    ["an address of others to send as", { send_as: ["ceo@other.test"] }, "send_as[0]"],
    ["a domain of others to send as", { send_as: ["partner@elsewhere.test", "@other.test"] }, "send_as[1]"],
    ["another domain", { domain: "other.test" }, "domain"],
  ];
  test.each(more)("is not given %s", async (_name, over, field) => {
    const { settings } = await gateway();
    const before = settings.current().policy;
    expect(await put(settings, "sender", { ...SENDER, ...over }, TENANT)).toContain(`sender[0].${field} `);
    expect(settings.current().policy).toBe(before);
    // A log-in that is an address of a domain here stays with it, whoever asks.
    const expected = field === "domain" ? expect.stringContaining("set domain =") : "done";
    expect(await put(settings, "sender", { ...SENDER, ...over }, TESTER)).toEqual(expected);
  });

  test("is given less, and what was given less may come back up to the ceiling and no further", async () => {
    const { settings } = await gateway();
    const less = {
      ...SENDER,
      limits: { per_minute: 3, per_hour: 50, per_day: 1000, recipients_per_day: 9 },
      lock: { ...SENDER.lock, spam: 1, window: "1h", timeout: "2h", max_unlocks: 0 },
      block: ["macros", "new-domains"],
      send_as: [],
    };
    expect(await put(settings, "sender", less, TENANT)).toBe("done");
    expect(
      await put(settings, "sender", { ...less, limits: { per_hour: 101, per_day: 1000 } }, TENANT),
    ).toContain("100");
    expect(await put(settings, "sender", { ...SENDER, send_as: [] }, TENANT)).toBe("done");
  });

  test("switched off stays off; switched off by the domain's own, it may come back", async () => {
    const { settings } = await gateway();
    expect(await put(settings, "sender", { ...SENDER, enabled: false }, TENANT)).toBe("done");
    expect(await put(settings, "sender", SENDER, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...SENDER, enabled: false }, TESTER)).toBe("done");
    expect(await put(settings, "sender", SENDER, TENANT)).toContain("sender[0].enabled ");
    expect(await put(settings, "sender", { ...SENDER, login: "ANN@Shop.test" }, TENANT)).toContain("enabled");
  });

  test("keeps its ceiling when it is removed and added again, also over a restart", async () => {
    const store = new MemoryStore();
    const { settings } = await gateway(store);
    expect(await settings.remove("sender", "ann@shop.test", TENANT)).toBe(true);
    const fresh = { kind: "user", login: "ann@shop.test", domain: "shop.test", password_hash: CHEAP_HASH };
    const open = { ...fresh, limits: { per_hour: null } };
    expect(await put(settings, "sender", open, TENANT)).toContain("limits.per_hour");
    const again = await settingsOn(store);
    expect(await put(again, "sender", open, TENANT)).toContain("limits.per_hour");
    expect(await put(again, "sender", { ...SENDER, send_as: [] }, TENANT)).toBe("done");
    // The operator gives it up.
    expect(await again.remove("sender", "ann@shop.test", TESTER)).toBe(true);
    expect(await put(again, "sender", fresh, TENANT)).toBe("done");
    expect([...store.rows.keys()].filter((key) => key.startsWith("ceiling"))).toHaveLength(1);
  });

  test("the operator's later word counts, field by field", async () => {
    const { settings } = await gateway();
    expect(await put(settings, "sender", { ...SENDER, limits: { per_hour: 10, per_day: 10 } }, TENANT)).toBe(
      "done",
    );
    // The operator changes one limit of the two and leaves the other as it stands.
    expect(await put(settings, "sender", { ...SENDER, limits: { per_hour: 20, per_day: 10 } }, TESTER)).toBe(
      "done",
    );
    expect(
      await put(settings, "sender", { ...SENDER, limits: { per_hour: 21, per_day: 10 } }, TENANT),
    ).toContain("per_hour");
    expect(
      await put(settings, "sender", { ...SENDER, limits: { per_hour: 20, per_day: 1000 } }, TENANT),
    ).toBe("done");
  });

  test("that the domain's own administrators made is theirs, until the operator sets something", async () => {
    const { settings } = await gateway();
    const own = { kind: "user", login: "bob@shop.test", domain: "shop.test", password_hash: CHEAP_HASH };
    expect(await put(settings, "sender", { ...own, limits: { per_hour: 5 } }, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...own, identify_by: "envelope-sender" }, TENANT)).toBe("done");
    expect(await put(settings, "sender", { ...own, except_rules: ["bulk-slow"] }, TENANT)).toContain(
      "sender[0].except_rules ",
    );
    expect(await put(settings, "sender", { ...own, limits: { per_hour: 7 } }, TESTER)).toBe("done");
    expect(await put(settings, "sender", own, TENANT)).toContain("limits.per_hour");
    expect(senderNow(settings, "bob@shop.test")?.limits.per_hour).toBe(7);
  });
});

describe("what is not theirs at all", () => {
  test("address ranges are neither added, changed nor removed", async () => {
    const { settings } = await gateway();
    const before = settings.current().policy;
    expect(await put(settings, "sender", { ...RANGE, range: "198.51.100.0/28" }, TENANT)).toContain(
      "address ranges",
    );
    expect(await put(settings, "sender", { ...RANGE, archive: true }, TENANT)).toContain("address ranges");
    expect(await put(settings, "sender", { ...RANGE, limits: { per_hour: 1 } }, TENANT)).toContain(
      "address ranges",
    );
    expect(await settings.remove("sender", "192.0.2.0/28", TENANT)).toBe(false);
    expect(settings.current().policy).toBe(before);
  });

  test.each([
    [
      "another domain's sender",
      "sender",
      { ...SENDER, login: "eve@other.test", domain: "other.test", archive: false },
    ],
    [
      "another domain's sender, taken over",
      "sender",
      { ...SENDER, login: "eve@other.test", domain: "shop.test" },
    ],
    [
      "a log-in for an address of others",
      "sender",
      { kind: "user", login: "new@other.test", domain: "shop.test", password_hash: CHEAP_HASH },
    ],
    [
      "a log-in for all of another domain",
      "sender",
      { kind: "domain", domain: "other.test", password_hash: CHEAP_HASH },
    ],
    [
      "a log-in of its own, excepted from a rule",
      "sender",
      {
        kind: "user",
        login: "new@shop.test",
        domain: "shop.test",
        password_hash: CHEAP_HASH,
        except_rules: ["bulk-slow"],
      },
    ],
    ["a rule", "rule", { name: "mine", when: "client.tls", action: "accept" }],
    ["a listener", "listener", { name: "mine", listen: "127.0.0.1:2599" }],
    ["networks", "networks", { trusted: ["10.0.0.0/8"] }],
    ["delivery", "delivery", { smarthost: { host: "mine.example.org" } }],
    ["settings", "settings", { self_service: false }],
    ["a template", "template", { name: "lock-notice", subject: "x", text: "y" }],
    ["a hook", "hook", { name: "clamd", kind: "clamd", address: "127.0.0.1:1" }],
    ["a new domain", "domain", { name: "new.test" }],
    ["another domain's settings", "domain", { name: "other.test", outgoing: { enterprise: true } }],
    ["the domain's routes", "domain", { ...DOMAIN, routes: [{ host: "10.0.0.8" }] }],
    ["the domain switched off", "domain", { ...DOMAIN, enabled: false }],
    ["the domain's rules", "domain", { ...DOMAIN, rules: [] }],
  ] as const)("%s", async (_name, section, input) => {
    const { settings } = await gateway();
    const before = settings.current().policy;
    expect(await put(settings, section, input, TENANT)).not.toBe("done");
    expect(settings.current().policy).toBe(before);
  });

  test.each(["domain shop.test", "domain other.test", "sender eve@other.test"] as const)(
    "%s is not removed",
    async (id) => {
      const { settings } = await gateway();
      const [section = "", key = ""] = id.split(" ");
      expect(await settings.remove(section === "domain" ? "domain" : "sender", key, TENANT)).toBe(false);
    },
  );

  test("a whole document neither, of which a part would be theirs", async () => {
    const { settings } = await gateway();
    const before = settings.current().policy;
    const document = {
      sender: [{ ...SENDER, limits: { per_hour: 1, per_day: 1 } }],
      networks: { trusted: ["0.0.0.0/8"] },
    };
    expect((await settings.apply(document, { prune: false, actor: TENANT })).ok).toBe(false);
    expect((await settings.apply({ sender: [] }, { prune: true, actor: TENANT })).ok).toBe(false);
    expect(settings.current().policy).toBe(before);
  });
});

describe("outgoing mail of a domain", () => {
  const outgoing = (over: object) => ({ ...DOMAIN, outgoing: { ...DOMAIN.outgoing, ...over } });
  test.each([
    ["a bar lifted", { barred: false }, { barred: true }, "outgoing.barred"],
    ["a bar set", { barred: true }, {}, "outgoing.barred"],
    ["a part off", { require_tls: false }, {}, "outgoing.require_tls"],
    ["a part left to a mode that is off", { lock_identities: null }, {}, "outgoing.lock_identities"],
    ["enterprise mode off", { enterprise: false }, { enterprise: true }, "outgoing.from_must_exist"],
    [
      "a part of enterprise mode off",
      { enterprise: true, known_identities_only: false },
      { enterprise: true },
      "outgoing.known_identities_only",
    ],
    [
      "higher default limits",
      { default_limits: { per_minute: 11, per_hour: 100, recipients_per_day: 500 } },
      {},
      "outgoing.default_limits.per_minute",
    ],
    ["default limits left out", { default_limits: {} }, {}, "outgoing.default_limits.per_hour"],
    [
      "another web hook",
      { alerts: { webhook: { url: "http://127.0.0.1:1/", secret: "0123456789abcdef" } } },
      {},
      "outgoing.alerts.webhook",
    ],
    [
      "a gateway for short messages",
      { alerts: { ...DOMAIN.outgoing.alerts, sms: { url: "http://169.254.169.254/" } } },
      {},
      "outgoing.alerts.sms",
    ],
    [
      "another judge of passwords",
      { password_server: { protocol: "imap", host: "evil.example.org" } },
      {},
      "outgoing.password_server",
    ],
  ] as const)("%s", async (_name, over, operator, field) => {
    const { settings } = await gateway();
    expect(await put(settings, "domain", outgoing(operator), TESTER)).toBe("done");
    const before = settings.current().policy;
    expect(await put(settings, "domain", outgoing(over), TENANT)).toContain(`domain[0].${field} `);
    expect(settings.current().policy).toBe(before);
  });

  test("may be made stricter, and looser again up to the operator's", async () => {
    const { settings } = await gateway();
    const strict = outgoing({
      enterprise: true,
      default_limits: { per_minute: 1, per_hour: 2, recipients_per_day: 3 },
    });
    expect(await put(settings, "domain", strict, TENANT)).toBe("done");
    expect(await put(settings, "domain", outgoing({ abuse_contact: "abuse@shop.test" }), TENANT)).toBe(
      "done",
    );
    expect(await put(settings, "domain", outgoing({ require_tls: null }), TENANT)).toContain("require_tls");
  });
});
