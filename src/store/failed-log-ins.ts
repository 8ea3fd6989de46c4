// How many failed log-ins of a day have entries of their own in the audit log: strangers can bring about as many as they like, and name whom
// they like. Counted in memory: after a restart a day may have a few more.
import type { AuditEntry } from "./accounts.ts";

/** Entries of their own in one day (UTC). */
export const FAILED_LOG_INS_A_DAY = 100;
const DAY_MS = 86_400_000;
const MAX_NAME = 80;

export interface FailedLogIns {
  /** `words`: of the entry that counts it with others, which has the time `first`; null: it has an entry of its own. */
  take(entry: AuditEntry): { readonly words: string | null; readonly first: number };
}

/** Counts from nothing. */
export function failedLogIns(): FailedLogIns {
  let day = -1;
  let count = 0;
  let first = 0;
  return {
    take({ at, subject, ip }) {
      const today = Math.floor(at / DAY_MS);
      if (today !== day) {
        day = today;
        count = 0;
      }
      count += 1;
      if (count <= FAILED_LOG_INS_A_DAY) return { words: null, first: at };
      if (count === FAILED_LOG_INS_A_DAY + 1) first = at;
      const more = count - FAILED_LOG_INS_A_DAY;
      const last = `the last as "${subject.slice(0, MAX_NAME)}" from ${ip ?? "here"}`;
      return { words: `${more} more that day, ${last}; the log of the gateway names each`, first };
    },
  };
}
