// The licence gate: everything that goes into the binary must be under a permissive licence. Reads the installed packages.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

const PERMITTED = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  // The name htmx.org gives 0BSD.
  "BSD-0-Clause",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "Python-2.0",
  "Unlicense",
]);

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), z.object({ type: z.string() })]).optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});
type Manifest = z.output<typeof manifestSchema>;

function readManifest(folder: string): Manifest {
  return manifestSchema.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
}

/** Node's resolution: the nearest `node_modules/NAME` on the way up from `folder`. */
function findPackage(name: string, folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const candidate = join(at, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (at === dirname(at)) return null;
  }
}

/** Every package that `dependencies` reaches, by folder. Optional ones count when they are installed. */
function reachablePackages(root: string): ReadonlyMap<string, Manifest> {
  const found = new Map<string, Manifest>();
  const open = [{ folder: root, manifest: readManifest(root) }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { folder, manifest } = next;
    const optional = Object.keys(manifest.optionalDependencies);
    for (const name of new Set([...Object.keys(manifest.dependencies), ...optional])) {
      const at = findPackage(name, folder);
      if (at === null && optional.includes(name)) continue;
      if (at === null)
        throw new Error(`"${name}", needed by "${manifest.name}", is not installed; run bun install`);
      if (found.has(at)) continue;
      const child = readManifest(at);
      found.set(at, child);
      open.push({ folder: at, manifest: child });
    }
  }
  return found;
}

/** Judges an SPDX expression: with OR one permitted choice is enough, with AND all must be. */
function permitted(expression: string): boolean {
  const bare = expression.trim().replace(/^\((.*)\)$/, "$1");
  if (bare.includes(" OR ")) return bare.split(" OR ").some(permitted);
  if (bare.includes(" AND ")) return bare.split(" AND ").every(permitted);
  return PERMITTED.has(bare);
}

function licenceOf(manifest: Manifest): string {
  const { license } = manifest;
  if (typeof license === "string") return license;
  return license?.type ?? "(none named)";
}

test("every package in the binary has a permissive licence", () => {
  const packages = [...reachablePackages(join(import.meta.dirname, "../..")).values()];
  expect(packages.length).toBeGreaterThan(20);
  const refused = packages
    .filter((manifest) => !permitted(licenceOf(manifest)))
    .map((manifest) => `${manifest.name} ${manifest.version}: ${licenceOf(manifest)}`);
  // Another licence: replace the package, or add the licence to PERMITTED when it is as permissive as those.
  expect(refused).toEqual([]);
});

test("the judge of licence expressions refuses copyleft", () => {
  expect(permitted("MIT")).toBe(true);
  expect(permitted("(MIT OR EUPL-1.1+)")).toBe(true);
  expect(permitted("MIT AND GPL-3.0-only")).toBe(false);
  expect(permitted("EUPL-1.2")).toBe(false);
  expect(permitted("(none named)")).toBe(false);
});
