// DMARC's walk up the tree ends at names that belong to no organisation (`_dmarc.com`, `_dmarc.co.uk`), some of whose servers never answer.
import { getPublicSuffix } from "tldts";
import type { Resolve } from "./authenticate-message.ts";

/**
 * The look-ups of one evaluation. Once a record was found below, a public suffix that cannot be asked counts as one without a record: it
 * could only say where the organisation ends, which the Public Suffix List says too, and mail of a whole country must not wait for it.
 */
export function patientWithSuffixes(resolve: Resolve): Resolve {
  let found = false;
  return async (name, rrtype) => {
    try {
      const records = await resolve(name, rrtype);
      found ||= rrtype === "TXT" && records.some((record) => /^v\s*=\s*DMARC1/i.test(String(record)));
      return records;
    } catch (error) {
      const asked = name.replace(/^_dmarc\./i, "");
      if (!found || asked === name || getPublicSuffix(asked) !== asked.toLowerCase()) throw error;
      throw Object.assign(new Error(`"${name}" cannot be asked`), { code: "ENOTFOUND" });
    }
  };
}
