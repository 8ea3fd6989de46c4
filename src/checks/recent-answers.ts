// DNS answers a scan worker had within the last seconds, so that mail that comes in bursts does not cross threads for each look-up.
// The resolver on the main thread keeps to TTLs; this adds at most `KEEP_MS` to them. Failures are not kept.
import type { DnsReply } from "./scan-protocol.ts";

const KEEP_MS = 5000;
const MAX_KEPT = 2000;

export interface RecentAnswers {
  /** The answer, or the one that is on its way, or null. */
  find(name: string, rrtype: string): DnsReply | Promise<DnsReply> | null;
  keep(name: string, rrtype: string, answer: Promise<DnsReply>): void;
}

/** `now` in milliseconds, from any start. */
export function createRecentAnswers(now: () => number): RecentAnswers {
  const kept = new Map<string, { readonly until: number; answer: DnsReply | Promise<DnsReply> }>();
  return {
    find(name, rrtype) {
      const entry = kept.get(`${rrtype} ${name}`);
      return entry !== undefined && entry.until > now() ? entry.answer : null;
    },
    keep(name, rrtype, coming) {
      const key = `${rrtype} ${name}`;
      if (kept.size >= MAX_KEPT) kept.clear();
      const entry: { until: number; answer: DnsReply | Promise<DnsReply> } = {
        until: now() + KEEP_MS,
        answer: coming,
      };
      kept.set(key, entry);
      void coming.then((answer) => {
        entry.answer = answer;
        const certain = answer.ok || answer.code === "ENOTFOUND" || answer.code === "ENODATA";
        if (!certain && kept.get(key) === entry) kept.delete(key);
      });
    },
  };
}
