// From a document to the items that would be: reading, passwords, pruning, the checks of the whole. Changes nothing itself.
import type { ApplianceKey } from "../vault/appliance-key.ts";
import { crossCheck } from "./cross-check.ts";
import { DEFAULT_LISTENERS, untouchedDefaults } from "./default-listeners.ts";
import { refuseWeakPassword } from "./password-strength.ts";
import { type PasswordWork, passwordWork } from "./password-work.ts";
import { planChanges } from "./plan-changes.ts";
import {
  HIDDEN,
  isListSection,
  itemId,
  type PolicyItem,
  type PolicyItems,
  policyOf,
} from "./policy-document.ts";
import { cutProblems, type ReadDocument, readDocument, type WantedItem } from "./read-document.ts";
import { removalWarnings } from "./removed-domain.ts";
import { sealPassword } from "./sealed-password.ts";
import type { PolicyChange, PolicyProblem } from "./settings.ts";

/** What seals recoverable passwords. */
export type PasswordSeal = Pick<ApplianceKey, "seal" | "open">;

export interface DraftOptions {
  /** Remove the list items the document does not name. Listeners stay when it names none at all. */
  readonly prune: boolean;
  /** Compute the hashes of new passwords. False for a plan: it only shows that they change. */
  readonly hash: boolean;
  /** The document is a whole policy file, not one item: its listeners replace the ones the gateway started with. */
  readonly wholeFile: boolean;
  /** Left out or null: a new CRAM-MD5 password cannot be kept. */
  readonly seal?: PasswordSeal | null;
  /** Ids of stored items that cannot be read: to ask for one is a change, also where it reads as what is in force. */
  readonly unread?: ReadonlySet<string>;
  /** Left out: each password is worked on anew. */
  readonly passwords?: PasswordWork;
}

export type Draft =
  | {
      readonly ok: true;
      readonly items: PolicyItems;
      readonly changes: readonly PolicyChange[];
      readonly warnings: readonly string[];
      /** Ids of unread items that are saved anew. */
      readonly anew: ReadonlySet<string>;
    }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

type Settled = { readonly item: PolicyItem } | { readonly problem: PolicyProblem };

type SenderItem = PolicyItem & { readonly section: "sender" };

function storedSender(before: PolicyItems, key: string): SenderItem["value"] | undefined {
  const stored = before.get(itemId("sender", key));
  return stored?.section === "sender" ? stored.value : undefined;
}

/** Puts the hash in the place of a new password. One that belongs to the stored hash already changes nothing. */
async function settlePassword(
  wanted: WantedItem,
  before: PolicyItems,
  { hash, passwords }: { readonly hash: boolean; readonly passwords: PasswordWork },
): Promise<Settled> {
  const { item, password, path } = wanted;
  if (item.section !== "sender" || password === null) return { item };
  const storedHash = storedSender(before, item.key)?.password_hash;
  const withHash = (password_hash: string): Settled => ({
    item: { ...item, value: { ...item.value, password_hash } },
  });
  if (storedHash !== undefined && (await passwords.matches(password, storedHash)))
    return withHash(storedHash);
  const weak = refuseWeakPassword(password, item.value.login ?? item.key, [item.value.domain]);
  if (weak !== null) return { problem: { path: `${path}.password`, message: weak } };
  return withHash(hash ? await passwords.hash(password, item.key) : HIDDEN);
}

/** Puts the sealed form in the place of a new CRAM-MD5 password. */
function settleCramPassword(
  { cramPassword, path }: WantedItem,
  item: PolicyItem,
  { before, seal }: { readonly before: PolicyItems; readonly seal: PasswordSeal | null },
): Settled {
  if (item.section !== "sender" || cramPassword === null) return { item };
  const { cram_password: _, ...without } = item.value;
  const settled = sealPassword(
    {
      given: cramPassword,
      stored: storedSender(before, item.key)?.cram_password,
      login: item.value.login ?? item.key,
      near: [item.value.domain],
    },
    seal,
  );
  if (!settled.ok) return { problem: { path: `${path}.cram_password`, message: settled.message } };
  const { sealed } = settled;
  return { item: { ...item, value: sealed === undefined ? without : { ...without, cram_password: sealed } } };
}

async function settlePasswords(
  wanted: readonly WantedItem[],
  before: PolicyItems,
  { hash, seal = null, passwords = passwordWork() }: DraftOptions,
): Promise<{ readonly items: readonly PolicyItem[]; readonly problems: readonly PolicyProblem[] }> {
  const items: PolicyItem[] = [];
  const problems: PolicyProblem[] = [];
  // One after the other: each takes 19 MiB for some 20 ms off the main thread, and logins must not wait behind hundreds.
  for (const one of wanted) {
    const hashed = await settlePassword(one, before, { hash, passwords });
    const settled = "item" in hashed ? settleCramPassword(one, hashed.item, { before, seal }) : hashed;
    if ("item" in settled) items.push(settled.item);
    else problems.push(settled.problem);
  }
  return { items, problems };
}

/** The items that go: what a pruning document does not name, and the first listeners once a file names its own. */
function goneItems(before: PolicyItems, read: ReadDocument, options: DraftOptions): ReadonlySet<string> {
  const kept = new Set(read.wanted.map(({ item }) => itemId(item.section, item.key)));
  const gone = new Set<string>();
  if (options.prune) {
    for (const [id, item] of before) {
      const spared = item.section === "listener" && !read.named.has("listener");
      if (isListSection(item.section) && !spared && !kept.has(id)) gone.add(id);
    }
  }
  const ownListeners = read.wanted.some(({ item }) => item.section === "listener");
  if (options.wholeFile && ownListeners && untouchedDefaults(policyOf(before).listener)) {
    for (const { name } of DEFAULT_LISTENERS) {
      const id = itemId("listener", name);
      if (!kept.has(id)) gone.add(id);
    }
  }
  return gone;
}

/** The items without those. */
export function withoutIds(items: PolicyItems, ids: ReadonlySet<string>): PolicyItems {
  return ids.size === 0 ? items : new Map([...items].filter(([id]) => !ids.has(id)));
}

/** Works out what a document would change. */
export async function draftChange(
  before: PolicyItems,
  document: unknown,
  options: DraftOptions,
): Promise<Draft> {
  const read = readDocument(document, { current: policyOf(before), prune: options.prune });
  if (!read.ok) return read;
  const settled = await settlePasswords(read.value.wanted, before, options);
  const gone = goneItems(before, read.value, options);
  const items = new Map([...before].filter(([id]) => !gone.has(id)));
  for (const item of settled.items) items.set(itemId(item.section, item.key), item);
  const paths = new Map(read.value.wanted.map(({ item, path }) => [itemId(item.section, item.key), path]));
  const after = policyOf(items);
  const { problems, warnings: found } = crossCheck(after, paths);
  const all = [...settled.problems, ...problems];
  if (all.length > 0) return { ok: false, problems: cutProblems(all) };
  const warnings = [...found, ...removalWarnings(policyOf(before), after)];
  const anew = new Set([...paths.keys()].filter((id) => options.unread?.has(id)));
  return { ok: true, items, changes: planChanges(withoutIds(before, anew), items), warnings, anew };
}
