// The house rules that a program can check: import directions, library fences, names, sizes. It reads source text only.
// A failing line names the file and says what to do.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dirname, "..");

/** The way of a message, highest first: value imports go down this list. Folders of one line may import each other, without cycles. */
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["gateway.ts"],
  ["gateway"],
  ["console"],
  ["listener"],
  ["session"],
  ["outgoing"],
  ["policy"],
  ["queue"],
  ["checks", "dkim", "hooks", "rules", "delivery", "vault", "notify"],
  ["store", "dns", "observe", "config", "message"],
];

/** Pure-data contracts: `import type` of these may point upward. */
const OPEN_CONTRACTS = new Set([
  "rules/fact.ts",
  "rules/verdict.ts",
  "delivery/outcome.ts",
  "delivery/route.ts",
  "store/log-record.ts",
]);

const SOCKET_FOLDERS = ["listener", "delivery", "hooks", "dns"];

/** Libraries and the only folders that may import them. `typesAnywhere`: a type-only import is free. */
const FENCES: readonly {
  readonly library: RegExp;
  readonly folders: readonly string[];
  readonly typesAnywhere?: true;
}[] = [
  { library: /^(drizzle-orm|@libsql\/|libsql$)/, folders: ["store"] },
  { library: /^hono(\/|$)|^hono-openapi/, folders: ["console"] },
  {
    library: /^((node:)?(net|tls|dgram|http|https|http2)$|smtp-server|nodemailer)/,
    folders: SOCKET_FOLDERS,
    typesAnywhere: true,
  },
];

/** Of node:net these open no socket. */
const SOCKETLESS = new Set(["isIP", "isIPv4", "isIPv6", "BlockList"]);

const EMPTY_NAMES =
  /^(index|utils?|helpers?|common|types?|constants?|misc|shared)$|-(utils?|helpers?|types)$/;
const EMPTY_SUFFIX =
  /\b(?:class|interface|function|type|const)\s+(\w+(?:Manager|Service|Handler|Processor|Impl))\b/g;
const FILE_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.(worker|test|d))?\.tsx?$/;
const MAX_LINES = 400;

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
  readonly names: readonly string[];
}

interface Source {
  /** Relative to the project: `src/queue/run-queue.ts`. */
  readonly path: string;
  readonly text: string;
  /** The text without comment lines and trailing comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?([\w$*{},\s]+?)\s*from\s*["']([^"']+)["']/gm;
const BARE = /^import\s*["']([^"']+)["']/gm;
const CALL = /\b(?:import|require)\(\s*["'`]([^"'`]+)["'`]\s*\)/g;

/** The import and re-export statements of a formatted source file. */
function importsOf(code: string): readonly Import[] {
  const statements = [...code.matchAll(STATEMENT)].map(([, type, clause = "", from = ""]) => {
    const names = clause.replace(/[{}]/g, "").split(",");
    const written = names.map((name) => name.trim()).filter((name) => name !== "");
    const typeOnly = type !== undefined || written.every((name) => name.startsWith("type "));
    return { from, typeOnly, names: written.map((name) => name.replace(/^type /, "")) };
  });
  const calls = [...code.matchAll(BARE), ...code.matchAll(CALL)];
  return [...statements, ...calls.map(([, from = ""]) => ({ from, typeOnly: false, names: ["*"] }))];
}

function withoutComments(text: string): string {
  const lines = text.split("\n").filter((line) => !/^\s*(\/\/|\/\*|\*)/.test(line));
  return lines.map((line) => line.replace(/\s\/\/\s.*$/, "")).join("\n");
}

function readSources(pattern: string): readonly Source[] {
  return [...new Glob(pattern).scanSync(root)].sort().map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const code = withoutComments(text);
    return { path, text, code, imports: importsOf(code) };
  });
}

const product = readSources("src/**/*.{ts,tsx}");
const everything = [...product, ...readSources("test/**/*.{ts,tsx}"), ...readSources("appliance/**/*.ts")];

/** The folder directly under src/, or the file itself for the two at the top: `queue`, `main.ts`. */
function partOf(path: string): string {
  return path.replace(/^src\//, "").split("/")[0] ?? "";
}

function rankOf(part: string): number {
  return LAYERS.findIndex((layer) => layer.includes(part));
}

/** Relative imports of a file as project paths. */
function localImports(source: Source): readonly (Import & { readonly path: string })[] {
  return source.imports
    .filter(({ from }) => from.startsWith("."))
    .map((one) => ({ ...one, path: normalize(join(dirname(source.path), one.from)) }));
}

/** One line for every match of `find` in the sources. */
function complaints(sources: readonly Source[], find: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => find(source).map((words) => `${source.path}: ${words}`));
}

test("there is something to check", () => {
  expect(product.length).toBeGreaterThan(20);
  expect(product.flatMap((source) => source.imports).length).toBeGreaterThan(20);
});

test("every folder of src/ has its place in the order", () => {
  expect(
    complaints(product, ({ path }) =>
      rankOf(partOf(path)) < 0
        ? ["not in LAYERS; move it into a folder of design.md or give it its place"]
        : [],
    ),
  ).toEqual([]);
});

test("imports point down the way of a message", () => {
  expect(
    complaints(product, (source) => {
      const own = partOf(source.path);
      return localImports(source).flatMap(({ path, typeOnly, from }) => {
        if (!path.startsWith("src/") || partOf(path) === own) return [];
        if (rankOf(partOf(path)) >= rankOf(own)) return [];
        if (typeOnly && OPEN_CONTRACTS.has(path.replace(/^src\//, ""))) return [];
        return [`imports "${from}", which stands above "${own}"; take what is needed as an argument instead`];
      });
    }),
  ).toEqual([]);
});

test("nothing but the cli imports the composition root", () => {
  expect(
    complaints(product, (source) =>
      localImports(source)
        .filter(({ path }) => path === "src/gateway.ts" || path === "src/main.ts")
        .filter(() => partOf(source.path) !== "cli" && source.path !== "src/main.ts")
        .map(({ from }) => `imports "${from}"; only the cli starts a gateway`),
    ),
  ).toEqual([]);
});

test("folders of one layer do not import each other in a circle", () => {
  const edges = new Map<string, Set<string>>();
  for (const source of product) {
    for (const { path, typeOnly } of localImports(source)) {
      if (typeOnly || !path.startsWith("src/") || partOf(path) === partOf(source.path)) continue;
      const targets = edges.get(partOf(source.path)) ?? new Set<string>();
      edges.set(partOf(source.path), targets.add(partOf(path)));
    }
  }
  const reach = (from: string, seen = new Set<string>()): Set<string> => {
    for (const next of edges.get(from) ?? []) if (!seen.has(next)) reach(next, seen.add(next));
    return seen;
  };
  const circles = [...edges.keys()].filter((part) => reach(part).has(part));
  // Each folder named here reaches itself through value imports: move the shared part down into one of them.
  expect(circles).toEqual([]);
});

test("libraries stay behind their fences", () => {
  expect(
    complaints(product, (source) =>
      source.imports.flatMap(({ from, typeOnly, names }) =>
        FENCES.filter(({ library, folders, typesAnywhere }) => {
          if (!library.test(from) || folders.includes(partOf(source.path))) return false;
          if (typesAnywhere && typeOnly) return false;
          return !(/^(node:)?net$/.test(from) && names.every((name) => SOCKETLESS.has(name)));
        }).map(
          ({ folders }) => `imports "${from}"; only ${folders.join("/ ")}/ may, ask one of them instead`,
        ),
      ),
    ),
  ).toEqual([]);
});

test("nobody opens our databases with bun:sqlite", () => {
  expect(
    complaints(everything, (source) =>
      source.imports
        .filter(({ from }) => from === "bun:sqlite" || from === "node:sqlite")
        .map(({ from }) => `imports "${from}": beside libSQL it silently loses rows; use the store`),
    ),
  ).toEqual([]);
});

test("the environment is read in config/ and the process ends in main.ts", () => {
  expect(
    complaints(product, ({ path, code }) => [
      ...(partOf(path) !== "config" && /\b(process|Bun|import\.meta)\.env\b/.test(code)
        ? ["reads the environment; only config/ does, take the value from Config"]
        : []),
      ...(path !== "src/main.ts" && /\bprocess\.(exit|abort|kill|reallyExit)\(/.test(code)
        ? ["ends the process; only main.ts does, return or throw instead"]
        : []),
    ]),
  ).toEqual([]);
});

test("every worker is started by its path from the project, so that it is found in the binary", () => {
  const started = new Set<string>();
  const wrong = complaints(product, ({ code }) =>
    [...code.matchAll(/new Worker\(\s*([^),]+)/g)].flatMap(([, argument = ""]) => {
      const path = /^["'](\.\/src\/[\w/-]+\.worker\.ts)["']$/.exec(argument.trim())?.[1];
      if (path === undefined) return [`starts a worker by ${argument}; write "./src/FOLDER/NAME.worker.ts"`];
      started.add(path.slice(2));
      return [];
    }),
  );
  expect(wrong).toEqual([]);
  const files = product.map(({ path }) => path).filter((path) => path.endsWith(".worker.ts"));
  // Left: worker files that nothing starts. Right: workers started that are no file.
  expect({
    idle: files.filter((path) => !started.has(path)),
    missing: [...started].filter((path) => !files.includes(path)),
  }).toEqual({ idle: [], missing: [] });
  expect(
    complaints(product, ({ code }) =>
      /new URL\([^)]*import\.meta\.url/.test(code)
        ? ["builds a path from import.meta.url, which fails in the binary"]
        : [],
    ),
  ).toEqual([]);
});

test("files are named after what they export", () => {
  expect(
    complaints(everything, ({ path, code }) => {
      const name = basename(path);
      const stem = name.replace(/\..*$/, "");
      const reexports = code.split("\n").filter((line) => line.trim() !== "");
      return [
        ...(FILE_NAME.test(name) ? [] : ["is not kebab-case"]),
        ...(EMPTY_NAMES.test(stem) ? ["says nothing; put each function beside its noun"] : []),
        ...(reexports.length > 0 && reexports.every((line) => /^export\b.*\bfrom\b/.test(line))
          ? ["only passes on exports; import from the files themselves"]
          : []),
        ...[...code.matchAll(EMPTY_SUFFIX)].map(
          ([, word = ""]) => `"${word}" says how, not what; name the noun`,
        ),
      ];
    }),
  ).toEqual([]);
});

test("files are short and open by saying what they own", () => {
  expect(
    complaints(everything, ({ path, text }) => {
      const lines = text.trimEnd().split("\n").length;
      return [
        ...(lines > MAX_LINES
          ? [`${lines} lines, more than ${MAX_LINES}; split it by what its parts own`]
          : []),
        ...(/^\/[/*]/.test(text) || path.endsWith(".d.ts")
          ? []
          : ["does not open with a comment on what it owns and must not do"]),
      ];
    }),
  ).toEqual([]);
});

test("no check of the compiler or the linter is switched off in place", () => {
  const comment = new RegExp(["@ts-(ignore|expect-error|nocheck)", "biome-ignore"].join("|"));
  expect(
    complaints(everything, ({ path, text, code }) => [
      ...text.split("\n").flatMap((line, index) => {
        const found = path === "test/architecture.test.ts" ? null : comment.exec(line);
        return found === null ? [] : [`line ${index + 1}: "${found[0]}"; make the types say it`];
      }),
      ...[...code.matchAll(/^.*\bas any\b[^"'`]*$/gm)].map(
        ([line]) => `"${line.trim()}"; make the types say it`,
      ),
    ]),
  ).toEqual([]);
});

test("relative imports carry their extension", () => {
  expect(
    complaints(everything, (source) =>
      localImports(source)
        .filter(({ from }) => !/\.[a-z0-9]+$/.test(from))
        .map(({ from }) => `imports "${from}" without its extension`),
    ),
  ).toEqual([]);
});
