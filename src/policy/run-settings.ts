// The one way to change settings: console, API and plan/apply all end here. Owns the present snapshot; changes go one after the other.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { beyondDisk } from "./beyond-disk.ts";
import { createSnapshot } from "./create-snapshot.ts";
import { crossCheck } from "./cross-check.ts";
import { DEFAULT_LISTENERS } from "./default-listeners.ts";
import { type Draft, type DraftOptions, draftChange, type PasswordSeal, withoutIds } from "./draft-change.ts";
import { mayStill, NO_MORE } from "./may-still.ts";
import { newWarnings } from "./new-warnings.ts";
import { namesPasswords, type PasswordWork, passwordWork } from "./password-work.ts";
import { overruled, planChanges } from "./plan-changes.ts";
import { DEFAULT_ITEMS, isListSection, itemId, type PolicyItems, policyOf } from "./policy-document.ts";
import type { PolicyStore } from "./policy-store.ts";
import { sealedStore } from "./sealed-store.ts";
import type {
  Actor,
  ItemAddress,
  PlanResult,
  PolicyChange,
  PolicyProblem,
  PolicySection,
  Removal,
  Settings,
  WantedInput,
} from "./settings.ts";
import type { PolicySnapshot } from "./snapshot.ts";
import {
  type Ceilings,
  ceilingsAfter,
  heldSenders,
  type ItemsBefore,
  idsToSaveAnew,
  prunedUnread,
  readStored,
  removalOf,
  type StoredPolicy,
  settledIds,
  storedChanges,
  withoutItem,
} from "./stored-items.ts";
import { asSetBefore, beyondTenant } from "./tenant-change.ts";
import { createTurns } from "./turns.ts";
import { type Unread, type UnreadItem, unreadSettings } from "./unread.ts";
import { unusable } from "./unread-mail.ts";

export interface SettingsParts {
  readonly store: PolicyStore;
  readonly clock: Clock;
  readonly log: Log;
  /** A policy document for a gateway that has no settings yet. Without listeners in it, the default ones are made. */
  readonly initial?: unknown;
  /** Seals the passwords of CRAM-MD5: the appliance key. Without it none can be set. */
  readonly seal?: PasswordSeal;
  /** The disk of the data directory, octets. Left out: nobody knows. */
  readonly disk?: () => { readonly free: number; readonly total: number };
}

/** The initial document cannot be used; `problems` says why, field by field. */
export class InitialPolicyError extends Error {
  override readonly name = "InitialPolicyError";
  readonly problems: readonly PolicyProblem[];
  constructor(problems: readonly PolicyProblem[]) {
    super(`The initial policy cannot be used: ${problems.map((p) => `${p.path}: ${p.message}`).join("; ")}`);
    this.problems = problems;
  }
}

const SYSTEM: Actor = { name: "first start", via: "system", ip: null };

function planResult(draft: Draft): PlanResult {
  return draft.ok ? { ok: true, changes: draft.changes, warnings: draft.warnings } : draft;
}

interface ChangeOptions extends Pick<DraftOptions, "prune" | "wholeFile"> {
  readonly actor: Actor;
  /** Of a file: the items when it was handed in. */
  readonly begun?: PolicyItems;
}

interface TurnOptions {
  readonly passwords: PasswordWork;
  readonly areWorkedOut?: boolean;
}

class RunningSettings implements Settings {
  readonly #parts: SettingsParts;
  readonly #listeners = new Set<(now: PolicySnapshot, before: PolicySnapshot) => void>();
  readonly #followUps: (() => Promise<readonly string[]>)[] = [];
  /** Stored items this version cannot use; they can still be removed. */
  #refused: StoredPolicy["refused"];
  #items: PolicyItems;
  #ceilings: Ceilings;
  #snapshot: PolicySnapshot;
  readonly #turns = createTurns();
  /** Files that were handed in and are not carried out yet, and what those before them have set, item by item. */
  #files = 0;
  readonly #byFiles = new Map<string, unknown>();

  constructor(parts: SettingsParts, { items, refused, ceilings }: StoredPolicy) {
    this.#parts = parts;
    this.#ceilings = ceilings;
    this.#items = items;
    this.#refused = refused;
    this.#snapshot = this.#made(1);
  }

  #set(): ItemsBefore {
    return { items: this.#items, ceilings: this.#ceilings };
  }

  /** The snapshot of what is set now. */
  #made(version: number): PolicySnapshot {
    const beside = { unread: this.#unread(), held: heldSenders(this.#set()) };
    return createSnapshot(policyOf(this.#items), version, beside);
  }

  #unread(): Unread {
    const refused = [...this.#refused.values()];
    const rules = new Set(refused.flatMap(({ section, key }) => (section === "rule" ? [key] : [])));
    return unreadSettings([...refused, ...unusable(policyOf(this.#items), rules)]);
  }

  current(): PolicySnapshot {
    return this.#snapshot;
  }

  onChange(listener: (now: PolicySnapshot, before: PolicySnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  followUp(ask: () => Promise<readonly string[]>): void {
    this.#followUps.push(ask);
  }

  async plan(document: unknown, options: { readonly prune: boolean }): Promise<PlanResult> {
    const unread = idsToSaveAnew(this.#refused);
    const whole = { ...options, hash: false, wholeFile: true, seal: this.#parts.seal ?? null, unread };
    const draft = this.#fitting(await draftChange(this.#items, document, whole));
    if (!draft.ok) return draft;
    const pruned = prunedUnread(this.#refused, {
      ...options,
      document,
      items: this.#items,
      draft: draft.items,
    }).map(({ change }) => change);
    return planResult({
      ...draft,
      changes: [...(await this.#withBelongings(draft.changes)), ...(await this.#withBelongings(pruned))],
    });
  }

  async removal(section: PolicySection, key: string): Promise<Removal> {
    if (!isListSection(section) || !this.#items.has(itemId(section, key)))
      return { changes: [], warnings: [] };
    const after = withoutItem(this.#items, section, key);
    const changes = await this.#withBelongings(planChanges(this.#items, after));
    return { changes, warnings: newWarnings(policyOf(this.#items), policyOf(after)) };
  }

  whyKept(section: PolicySection, key: string, actor: Actor): string | null {
    if (!isListSection(section) || !this.#items.has(itemId(section, key))) return null;
    const [first] = this.#beyond([{ section, key }], withoutItem(this.#items, section, key), actor);
    return first?.message ?? null;
  }

  /** The changes with what goes beside the settings in their words. */
  #withBelongings(changes: readonly PolicyChange[]): Promise<readonly PolicyChange[]> {
    return Promise.all(
      changes.map(async (change) => {
        if (change.section !== "domain" || change.kind !== "remove") return change;
        const along = (await this.#parts.store.belongings?.(change.key)) ?? [];
        return {
          ...change,
          words: [...change.words, ...along.map((words) => `domain ${change.key}: ${words}`)],
        };
      }),
    );
  }

  async apply(
    document: unknown,
    options: { readonly prune: boolean; readonly actor: Actor },
  ): Promise<PlanResult> {
    // Whole documents: the one that came later wins, also where the earlier one had more to work out.
    const begun = this.#items;
    const wanted = (): WantedInput => ({ ok: true, input: document });
    this.#files++;
    try {
      return await this.#turns.take("files", () =>
        this.#change(wanted, { ...options, wholeFile: true, begun }),
      );
    } finally {
      if (--this.#files === 0) this.#byFiles.clear();
    }
  }

  put(section: PolicySection, input: unknown, actor: Actor): Promise<PlanResult> {
    return this.change({ section, key: "" }, () => ({ ok: true, input }), actor);
  }

  change(
    { section, key }: ItemAddress,
    want: (now: object | null) => WantedInput,
    actor: Actor,
  ): Promise<PlanResult> {
    const document = (): WantedInput => {
      const wanted = want(this.#items.get(itemId(section, key))?.value ?? null);
      if (!wanted.ok) return wanted;
      return { ok: true, input: { [section]: isListSection(section) ? [wanted.input] : wanted.input } };
    };
    return this.#change(document, { prune: false, wholeFile: false, actor });
  }

  remove(
    section: PolicySection,
    key: string,
    actor: Actor,
    only: (now: object | null) => boolean = () => true,
  ): Promise<boolean> {
    return this.#turns.take("changes", async () => {
      const id = itemId(section, key);
      if (!(await mayStill(actor)) || !only(this.#items.get(id)?.value ?? null)) return false;
      const refused = this.#refused.get(id);
      if (refused !== undefined) {
        if (actor.domains !== undefined) return false;
        // A domain nobody can read takes its senders along as well.
        const rest = isListSection(section)
          ? withoutItem(this.#items, section, key)
          : withoutIds(this.#items, new Set([id]));
        // What reads but for a secret is an item as well, and goes as one.
        await this.#save(rest, actor, { gone: this.#items.has(id) ? [] : [refused] });
        return true;
      }
      if (!isListSection(section) || !this.#items.has(id)) return false;
      const items = withoutItem(this.#items, section, key);
      if (this.#beyond(planChanges(this.#items, items), items, actor).length > 0) return false;
      await this.#save(items, actor);
      return true;
    });
  }

  /**
   * `document` is asked in its turn. Hundreds of passwords take a minute: they are worked out before it, those of one party one after the
   * other; who switches a sender off meanwhile does not wait for that, and is not overruled by it.
   */
  async #change(document: () => WantedInput, options: ChangeOptions): Promise<PlanResult> {
    const passwords = passwordWork();
    let result = await this.#changeNow(document, { ...options, passwords });
    if ("passwordsOf" in result) {
      const { passwordsOf } = result;
      const { prune, wholeFile, actor } = options;
      const draft = { prune, wholeFile, hash: true, seal: this.#parts.seal ?? null, passwords };
      await this.#turns.take(`passwords ${actor.name}`, () => draftChange(this.#items, passwordsOf, draft));
      result = await this.#changeNow(document, { ...options, passwords, areWorkedOut: true });
    }
    if ("passwordsOf" in result) throw new Error("passwords were asked for twice");
    if (!result.ok) return result;
    const unfinished = (await Promise.all(this.#followUps.map((ask) => ask()))).flat();
    return unfinished.length === 0 ? result : { ...result, unfinished };
  }

  /** In its turn. Comes back with the document instead, and nothing done, when passwords of it are to be worked out first. */
  #changeNow(
    document: () => WantedInput,
    { actor, begun, areWorkedOut = false, ...options }: ChangeOptions & TurnOptions,
  ): Promise<PlanResult | { readonly passwordsOf: unknown }> {
    return this.#turns.take("changes", async () => {
      const wanted = document();
      if (!wanted.ok) return wanted;
      if (!areWorkedOut && namesPasswords(wanted.input)) return { passwordsOf: wanted.input };
      const before = asSetBefore(wanted.input, this.#set(), actor);
      const seal = this.#parts.seal ?? null;
      const unread = idsToSaveAnew(this.#refused);
      const drafted = this.#fitting(
        await draftChange(this.#items, before, { ...options, hash: true, seal, unread }),
      );
      if (!drafted.ok) return drafted;
      const pruned = prunedUnread(this.#refused, {
        prune: options.prune,
        document: wanted.input,
        items: this.#items,
        draft: drafted.items,
      });
      if (drafted.changes.length + pruned.length === 0) return planResult(drafted);
      const changes = [...drafted.changes, ...pruned.map(({ change }) => change)];
      const file = begun === undefined ? null : { begun, byFiles: this.#byFiles };
      const late = file === null ? [] : overruled(drafted.changes, file, this.#items);
      if (late.length > 0) return { ok: false, problems: late };
      const draft = { ...drafted, changes: await this.#withBelongings(changes) };
      const beyond = this.#beyond(draft.changes, draft.items, actor);
      if (beyond.length > 0) return { ok: false, problems: beyond };
      if (!(await mayStill(actor))) return { ok: false, problems: [NO_MORE] };
      await this.#save(draft.items, actor, { anew: draft.anew, gone: pruned.map(({ item }) => item) });
      for (const { section, key } of file === null ? [] : drafted.changes)
        this.#byFiles.set(itemId(section, key), this.#items.get(itemId(section, key))?.value);
      return planResult(draft);
    });
  }

  /** The draft, unless it would stop all mail at once for want of space. */
  #fitting(draft: Draft): Draft {
    if (!draft.ok || this.#parts.disk === undefined) return draft;
    const problem = beyondDisk(policyOf(this.#items), policyOf(draft.items), this.#parts.disk);
    return problem === null ? draft : { ok: false, problems: [problem] };
  }

  #beyond(
    changes: readonly Pick<PolicyChange, "section" | "key">[],
    after: PolicyItems,
    actor: Actor,
  ): readonly PolicyProblem[] {
    return beyondTenant(changes, { before: this.#set(), after, refused: this.#refused, actor });
  }

  /** Stores, then swaps: a change that could not be stored is not in force, and what is in force survives a restart. */
  async #save(
    items: PolicyItems,
    actor: Actor,
    {
      anew = new Set(),
      gone = [],
    }: { readonly anew?: ReadonlySet<string>; readonly gone?: readonly UnreadItem[] } = {},
  ): Promise<void> {
    const changes = await this.#withBelongings(planChanges(withoutIds(this.#items, anew), items));
    const was = { ...this.#set(), unread: this.#refused, byOperator: actor.domains === undefined };
    const stored = storedChanges(changes, was, items);
    const all = [...gone.map(removalOf), ...stored];
    await this.#parts.store.save(all, actor, this.#parts.clock.now());
    const before = this.#snapshot;
    this.#ceilings = ceilingsAfter(this.#ceilings, stored);
    const settled = settledIds(all);
    this.#refused = new Map([...this.#refused].filter(([id]) => !settled.has(id)));
    this.#items = new Map([...DEFAULT_ITEMS, ...items]);
    this.#snapshot = this.#made(before.version + 1);
    for (const change of changes) {
      const fields = {
        section: change.section,
        key: change.key,
        kind: change.kind,
        actor: actor.name,
        via: actor.via,
      };
      this.#parts.log.info({ ...fields, words: change.words }, "policy changed");
    }
    for (const listener of this.#listeners) {
      try {
        listener(this.#snapshot, before);
      } catch (error) {
        this.#parts.log.error({ err: error }, "a part of the gateway could not take over changed settings");
      }
    }
  }
}

/** What a gateway starts with that has no settings yet. */
async function firstItems({ initial, seal }: SettingsParts): Promise<PolicyItems> {
  const defaults = new Map(DEFAULT_ITEMS);
  for (const value of DEFAULT_LISTENERS) {
    defaults.set(itemId("listener", value.name), { section: "listener", key: value.name, value });
  }
  if (initial === undefined) return defaults;
  const options = { prune: false, hash: true, wholeFile: true, seal: seal ?? null };
  const draft = await draftChange(defaults, initial, options);
  if (!draft.ok) throw new InitialPolicyError(draft.problems);
  return draft.items;
}

/**
 * Loads the settings and makes them changeable.
 * @throws InitialPolicyError when there are none yet and `initial` cannot be used; StoreError when the store fails.
 */
export async function createSettings(given: SettingsParts): Promise<Settings> {
  const { seal, log } = given;
  const parts = seal === undefined ? given : { ...given, store: sealedStore(given.store, { seal, log }) };
  const stored = await parts.store.load();
  if (stored.length === 0) {
    const items = await firstItems(parts);
    const none = { items: new Map(), ceilings: new Map(), unread: new Map(), byOperator: true };
    const first = storedChanges(planChanges(new Map(), items), none, items);
    await parts.store.save(first, SYSTEM, parts.clock.now());
    const nothing = { refused: new Map(), ceilings: new Map() };
    return new RunningSettings(parts, { items, ...nothing });
  }
  const policy = readStored(stored);
  const { items, refused } = policy;
  for (const { section, key, problems } of refused.values()) {
    parts.log.error(
      { section, key, problems },
      "a stored setting cannot be used by this version; save it anew",
    );
  }
  for (const warning of crossCheck(policyOf(items), new Map()).warnings)
    parts.log.warn({ warning }, "policy warning");
  return new RunningSettings(parts, policy);
}
