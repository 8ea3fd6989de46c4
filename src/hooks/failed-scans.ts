// The largest message that each clamd could not scan for a reason of its own: its disk may have room for small ones alone.
// One message may be the reason too, so this says only what is to be tried; the watch over clamd does that.
import type { ClamdHook } from "./clamd-dialogue.ts";

export interface FailedScans {
  failed(hook: ClamdHook, octets: number): void;
  passed(hook: ClamdHook, octets: number): void;
  /** Octets of the largest that failed, none so large having passed since; null: there is none. */
  largest(hook: ClamdHook): number | null;
}

export function createFailedScans(): FailedScans {
  const all = new Map<string, number>();
  return {
    failed(hook, octets) {
      all.set(keyOf(hook), Math.max(octets, all.get(keyOf(hook)) ?? 0));
    },
    passed(hook, octets) {
      if (all.size > 0 && octets >= (all.get(keyOf(hook)) ?? Number.POSITIVE_INFINITY))
        all.delete(keyOf(hook));
    },
    largest: (hook) => all.get(keyOf(hook)) ?? null,
  };
}

/** Set elsewhere, it is another daemon. */
function keyOf({ name, address }: ClamdHook): string {
  return `${name} ${address}`;
}
