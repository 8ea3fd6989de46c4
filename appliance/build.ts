// Builds the gateway into one executable file: `bun run build [--outfile dist/gatepost]`.
// Everything it needs at run time travels inside: workers, migrations, console assets, libSQL's native addon.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type BunPlugin, Glob } from "bun";

const root = resolve(import.meta.dirname, "..");

/** libSQL requires its addon by a computed name, which the bundler cannot follow: this makes the name a literal. */
const libsqlAddon: BunPlugin = {
  name: "libsql-addon",
  setup(build) {
    build.onLoad({ filter: /node_modules\/libsql\/index\.js$/ }, ({ path }) => {
      const addon = `@libsql/linux-${process.arch}-gnu`;
      if (!existsSync(join(root, "node_modules", addon, "index.node"))) {
        throw new Error(
          `The native addon "${addon}" is not installed; run bun install on a machine of this kind`,
        );
      }
      const source = readFileSync(path, "utf8");
      const contents = source.replace(/require\(`@libsql\/\$\{target\}`\)/, `require("${addon}/index.node")`);
      if (contents === source) {
        throw new Error(
          `"${relative(root, path)}" no longer requires its addon as expected; adapt appliance/build.ts`,
        );
      }
      return { contents, loader: "js" };
    });
  },
};

/** The short commit id, with `+` when the tree has changes; empty outside a git clone. */
function commitId(): string {
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", "-C", root, ...args], { stdout: "pipe", stderr: "ignore" });
  try {
    const head = git("rev-parse", "--short", "HEAD");
    if (head.exitCode !== 0) return "";
    const changed = git("status", "--porcelain", "--untracked-files=no").stdout.toString().trim() !== "";
    return head.stdout.toString().trim() + (changed ? "+" : "");
  } catch {
    return "";
  }
}

/** Compiles `src/main.ts` and every file named `*.worker.ts` to `outfile`; throws with the bundler's messages. */
async function compile(outfile: string): Promise<void> {
  const workers = [...new Glob("src/**/*.worker.ts").scanSync(root)].sort();
  const unfinished = join(dirname(outfile), `.build-${process.pid}`, "gatepost");
  mkdirSync(dirname(unfinished), { recursive: true });
  try {
    await Bun.build({
      entrypoints: ["src/main.ts", ...workers].map((file) => `./${file}`),
      root,
      target: "bun",
      format: "esm",
      // Bytecode halves the time every command takes to start; source maps keep stack traces readable.
      bytecode: true,
      sourcemap: "linked",
      define: { GATEPOST_COMMIT: JSON.stringify(commitId()) },
      plugins: [libsqlAddon],
      // A bunfig.toml or .env in the directory the gateway is started in must not run code in it.
      compile: { outfile: unfinished, autoloadBunfig: false, autoloadDotenv: false },
    });
    // The name appears only when the file is whole.
    renameSync(unfinished, outfile);
  } finally {
    rmSync(dirname(unfinished), { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { outfile: { type: "string", default: "dist/gatepost" } } });
process.chdir(root);
const outfile = resolve(values.outfile);
await compile(outfile);
console.log(`${relative(root, outfile)}: ${Math.round(Bun.file(outfile).size / 1e6)} MB`);
