// Secrets of the policy: never shown in plans, exports for show or problems; `***` keeps what is stored. And templates, from door to door.
import { describe, expect, test } from "bun:test";
import { exportDocument, exportToml } from "../../src/policy/policy-document.ts";
import type { PlanResult } from "../../src/policy/settings.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const SECRET = "a web hook secret of ours";
const SMS_KEY = "key-of-the-account";
const sms = { url: `https://sms.example.org/send?key=${SMS_KEY}&to={to}&text={text}`, to: "+431234" };
const document = {
  domain: [
    {
      name: "a.test",
      outgoing: {
        alerts: {
          mail: ["admin@a.test"],
          webhook: { url: "https://hooks.example.org/a", secret: SECRET },
          sms,
        },
      },
    },
  ],
  delivery: { smarthost: { host: "192.0.2.25", user: "gate", password: "upstream word" } },
};

async function applied(more: object = {}) {
  const settings = await settingsOn(new MemoryStore());
  const result = await settings.apply({ ...document, ...more }, { prune: false, actor: TESTER });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { settings, result };
}

function words(result: PlanResult): string {
  return result.ok ? result.changes.flatMap((change) => change.words).join("\n") : "";
}

describe("secrets", () => {
  test("are in no plan and no export for show", async () => {
    const { settings, result } = await applied();
    const policy = settings.current().policy;
    const shown = [JSON.stringify(result), exportToml(policy, { secrets: "hide" })];
    for (const text of shown) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain("upstream word");
      expect(text).not.toContain(SMS_KEY);
      expect(text).toContain("***");
    }
    expect(words(result)).toContain("domain a.test: outgoing.alerts.webhook.secret set");
    expect(exportToml(policy, { secrets: "keep" })).toContain(SECRET);
  });

  test("that are hidden are kept when an export is applied again", async () => {
    const { settings } = await applied();
    const before = settings.current().policy;
    const hidden = exportDocument(before, { secrets: "hide" });
    const again = await settings.apply(hidden, { prune: true, actor: TESTER });
    expect(again.ok && again.changes).toEqual([]);
    expect(settings.current().policy).toEqual(before);
  });

  test("change, go and cannot be invented", async () => {
    const { settings } = await applied();
    const hook = (secret: unknown, name = "a.test") => ({
      domain: [
        {
          name,
          outgoing: {
            alerts: { mail: ["admin@a.test"], webhook: { url: "https://hooks.example.org/a", secret }, sms },
          },
        },
      ],
    });
    const plan = (document: object) => settings.plan(document, { prune: false });
    expect(words(await plan(hook("another secret of ours")))).toBe(
      "domain a.test: outgoing.alerts.webhook.secret changed",
    );
    expect(words(await plan(hook("")))).toBe("domain a.test: outgoing.alerts.webhook.secret removed");
    expect(words(await plan(hook("***")))).toBe("");
    expect(words(await plan(hook("***", "A.test.")))).toBe("");
    // Another address has none either: it must be given again for it.
    const moved = JSON.parse(JSON.stringify(hook("***")).replace("hooks.example.org", "evil.example.org"));
    const problems = async (document: object) => {
      const result = await plan(document);
      return result.ok ? [] : result.problems.map(({ path, message }) => `${path} ${message}`);
    };
    expect(await problems(moved)).toEqual([
      "domain[0].outgoing.alerts.webhook.secret must be given again: the stored one was given for another address, and signs nothing for a new one",
    ]);
    // Another domain has no secret to keep.
    expect(await problems(hook("***", "b.test"))).toEqual([
      expect.stringContaining(
        'webhook.secret is "***", which keeps what is stored, and this gateway has nothing stored',
      ),
    ]);
    const short = await plan(hook("short word"));
    expect(short.ok ? [] : short.problems).toEqual([
      {
        path: "domain[0].outgoing.alerts.webhook.secret",
        message: "must have at least 16 characters",
      },
    ]);
  });
});

describe("the address of an SMS gateway, which has a key in it", () => {
  const with_ = (change: object | null) => ({
    domain: [
      { name: "a.test", outgoing: { alerts: { ...document.domain[0]?.outgoing.alerts, sms: change } } },
    ],
  });

  test("is in no words of a change, whether it comes, changes or goes", async () => {
    const { settings } = await applied();
    const change = async (alert: object | null) => {
      const result = await settings.apply(with_(alert), { prune: false, actor: TESTER });
      expect(JSON.stringify(result)).not.toContain(SMS_KEY);
      return words(result);
    };
    expect(await change({ ...sms, url: sms.url.replace("{to}", "1") })).toBe(
      "domain a.test: outgoing.alerts.sms.url changed",
    );
    expect(await change(null)).toContain("outgoing.alerts.sms");
    expect(await change(sms)).toContain("outgoing.alerts.sms");
  });

  test("is kept where it is hidden, and none where there is none to keep", async () => {
    const { settings } = await applied();
    const same = await settings.plan(with_({ ...sms, url: "***", to: "+439999" }), { prune: false });
    expect(words(same)).toBe("domain a.test: outgoing.alerts.sms.to +431234 → +439999");
    await settings.apply(with_(null), { prune: false, actor: TESTER });
    const none = await settings.plan(with_({ ...sms, url: "***" }), { prune: false });
    expect(none.ok ? "" : none.problems[0]?.path).toBe("domain[0].outgoing.alerts.sms.url");
  });
});

describe("templates", () => {
  const template = [{ name: "our-notice", subject: "You are locked", text: "Call us." }];
  const sender = [{ login: "x@a.test", domain: "a.test", lock: { template: "our-notice" } }];

  test("come and change like any other item", async () => {
    const { settings, result } = await applied({ template, sender });
    expect(words(result)).toContain('template our-notice: subject "You are locked"');
    const put = await settings.put("template", { ...template[0], subject: "Locked" }, TESTER);
    expect(words(put)).toBe('template our-notice: subject "You are locked" → Locked');
    expect(exportToml(settings.current().policy, { secrets: "hide" })).toContain("[[template]]");
  });

  test("that go leave their senders the product's own", async () => {
    const { settings } = await applied({ template, sender });
    expect(await settings.remove("template", "our-notice", TESTER)).toBe(true);
    expect(settings.current().policy.template).toEqual([]);
    expect(settings.current().userSender("x@a.test")?.lock.template).toBe("lock-notice");
    expect(await settings.remove("template", "our-notice", TESTER)).toBe(false);
  });

  test("whose names are wrong say so", async () => {
    const settings = await settingsOn(new MemoryStore());
    const result = await settings.plan(
      { template: [{ name: "Our Notice", subject: "a\r\nBcc: b@a.test", text: "" }] },
      { prune: false },
    );
    expect(result.ok ? [] : result.problems.map(({ path }) => path)).toEqual([
      "template[0].name",
      "template[0].subject",
      "template[0].text",
    ]);
  });
});
