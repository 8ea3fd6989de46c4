// The DKIM keys in memory, as they are in gatepost.db: read once, changed one after the other, each change committed with its audit entry
// before it counts. What a change means is the caller's business.
import type { DatabaseReader, DatabaseWriter, Statement } from "../store/database.ts";
import {
  type DkimKeyRow,
  dkimKeyDelete,
  dkimKeyInsert,
  dkimKeyUpdate,
  loadDkimKeys,
} from "../store/dkim-rows.ts";
import { auditInsert } from "../store/run-accounts.ts";
import { statement } from "../store/statement.ts";

/** One row of a change. `audit`: what the audit log says, or null when nobody did it. */
export interface KeyChange {
  readonly kind: "add" | "update" | "remove";
  readonly row: DkimKeyRow;
  readonly audit: { readonly by: string; readonly action: string; readonly detail: string } | null;
}

export type DomainKeys = readonly DkimKeyRow[];
const NONE: DomainKeys = [];

export class KeyBook {
  readonly #db: DatabaseWriter;
  readonly #reader: DatabaseReader;
  readonly #now: () => number;
  #loading: Promise<void> | null = null;
  #byDomain: ReadonlyMap<string, DomainKeys> | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    readonly db: DatabaseWriter;
    readonly reader: DatabaseReader;
    readonly now: () => number;
  }) {
    this.#db = parts.db;
    this.#reader = parts.reader;
    this.#now = parts.now;
  }

  /** All keys by domain. Rejects when they cannot be read; the next call tries again. */
  async keys(): Promise<ReadonlyMap<string, DomainKeys>> {
    for (;;) {
      if (this.#byDomain !== null) return this.#byDomain;
      this.#loading ??= this.#load();
      await this.#loading;
    }
  }

  /** The keys of a domain, by selector. */
  async of(domain: string): Promise<DomainKeys> {
    return (this.#byDomain ?? (await this.keys())).get(domain) ?? NONE;
  }

  async find(domain: string, selector: string): Promise<DkimKeyRow | null> {
    return (await this.of(domain)).find((row) => row.selector === selector) ?? null;
  }

  /**
   * Runs `decide` over the domain's keys as they are then, and commits what it answers: all of it or nothing. Changes wait for one another.
   */
  change<Answer>(
    domain: string,
    decide: (rows: DomainKeys) => { readonly changes: readonly KeyChange[]; readonly answer: Answer },
  ): Promise<Answer> {
    const work = async (): Promise<Answer> => {
      const { changes, answer } = decide(await this.of(domain));
      if (changes.length === 0) return answer;
      await this.#db.commit(changes.flatMap((change) => this.#statements(change)));
      this.#apply(domain, changes);
      return answer;
    };
    const turn = this.#turn.then(work, work);
    this.#turn = turn;
    return turn;
  }

  /** The domain's keys are gone from the database: what was changed meanwhile does not bring them back. Returns what they were. */
  forget(domain: string): DomainKeys {
    const rows = this.#byDomain?.get(domain) ?? NONE;
    if (this.#byDomain !== null)
      this.#byDomain = new Map([...this.#byDomain].filter(([name]) => name !== domain));
    return rows;
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    await this.#turn.catch(() => undefined);
  }

  async #load(): Promise<void> {
    try {
      const rows = await loadDkimKeys(this.#reader);
      this.#byDomain = Map.groupBy(rows, (row) => row.domain);
    } finally {
      this.#loading = null;
    }
  }

  #statements({ kind, row, audit }: KeyChange): Statement[] {
    const write =
      kind === "add" ? dkimKeyInsert(row) : kind === "update" ? dkimKeyUpdate(row) : dkimKeyDelete(row);
    if (audit === null) return [write];
    const entry = {
      at: this.#now(),
      actor: audit.by,
      // Who acts is known by name only: API tokens carry theirs in it.
      via: audit.by.startsWith("api token ") ? "api" : "console",
      ip: null,
      action: audit.action,
      subject: `${row.selector}._domainkey.${row.domain}`,
      detail: audit.detail,
    };
    return [write, statement(auditInsert(entry))];
  }

  #apply(domain: string, changes: readonly KeyChange[]): void {
    const rows = new Map((this.#byDomain?.get(domain) ?? NONE).map((row) => [row.selector, row]));
    for (const { kind, row } of changes) {
      if (kind === "remove") rows.delete(row.selector);
      else rows.set(row.selector, row);
    }
    const inOrder = [...rows.values()].sort((a, b) => (a.selector < b.selector ? -1 : 1));
    const next = new Map(this.#byDomain);
    if (inOrder.length === 0) next.delete(domain);
    else next.set(domain, inOrder);
    this.#byDomain = next;
  }
}
