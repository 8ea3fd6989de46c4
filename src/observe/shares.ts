// Something there is a limited amount of, shared by users who may be strangers: nobody can take it all, whoever he is and however many
// connections he has. Counts only; holds nothing itself.

export interface ShareUser {
  /** Who it counts for: a network, a login. */
  readonly key: string;
  /** A log-in or a trusted host: may also take from what is kept in reserve for them. */
  readonly known: boolean;
}

export interface Shares {
  /** Takes `amount`; false when the user has had his share, and nothing is taken. */
  take(user: ShareUser, amount: number): boolean;
  give(user: ShareUser, amount: number): void;
  used(): number;
}

/**
 * Makes shares of `limit()`, of which `reserve` (a part of 1) is kept for known users. A user may hold at most as much as is left for others
 * of his kind: one alone gets half, two get a third each, and there is always something left for the next.
 */
export function createShares(options: { readonly limit: () => number; readonly reserve: number }): Shares {
  const held = new Map<string, number>();
  let used = 0;
  return {
    take({ key, known }, amount) {
      const limit = options.limit();
      const open = (known ? limit : limit * (1 - options.reserve)) - used - amount;
      const mine = (held.get(key) ?? 0) + amount;
      if (mine > open) return false;
      held.set(key, mine);
      used += amount;
      return true;
    },
    give({ key }, amount) {
      used -= amount;
      const left = (held.get(key) ?? 0) - amount;
      if (left > 0) held.set(key, left);
      else held.delete(key);
    },
    used: () => used,
  };
}
