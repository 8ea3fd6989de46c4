// What a setting would do to the disk of this machine. No I/O.
import { bytesInWords } from "../observe/size-words.ts";
import type { Policy } from "./schema.ts";
import type { PolicyProblem } from "./settings.ts";

/** Why `min_free` cannot become what it would be: all mail would be refused from that moment. null: it can, or stays as it was. */
export function beyondDisk(
  before: Pick<Policy, "settings">,
  after: Pick<Policy, "settings">,
  disk: () => { readonly free: number; readonly total: number },
): PolicyProblem | null {
  const wanted = after.settings.min_free;
  if (wanted === null || wanted === before.settings.min_free) return null;
  const { free, total } = disk();
  if (wanted <= free) return null;
  return {
    path: "settings.min_free",
    message: `${bytesInWords(wanted)} is more than is free now: ${bytesInWords(free)} of the ${bytesInWords(total)} disk of the data directory. All mail would be refused at once; set less, or make room first`,
  };
}
