// Property tests whose dice fall anew at each run: a failure prints its seed (fast-check does), and a seed that once failed is kept here
// and tried first, for ever.
import fc from "fast-check";

/** What fast-check printed for a failure. */
export interface KeptSeed {
  readonly seed: number;
  /** Where in the shrinking it was; left out: all runs of the seed. */
  readonly path?: string;
}

/** Checks the property for the kept seeds, then for `numRuns` new cases. FC_SEED tries one seed more. */
export async function checkProperty<Ts>(
  property: fc.IAsyncProperty<Ts> | fc.IProperty<Ts>,
  options: { readonly numRuns: number; readonly kept?: readonly KeptSeed[] },
): Promise<void> {
  const { numRuns } = options;
  const asked = process.env.FC_SEED === undefined ? [] : [{ seed: Number(process.env.FC_SEED) }];
  for (const one of [...(options.kept ?? []), ...asked]) await fc.assert(property, { numRuns, ...one });
  await fc.assert(property, { numRuns });
}
