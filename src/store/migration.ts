// The rules for bringing a database up to date: which migrations are still due. The Worker that owns the file runs them.
/** One step of a schema. `name` sorts (`0001_first`); `sql` may hold several statements and never changes once released. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** A migration as the database remembers it. */
export interface AppliedMigration {
  readonly name: string;
  readonly hash: string;
}

/** The SHA-256 of a migration's SQL, in hex. */
export function migrationHash(migration: Migration): string {
  return new Bun.CryptoHasher("sha256").update(migration.sql).digest("hex");
}

/**
 * The migrations that are still to be run, in order, or the reason why this program must not touch the database:
 * a gap, a changed migration, or one that this version does not know (the database is newer).
 */
export function dueMigrations(
  known: readonly Migration[],
  applied: readonly AppliedMigration[],
):
  | { readonly ok: true; readonly due: readonly Migration[] }
  | { readonly ok: false; readonly reason: string } {
  for (const [index, migration] of known.entries()) {
    const before = known[index - 1];
    if (before !== undefined && before.name >= migration.name) {
      return refuse(`migration "${migration.name}" does not sort after "${before.name}"; rename it`);
    }
  }
  for (const [index, done] of applied.entries()) {
    const expected = known[index];
    if (expected === undefined) {
      return refuse(
        `it was made by a newer version: migration "${done.name}" is not known here; start the newer version, or restore a backup`,
      );
    }
    if (expected.name !== done.name) {
      return refuse(
        `migration number ${index + 1} should be "${expected.name}" but the database has "${done.name}"; it belongs to another version`,
      );
    }
    if (migrationHash(expected) !== done.hash) {
      return refuse(
        `migration "${done.name}" was applied with other text than this version has; a released migration must never be edited`,
      );
    }
  }
  return { ok: true, due: known.slice(applied.length) };
}

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
