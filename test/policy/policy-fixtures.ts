// Policies and settings for tests, made through the same door as real ones.
import type { MailAddress } from "../../src/message/address.ts";
import { parseAddress } from "../../src/message/address.ts";
import type { Client } from "../../src/message/envelope.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createSnapshot } from "../../src/policy/create-snapshot.ts";
import { draftChange } from "../../src/policy/draft-change.ts";
import { DEFAULT_ITEMS, policyOf } from "../../src/policy/policy-document.ts";
import {
  CEILINGS,
  type PolicyStore,
  type StoredChange,
  type StoredItem,
} from "../../src/policy/policy-store.ts";
import { createSettings, type SettingsParts } from "../../src/policy/run-settings.ts";
import type { Policy } from "../../src/policy/schema.ts";
import type { Actor, Settings } from "../../src/policy/settings.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";

export const TESTER: Actor = { name: "tester", via: "cli", ip: null };

/** An argon2id hash that takes next to no time: of "tulip magnet forty". */
export const CHEAP_HASH = await Bun.password.hash("tulip magnet forty", {
  algorithm: "argon2id",
  memoryCost: 64,
  timeCost: 1,
});

export function address(text: string): MailAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

export async function policyFrom(document: unknown): Promise<Policy> {
  const draft = await draftChange(DEFAULT_ITEMS, document, { prune: false, hash: true, wholeFile: true });
  if (!draft.ok) throw new Error(JSON.stringify(draft.problems));
  return policyOf(draft.items);
}

export async function snapshotOf(document: unknown): Promise<PolicySnapshot> {
  return createSnapshot(await policyFrom(document), 1);
}

export function client(over: Partial<Client> = {}): Client {
  return {
    ip: "198.51.100.9",
    port: 4025,
    helo: "client.example.org",
    hostname: null,
    tls: null,
    login: null,
    ...over,
  };
}

/** A store in memory that keeps what the real one keeps: JSON. */
export class MemoryStore implements PolicyStore {
  readonly rows = new Map<string, StoredItem>();
  readonly audit: { readonly actor: string; readonly at: number; readonly words: readonly string[] }[] = [];
  failure: Error | null = null;
  delayMs = 0;

  async load(): Promise<readonly StoredItem[]> {
    return [...this.rows.values()].map((row): StoredItem => JSON.parse(JSON.stringify(row)));
  }

  async rewrite(items: readonly StoredItem[]): Promise<void> {
    for (const item of items) this.rows.set(`${item.section} ${item.key}`, item);
  }

  async save(changes: readonly StoredChange[], actor: Actor, at: number): Promise<void> {
    if (this.delayMs > 0) await Bun.sleep(this.delayMs);
    if (this.failure !== null) throw this.failure;
    for (const { section, key, value, change, ceiling } of changes) {
      const kept = { section: CEILINGS, key: `${section} ${key}` };
      if (ceiling === null) this.rows.delete(`${kept.section} ${kept.key}`);
      else if (ceiling !== undefined)
        this.rows.set(`${kept.section} ${kept.key}`, { ...kept, value: ceiling });
      if (change.kind === "remove") this.rows.delete(`${section} ${key}`);
      else this.rows.set(`${section} ${key}`, { section, key, value });
      this.audit.push({ actor: actor.name, at, words: change.words });
    }
  }
}

export function settingsOn(store: PolicyStore, more: Partial<SettingsParts> = {}): Promise<Settings> {
  return createSettings({
    store,
    clock: { now: () => 1_795_000_000_000, after: () => () => {} },
    log: silentLog,
    ...more,
  });
}
