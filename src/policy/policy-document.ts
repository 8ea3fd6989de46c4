// The sections of a policy, the keys of their items, and a whole policy as items or as a document. No I/O.
import { stringify } from "smol-toml";
import { addressKey } from "../message/address.ts";
import { writeNone } from "./nullable-words.ts";
import { deliverySchema, networksSchema, POLICY_SCHEMAS, type Policy, settingsSchema } from "./schema.ts";
import type { PolicySection } from "./settings.ts";

/** Sections in the order people read them. */
export const POLICY_SECTIONS = [
  "listener",
  "networks",
  "domain",
  "sender",
  "rule",
  "template",
  "hook",
  "delivery",
  "settings",
] as const satisfies readonly PolicySection[];

/** What is shown instead of a secret; given as input it means: keep the stored one. */
export const HIDDEN = "***";

type ItemValue<S extends PolicySection> = Policy[S] extends readonly (infer Item)[] ? Item : Policy[S];

/** One stored item. `value` is the schema's output for its section; `key` is empty for sections that hold one object. */
export type PolicyItem = {
  [S in PolicySection]: { readonly section: S; readonly key: string; readonly value: ItemValue<S> };
}[PolicySection];

/** Items by `itemId`. */
export type PolicyItems = ReadonlyMap<string, PolicyItem>;

/** True for the sections that hold a list of items. */
export function isListSection(section: PolicySection): boolean {
  return section !== "networks" && section !== "delivery" && section !== "settings";
}

/** The section of that name, or null. */
export function policySection(name: string): PolicySection | null {
  return POLICY_SECTIONS.find((section) => section === name) ?? null;
}

function text(item: object, field: string): string {
  const value: unknown = Reflect.get(item, field);
  return typeof value === "string" ? value : "";
}

/**
 * What names an item within its section: the name; for a sender its login in lower case, its range, or `@domain`.
 * A changed key is another item, so the range of an IP sender cannot be edited (requirement O1).
 */
export function itemKey(section: PolicySection, item: object): string {
  if (!isListSection(section)) return "";
  if (section !== "sender") return text(item, "name");
  const kind = text(item, "kind");
  if (kind === "ip") return text(item, "range");
  return kind === "domain" ? `@${text(item, "domain")}` : addressKey(text(item, "login"));
}

/** The name of an item in the map of all items. */
export function itemId(section: PolicySection, key: string): string {
  return `${section} ${key}`;
}

/** The schema's defaults of the sections that hold one object. */
const DEFAULT_OBJECTS: Pick<Policy, "networks" | "delivery" | "settings"> = {
  networks: networksSchema.parse({}),
  delivery: deliverySchema.parse({}),
  settings: settingsSchema.parse({}),
};

/** Items that are always there: the sections that hold one object, with their defaults. */
export const DEFAULT_ITEMS: PolicyItems = new Map<string, PolicyItem>([
  [itemId("networks", ""), { section: "networks", key: "", value: DEFAULT_OBJECTS.networks }],
  [itemId("delivery", ""), { section: "delivery", key: "", value: DEFAULT_OBJECTS.delivery }],
  [itemId("settings", ""), { section: "settings", key: "", value: DEFAULT_OBJECTS.settings }],
]);

/** The policy that items make up. What is missing gets the schema's defaults. */
export function policyOf(items: PolicyItems): Policy {
  const all = [...items.values()];
  return {
    listener: all.filter((item) => item.section === "listener").map((item) => item.value),
    networks: all.find((item) => item.section === "networks")?.value ?? DEFAULT_OBJECTS.networks,
    domain: all.filter((item) => item.section === "domain").map((item) => item.value),
    sender: all.filter((item) => item.section === "sender").map((item) => item.value),
    rule: all.filter((item) => item.section === "rule").map((item) => item.value),
    template: all.filter((item) => item.section === "template").map((item) => item.value),
    hook: all.filter((item) => item.section === "hook").map((item) => item.value),
    delivery: all.find((item) => item.section === "delivery")?.value ?? DEFAULT_OBJECTS.delivery,
    settings: all.find((item) => item.section === "settings")?.value ?? DEFAULT_OBJECTS.settings,
  };
}

/** Leaves out null and undefined, which TOML cannot say and which are the defaults. */
function withoutNothing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNothing);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNothing(inner)]));
}

/** Settings that are secret wherever they stand: passwords and their hashes, and what web hooks are signed with. */
const SECRETS: ReadonlySet<string> = new Set(["password", "cram_password", "secret", "password_hash"]);

/** Is a setting of that name a secret, in clear text or as a hash? */
function isSecret(field: string): boolean {
  return SECRETS.has(field);
}

/** The address of a gateway for short messages has the account's key in it. */
function isKeyedAddress(within: string, field: string): boolean {
  return within === "sms" && field === "url";
}

/** The same for a whole path: `outgoing.alerts.sms.url`. */
export function isSecretAt(path: string): boolean {
  const [field = "", within = ""] = path.split(".").reverse();
  return isSecret(field) || isKeyedAddress(within, field);
}

/** Is the setting at that path a secret that must be readable again, and is kept sealed with the other settings? */
export function isRecoverableAt(path: string): boolean {
  const [field = "", within = ""] = path.split(".").reverse();
  return field === "password" || field === "secret" || isKeyedAddress(within, field);
}

/**
 * A copy with `***` instead of each secret text, however deep it stands, and of addresses with a key in them. `within` is the name of
 * the setting that `value` is.
 */
export function withoutSecrets(value: unknown, within = ""): unknown {
  if (Array.isArray(value)) return value.map((inner) => withoutSecrets(inner, within));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      (isSecret(key) || isKeyedAddress(within, key)) && typeof inner === "string"
        ? HIDDEN
        : withoutSecrets(inner, key),
    ]),
  );
}

/**
 * The whole policy as a document that `apply` takes: on an empty gateway it gives the same decisions.
 * Secrets (hashes of passwords, the smart host's password, passwords for CRAM-MD5, secrets of web hooks, addresses of SMS gateways) are
 * there as stored with `secrets: "keep"`, and `***` with `"hide"`, which an apply to the same gateway takes as "leave it".
 */
export function exportDocument(
  policy: Policy,
  options: { readonly secrets: "keep" | "hide" },
): Readonly<Record<string, unknown>> {
  const hide = options.secrets === "hide";
  const entries = POLICY_SECTIONS.map((section) => {
    const shown: unknown = hide ? withoutSecrets(policy[section]) : policy[section];
    const schema = POLICY_SCHEMAS[section];
    const said = Array.isArray(shown)
      ? shown.map((item) => writeNone(schema, item, { kept: false }))
      : writeNone(schema, shown, { kept: true });
    return [section, withoutNothing(said)] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => !Array.isArray(value) || value.length > 0));
}

/** `exportDocument` as TOML. */
export function exportToml(policy: Policy, options: { readonly secrets: "keep" | "hide" }): string {
  return `${stringify(exportDocument(policy, options)).trimEnd()}\n`;
}
