// From the records of an answer to the ones asked for, along CNAMEs. No I/O; bounded in hops.
import type { Answer } from "dns-packet";
import type { QueryType } from "./query-message.ts";

/** `missing`: the chain ends at `target` without records of the type. `broken`: it loops or is too long. */
export type Chain =
  | { readonly kind: "found"; readonly records: readonly Answer[]; readonly ttl: number }
  | { readonly kind: "missing"; readonly target: string; readonly ttl: number }
  | { readonly kind: "broken" };

/** CNAMEs followed for one question, over all answers. */
export const MAX_CNAME_HOPS = 8;

const NO_TTL_LIMIT = 2 ** 31;

function ttlOf(record: Answer): number {
  return record.type === "OPT" ? 0 : (("ttl" in record ? record.ttl : undefined) ?? 0);
}

function owned(answers: readonly Answer[], name: string): readonly Answer[] {
  return answers.filter((record) => record.name.toLowerCase() === name);
}

/** Follows the CNAMEs of an answer from `name` (lower case) to records of `type`; `ttl` is the smallest on the way, in seconds. */
export function followChain(answers: readonly Answer[], name: string, type: QueryType): Chain {
  const seen = new Set<string>();
  let target = name;
  let ttl = NO_TTL_LIMIT;
  for (let hop = 0; hop <= MAX_CNAME_HOPS; hop++) {
    if (seen.has(target)) return { kind: "broken" };
    seen.add(target);
    const here = owned(answers, target);
    const records = here.filter((record) => record.type === type);
    if (records.length > 0) {
      return { kind: "found", records, ttl: records.reduce((least, r) => Math.min(least, ttlOf(r)), ttl) };
    }
    const alias = type === "CNAME" ? undefined : here.find((record) => record.type === "CNAME");
    if (alias === undefined || alias.type !== "CNAME") return { kind: "missing", target, ttl };
    ttl = Math.min(ttl, ttlOf(alias));
    target = alias.data.replace(/\.$/, "").toLowerCase();
  }
  return { kind: "broken" };
}
