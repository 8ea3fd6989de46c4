// Octets of memory that may be held at a time, shared by many holders. Counts only; holds nothing itself.

export interface MemoryBudget {
  /** Takes `bytes`; false when they are not there, and nothing is taken. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  /** Octets in use. */
  used(): number;
}

/** Makes a budget of `limitBytes`. */
export function createMemoryBudget(limitBytes: number): MemoryBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > limitBytes) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used = Math.max(0, used - bytes);
    },
    used: () => used,
  };
}
