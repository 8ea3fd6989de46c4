// Asks the DNS whether a key's record is there, and says what was found in words people can act on.
import type { Resolver } from "../dns/resolver.ts";
import type { DkimPublication } from "./dkim.ts";
import { compareRecords, missingRecord, type PublishedKey, recordName } from "./key-record.ts";

/** Looks once. `nowMs` is milliseconds UTC. */
export async function lookUpRecord(
  resolver: Pick<Resolver, "txt">,
  key: PublishedKey,
  nowMs: number,
): Promise<DkimPublication> {
  const name = recordName(key);
  const answer = await resolver.txt(name);
  if (answer.ok) return { ...compareRecords(key, answer.records), checkedAt: nowMs };
  switch (answer.failure) {
    case "nxdomain":
    case "nodata": {
      const doubled = await resolver.txt(`${name}.${key.domain}`);
      return { ...missingRecord(key, { doubled: doubled.ok }), checkedAt: nowMs };
    }
    case "servfail":
      return {
        state: "failed",
        checkedAt: nowMs,
        words: `The DNS gave no answer for ${name} (${answer.words}). Nothing is known about the record; try again in some minutes.`,
      };
  }
}
