// One process owns a data directory: locks of the dead are taken over, those of the living are not.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockDataDirectory, refuseWhenOwned } from "../../src/cli/data-lock.ts";
import { CommandError, EXIT } from "../../src/cli/terminal.ts";

const directory = mkdtempSync(join(tmpdir(), "gatepost-lock-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let made = 0;
/** A data directory with this text in its lock file, or none. */
function dataDirectory(lock: string | null): string {
  const path = join(directory, String(++made));
  if (lock === null) return path;
  mkdirSync(path);
  writeFileSync(join(path, "gatepost.pid"), lock);
  return path;
}

function refusal(path: string): CommandError {
  try {
    lockDataDirectory(path);
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error("it was expected to be refused, and was not");
}

function startTicks(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

const own = `${process.pid} ${startTicks(process.pid)}\n`;

test("makes the directory for its owner alone, writes the owner down whole, and gives the lock back", () => {
  const path = join(dataDirectory(null), "deep/data");
  const unlock = lockDataDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(own);
  expect(readdirSync(path)).toEqual(["gatepost.pid"]);
  unlock();
  expect(readdirSync(path)).toEqual([]);
});

test("the lock of one that is dead and was not waited for is taken over", async () => {
  const parent = Bun.spawn(["sh", "-c", "true & echo $!; exec sleep 60"], { stdout: "pipe" });
  try {
    const { value } = await parent.stdout.getReader().read();
    const dead = Number(new TextDecoder().decode(value));
    while (!readFileSync(`/proc/${dead}/stat`, "utf8").includes(") Z ")) await Bun.sleep(5);
    const path = dataDirectory(`${dead} ${startTicks(dead)}\n`);
    const unlock = lockDataDirectory(path);
    expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(own);
    unlock();
  } finally {
    parent.kill();
  }
});

test("a living owner is refused with its process id, and keeps its lock", () => {
  const child = Bun.spawn(["sleep", "60"]);
  try {
    const lock = `${child.pid} ${startTicks(child.pid)}\n`;
    const path = dataDirectory(lock);
    const error = refusal(path);
    expect(error.exitCode).toBe(EXIT.unavailable);
    expect(error.message).toContain(`process ${child.pid}`);
    expect(error.message).toContain(path);
    expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(lock);
    expect(readdirSync(path)).toEqual(["gatepost.pid"]);
  } finally {
    child.kill();
  }
});

test("the lock of a process that is gone is taken over", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  const path = dataDirectory(`${child.pid} ${startTicks(child.pid)}\n`);
  child.kill("SIGKILL");
  await child.exited;
  lockDataDirectory(path);
  expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(own);
});

test("a process id that now belongs to another program does not keep the gateway from starting", () => {
  const child = Bun.spawn(["sleep", "60"]);
  try {
    const path = dataDirectory(`${child.pid} 1\n`);
    lockDataDirectory(path);
    expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(own);
  } finally {
    child.kill();
  }
});

test.each(["", "nonsense\n", "-1 -1\n", "1\n", "../../etc/passwd 3\n"])(
  "a damaged lock %j is taken over",
  (lock) => {
    const path = dataDirectory(lock);
    lockDataDirectory(path);
    expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(own);
  },
);

test("of many that start at once on a stale lock one gets it", async () => {
  const path = dataDirectory("999999999 1\n");
  const go = join(path, "go");
  const program = `
    const { existsSync } = await import("node:fs");
    const { lockDataDirectory } = await import("./src/cli/data-lock.ts");
    while (!existsSync(${JSON.stringify(go)})) {}
    try { lockDataDirectory(${JSON.stringify(path)}); console.log("mine"); } catch (error) { console.log("refused"); }
    await new Promise((resolve) => process.stdin.once("data", resolve));`;
  const children = Array.from({ length: 4 }, () =>
    Bun.spawn([process.execPath, "-e", program], {
      cwd: join(import.meta.dirname, "../.."),
      stdin: "pipe",
      stdout: "pipe",
    }),
  );
  try {
    await Bun.sleep(300);
    writeFileSync(go, "");
    const answers = await Promise.all(
      children.map(async ({ stdout }) => {
        const { value } = await stdout.getReader().read();
        return new TextDecoder().decode(value).trim();
      }),
    );
    expect(answers.sort()).toEqual(["mine", "refused", "refused", "refused"]);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map((child) => child.exited));
  }
});

test("a place where no directory can be made is named", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  const error = refusal(join(file, "data"));
  expect(error.exitCode).toBe(EXIT.cannotCreate);
  expect(error.message).toContain(join(file, "data"));
  expect(error.message).toContain("boot file");
});

const cwd = join(import.meta.dirname, "../..");

/** Takes the lock in a process of its own, says so, and goes on until it is killed; it has a child of its own that lives on. */
function lockElsewhere(path: string, before: readonly string[] = []) {
  const program = `
    const { lockDataDirectory } = await import("./src/cli/data-lock.ts");
    let mine = "mine";
    try { lockDataDirectory(${JSON.stringify(path)}); } catch (error) { mine = error.message; }
    Bun.spawn(["sleep", "20"]);
    console.log(mine);
    await Bun.sleep(60_000);`;
  const child = Bun.spawn([...before, process.execPath, "-e", program], { cwd, stdout: "pipe" });
  const answer = child.stdout
    .getReader()
    .read()
    .then(({ value }) => new TextDecoder().decode(value).trim());
  return { child, answer };
}

test("a living owner is refused whatever its lock file says, and touched in nothing; killed, it is over at once", async () => {
  const path = dataDirectory("");
  const { child, answer } = lockElsewhere(path);
  try {
    expect(await answer).toBe("mine");
    for (const lock of ["", "999999999 1\n", "nonsense"]) {
      writeFileSync(join(path, "gatepost.pid"), lock);
      expect(refusal(path).exitCode).toBe(EXIT.unavailable);
      expect(() => refuseWhenOwned(path)).toThrow("Another gateway runs on");
      expect(readFileSync(join(path, "gatepost.pid"), "utf8")).toBe(lock);
      expect(readdirSync(path)).toEqual(["gatepost.pid"]);
    }
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  refuseWhenOwned(path);
  lockDataDirectory(path)();
  expect(readdirSync(path)).toEqual([]);
  lockDataDirectory(path)();
}, 30_000);

test.skipIf(process.getuid?.() !== 0)(
  "of many that start at once, each in a process namespace of its own, one gets it",
  async () => {
    const own = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
    for (let round = 0; round < 3; round++) {
      const path = dataDirectory("");
      const starts = Array.from({ length: 4 }, () => lockElsewhere(path, own));
      try {
        const answers = await Promise.all(starts.map(({ answer }) => answer));
        expect(answers.filter((answer) => answer === "mine")).toHaveLength(1);
        expect(answers.filter((answer) => answer.startsWith("Another gateway"))).toHaveLength(3);
      } finally {
        for (const { child } of starts) child.kill("SIGKILL");
        await Promise.all(starts.map(({ child }) => child.exited));
      }
    }
  },
  60_000,
);
