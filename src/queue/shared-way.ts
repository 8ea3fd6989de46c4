// Whether recipients leave by one way, although they may be of several domains. Pure.
import { isDeepStrictEqual } from "node:util";
import type { Destination } from "../delivery/route.ts";

/** The way all of them can leave by in one attempt: the same servers in the same order with the same TLS. Null: there is none. */
export function sharedWay(ways: readonly Destination[]): Destination | null {
  const [first, ...others] = ways;
  if (first === undefined) return null;
  return others.every((other) => other.key === first.key || isSameWay(first, other)) ? first : null;
}

/** Domains of ours with the same routes. All other ways are one for what has the same key. */
function isSameWay(one: Destination, other: Destination): boolean {
  if (one.kind !== "routes" || other.kind !== "routes" || one.routes.length === 0) return false;
  return isDeepStrictEqual({ ...one, key: "" }, { ...other, key: "" });
}
