// Whom the operator wants told stays told, and a sender that a domain administrator adds again has what the operator had set of it.
import { describe, expect, test } from "bun:test";
import type { Actor, Settings } from "../../src/policy/settings.ts";
import { gateway, put, SENDER, senderNow, TENANT } from "./ceiling-kit.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

describe("whom the operator wants told", () => {
  const told = {
    alerts: {
      mail: ["op@ops.test"],
      thresholds: { spam: 5, virus: 5, bulk: null, program: 5, window: "2h" },
    },
    report: { every: "weekly", to: ["op@ops.test"] },
    abuse_contact: "abuse@ops.test",
  };
  const domain = (over: object, alerts: object = {}, report: object = {}) => ({
    name: "told.test",
    outgoing: {
      ...told,
      ...over,
      alerts: { ...told.alerts, ...alerts },
      report: { ...told.report, ...report },
    },
  });
  const keeper: Actor = { ...TENANT, domains: ["told.test"] };
  const limits = (over: object) => ({ thresholds: { ...told.alerts.thresholds, ...over } });
  async function trial(): Promise<Settings> {
    const settings = await settingsOn(new MemoryStore());
    await settings.apply({ domain: [domain({})] }, { prune: false, actor: TESTER });
    return settings;
  }

  test("an abuse contact may be set, changed and emptied where the operator set none", async () => {
    const settings = await settingsOn(new MemoryStore());
    await settings.apply({ domain: [domain({ abuse_contact: null })] }, { prune: false, actor: TESTER });
    for (const abuse_contact of ["me@told.test", "you@told.test", null])
      expect(await put(settings, "domain", domain({ abuse_contact }), keeper)).toBe("done");
  });

  test.each<readonly [string, object, string]>([
    [
      "without the operator's address",
      domain({}, { mail: ["me@told.test"] }),
      "alerts.mail op@ops.test was chosen",
    ],
    ["nobody", domain({}, { mail: [] }), "alerts.mail op@ops.test was chosen"],
    ["no threshold for spam", domain({}, limits({ spam: null })), "alerts.thresholds.spam an administrator"],
    [
      "a higher one for malware",
      domain({}, limits({ virus: 6 })),
      "alerts.thresholds.virus an administrator",
    ],
    [
      "none for programs",
      domain({}, limits({ program: "none" })),
      "alerts.thresholds.program an administrator",
    ],
    [
      "more undelivered than by default",
      domain({}, limits({ undeliverable: 11 })),
      "alerts.thresholds.undeliverable an",
    ],
    ["a shorter window", domain({}, limits({ window: "1h" })), "alerts.thresholds.window is shorter"],
    ["no abuse contact", domain({ abuse_contact: null }), "abuse_contact was set by"],
    ["an abuse contact of its own", domain({ abuse_contact: "me@told.test" }), "abuse_contact was set by"],
    ["no report", domain({}, {}, { every: "off" }), "report.every an administrator"],
    ["a report to others alone", domain({}, {}, { to: ["me@told.test"] }), "report.to op@ops.test"],
  ])("%s: refused", async (_, input, words) => {
    const settings = await trial();
    expect(await put(settings, "domain", input, keeper)).toContain(`outgoing.${words}`);
    expect(settings.current().policy.domain[0]?.outgoing.alerts.mail.map(String)).toEqual(["op@ops.test"]);
  });

  test("others beside, of less, more often; and back to what the operator had set, by way of less", async () => {
    const settings = await trial();
    const more = domain(
      {},
      { mail: ["me@told.test", "op@ops.test"], ...limits({ spam: 2, bulk: 9, window: "1d" }) },
      { every: "daily", to: ["op@ops.test", "me@told.test"] },
    );
    expect(await put(settings, "domain", more, keeper)).toBe("done");
    expect(await put(settings, "domain", domain({}, { mail: ["me@told.test"] }), keeper)).toContain(
      "op@ops.test",
    );
    expect(await put(settings, "domain", domain({}), keeper)).toBe("done");
    expect(await put(settings, "domain", domain({}, { mail: [] }), TESTER)).toBe("done");
    expect(await put(settings, "domain", domain({}, { mail: ["me@told.test"] }), keeper)).toBe("done");
    expect(await put(settings, "domain", domain({}, { mail: [] }), keeper)).toBe("done");
  });
});

describe("a sender a domain administrator removed and adds again", () => {
  const bare = {
    kind: "user",
    login: "ann@shop.test",
    domain: "shop.test",
    password_hash: CHEAP_HASH,
    enabled: true,
  };
  async function removed(more: object = {}): Promise<{ settings: Settings; store: MemoryStore }> {
    const { settings, store } = await gateway();
    await settings.put(
      "rule",
      { name: "own", when: "client.tls", action: "mark", header: { name: "X-A", value: "b" } },
      TESTER,
    );
    expect(await put(settings, "sender", { ...SENDER, send_as: [], ...more }, TESTER)).toBe("done");
    expect(await settings.remove("sender", "ann@shop.test", TENANT)).toBe(true);
    return { settings, store };
  }

  test.each([["here"], ["after a restart"]])(
    "has what the operator had set, without naming it: %s",
    async (when) => {
      const { settings: first, store } = await removed({
        rules: ["own"],
        except_rules: ["bulk-slow"],
        identify_by: { header: "X-Id" },
        lock: { ...SENDER.lock, window: "90m", timeout: "2d" },
      });
      const settings = when === "here" ? first : await settingsOn(store);
      expect(await put(settings, "sender", { ...bare, login: "Ann@Shop.test" }, TENANT)).toBe("done");
      const now = senderNow(settings, "Ann@shop.test");
      expect(now).toMatchObject({
        limits: { per_hour: 100, per_day: 1000, per_minute: null },
        identity_limits: { per_minute: 5 },
        lock: { spam: 5, window: "5400s", timeout: "172800s", max_unlocks: 2, sender: true },
        block: ["macros"],
        archive: true,
        rules: ["own"],
        except_rules: ["bulk-slow"],
        identify_by: { header: "X-Id" },
      });
    },
  );

  test("may have less, and no more", async () => {
    const { settings } = await removed();
    expect(await put(settings, "sender", { ...bare, limits: { per_hour: 101 } }, TENANT)).toContain(
      "set 100",
    );
    expect(await put(settings, "sender", { ...bare, rules: ["own"] }, TENANT)).toContain(
      "rules are switched on",
    );
    expect(await put(settings, "sender", { ...bare, limits: { per_hour: 40 } }, TENANT)).toBe("done");
    expect(senderNow(settings)?.limits).toMatchObject({ per_hour: 40, per_day: 1000 });
  });

  test("one the operator had switched off stays off", async () => {
    const { settings } = await removed({ enabled: false });
    const { enabled: _, ...rest } = bare;
    expect(await put(settings, "sender", bare, TENANT)).toContain("switched off by an administrator");
    expect(await put(settings, "sender", rest, TENANT)).toBe("done");
    expect(senderNow(settings)?.enabled).toBe(false);
  });
});
