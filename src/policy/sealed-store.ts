// Settings at rest: what is secret in them (smart host, web hook, SMS gateway) is sealed under the appliance key, so that a copy of the
// database gives nothing away. In memory and in every door they are as before. What an older version kept in clear is sealed at the start.
import type { Log } from "../observe/log.ts";
import type { PasswordSeal } from "./draft-change.ts";
import { isRecoverableAt } from "./policy-document.ts";
import type { PolicyStore, StoredItem } from "./policy-store.ts";

/** What a secret of the settings opens for. */
const PURPOSE = "setting";
const SEALED = "sealed:";

/** null: the setting falls away. */
type Change = (text: string, path: string) => string | null;

/** A copy with each secret text changed. `cram_password` is sealed for a purpose of its own already. */
function mapSecrets(value: unknown, change: Change, path = ""): unknown {
  if (Array.isArray(value)) return value.map((inner) => mapSecrets(inner, change, path));
  if (typeof value === "string") return isRecoverableAt(path) ? change(value, path) : value;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const at = path === "" ? key : `${path}.${key}`;
    return [key, mapSecrets(inner, change, at)] as const;
  });
  const lost = entries.some(([key, inner]) => inner === null && typeof Reflect.get(value, key) === "string");
  // Without its address a gateway for short messages is none.
  if (lost && path.endsWith("sms")) return null;
  return Object.fromEntries(lost ? entries.filter(([, inner]) => inner !== null) : entries);
}

/** The store with secrets sealed on their way in and opened on their way out. */
export function sealedStore(
  store: PolicyStore,
  { seal, log }: { readonly seal: PasswordSeal; readonly log: Log },
): PolicyStore {
  const close = (value: unknown): unknown => mapSecrets(value, (text) => seal.seal(text, PURPOSE));
  const openItem = (item: StoredItem): { readonly item: StoredItem; readonly plain: boolean } => {
    let plain = false;
    const lost: string[] = [];
    const value = mapSecrets(item.value, (text, path) => {
      if (!text.startsWith(SEALED)) {
        plain = true;
        return text;
      }
      const opened = seal.open(text, PURPOSE);
      if (opened === null) {
        lost.push(path);
        log.error(
          { section: item.section, key: item.key, setting: path },
          "a secret of the settings was sealed by another key and cannot be used; give it again",
        );
      }
      return opened;
    });
    return { item: { ...item, value, ...(lost.length > 0 ? { lost } : {}) }, plain };
  };
  return {
    // All else it tells, such as what goes with a domain, it tells as before.
    ...store,
    async load() {
      const opened = (await store.load()).map(openItem);
      const plain = opened
        .filter((one) => one.plain)
        .map(({ item }) => ({ ...item, value: close(item.value) }));
      if (plain.length > 0) await store.rewrite(plain);
      return opened.map(({ item }) => item);
    },
    save: (changes, actor, at) =>
      store.save(
        changes.map((change) => ({ ...change, value: close(change.value) })),
        actor,
        at,
      ),
    rewrite: (items) => store.rewrite(items.map((item) => ({ ...item, value: close(item.value) }))),
  };
}
