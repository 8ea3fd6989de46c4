// A gateway with one domain, its sender and its address range, set by the operator; and the administrator of that domain.
import type { Actor, PolicySection, Settings } from "../../src/policy/settings.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

export const TENANT: Actor = { name: "keeper@shop.test", via: "console", ip: null, domains: ["shop.test"] };

export const DOMAIN = {
  name: "shop.test",
  routes: [{ host: "10.0.0.7" }],
  outgoing: {
    require_tls: true,
    lock_identities: true,
    default_limits: { per_minute: 10, per_hour: 100, recipients_per_day: 500 },
    alerts: {
      mail: ["a@shop.test"],
      webhook: { url: "https://hooks.example.org/x", secret: "0123456789abcdef" },
    },
  },
};

export const SENDER = {
  kind: "user",
  login: "ann@shop.test",
  domain: "shop.test",
  password_hash: CHEAP_HASH,
  send_as: ["partner@elsewhere.test"],
  limits: { per_hour: 100, per_day: 1000 },
  identity_limits: { per_minute: 5 },
  lock: { spam: 5, window: "10m", timeout: "1h", max_unlocks: 2, identity: true, sender: true },
  block: ["macros"],
  archive: true,
};

export const RANGE = { kind: "ip", range: "192.0.2.0/28", domain: "shop.test" };

export async function gateway(
  store = new MemoryStore(),
): Promise<{ settings: Settings; store: MemoryStore }> {
  const settings = await settingsOn(store);
  const made = await settings.apply(
    {
      domain: [DOMAIN, { name: "other.test" }],
      sender: [SENDER, RANGE, { ...SENDER, login: "eve@other.test", domain: "other.test" }],
    },
    { prune: false, actor: TESTER },
  );
  if (!made.ok) throw new Error(JSON.stringify(made.problems));
  return { settings, store };
}

export const put = async (settings: Settings, section: PolicySection, input: object, actor: Actor) => {
  const result = await settings.put(section, input, actor);
  return result.ok ? "done" : result.problems.map(({ path, message }) => `${path} ${message}`).join("; ");
};

export const senderNow = (settings: Settings, login = "ann@shop.test") =>
  settings.current().policy.sender.find((one) => one.login === login);
