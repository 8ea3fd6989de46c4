// The log as a process writes it: JSON lines, all of them when it ends, also for a slow reader; a reader that is gone is no harm.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../peers/run-command.ts";

const directory = mkdtempSync(join(tmpdir(), "gatepost-log-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A program that logs; `tail` is the rest of a shell line behind it. */
function logging(body: string, tail = "", level = "info") {
  const program = `
    const { createLog } = await import("./src/observe/log.ts");
    const log = createLog("${level}");
    ${body}
    await log.flush();
    process.stderr.write("ended");
    process.exit(0);`;
  const line = `"$0" -e "$1" ${tail}`;
  return runCommand(["sh", "-c", line, process.execPath, program], {
    cwd: join(import.meta.dirname, "../.."),
  });
}

const MANY = 'for (let n = 0; n < 3000; n++) log.info({ n }, "x".repeat(100));';

test("a line has time, level, words, fields, and an error with its cause", async () => {
  const { out } = await logging(
    'log.error({ err: new Error("outer", { cause: new Error("inner") }), id: "m1" }, "it broke"); log.debug({}, "unseen");',
  );
  const line = JSON.parse(out) as { err: { message: string; cause: { message: string } } };
  expect(line).toMatchObject({
    level: "error",
    id: "m1",
    msg: "it broke",
    time: expect.stringMatching(/Z$/),
  });
  expect(line.err.message).toContain("outer");
  expect(line.err.cause.message).toBe("inner");
});

test("nothing is lost at the end: into a file, and into a pipe whose reader is slow", async () => {
  const file = join(directory, "log");
  await logging(MANY, `> '${file}'`);
  const numbers = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { n: number }).n);
  const all = Array.from({ length: 3000 }, (_one, n) => n);
  expect(numbers(readFileSync(file, "utf8"))).toEqual(all);
  expect(numbers((await logging(MANY, "| (sleep 0.3; cat)")).out)).toEqual(all);
});

test("a reader that goes away, or never reads, does not keep the process from ending", async () => {
  expect((await logging(MANY, "| head -n 1")).err).toBe("ended");
  expect((await logging(MANY, "| sleep 2")).err).toBe("ended");
});

test("lines beyond what memory may hold are left out and counted", async () => {
  const body =
    'const kilobyte = "x".repeat(1000); for (let n = 0; n < 12_000; n++) log.info({}, kilobyte); await log.flush(); log.info({}, "after");';
  const lines = (await logging(body)).out.trim().split("\n");
  const left = lines
    .map((line) => JSON.parse(line) as { lines?: number })
    .find((line) => line.lines !== undefined);
  expect(left?.lines).toBeGreaterThan(1000);
  expect(lines.length + (left?.lines ?? 0)).toBe(12_002);
});

test("silent means silent", async () => {
  expect((await logging(MANY, "", "silent")).out).toBe("");
});
