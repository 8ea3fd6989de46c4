// Body files on a failing disk: a failed sync is over with those who waited for it, damage is found, strange files stay.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bodyFileName, openSpoolBodies } from "../../src/store/spool-bodies.ts";
import { failureOf, temporaryDirectory } from "./temporary-database.ts";

const body = new TextEncoder().encode("the octets of a large message");

test("a sync of the folder that fails refuses its own bodies and no later ones", async () => {
  await using directory = temporaryDirectory();
  const failing = [true, false, true, false];
  const started = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const bodies = await openSpoolBodies(directory.path, async () => {
    started.resolve();
    await released.promise;
    if (failing.shift() === true) throw new Error("input/output error");
  });
  const first = failureOf(bodies.write("a.eml", body));
  await started.promise;
  // Written while the failing sync runs, so it waits for the next one.
  const second = bodies.write("b.eml", body);
  released.resolve();
  expect((await first).message).toContain("input/output error");
  await second;
  expect((await failureOf(bodies.write("c.eml", body))).kind).toBe("failed");
  await bodies.write("d.eml", body);
  expect(readdirSync(directory.path).sort()).toEqual(["b.eml", "d.eml"]);
});

test("a body that is cut short, changed or gone is lost, not delivered", async () => {
  await using directory = temporaryDirectory();
  const bodies = await openSpoolBodies(directory.path);
  const name = bodyFileName("m1", 1, body);
  const path = join(directory.path, name);
  await bodies.write(name, body);
  expect(await bodies.read(name, 1000)).toEqual(body);
  const bytes = readFileSync(path);
  bytes[3] = (bytes[3] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  expect((await failureOf(bodies.read(name, 1000))).kind).toBe("lost");
  truncateSync(path, 5);
  expect((await failureOf(bodies.read(name, 1000))).kind).toBe("lost");
  rmSync(path);
  expect((await failureOf(bodies.read(name, 1000))).kind).toBe("lost");
});

test("the sweep takes what a crash left, names what is missing, and leaves the files of another database", async () => {
  await using directory = temporaryDirectory();
  const bodies = await openSpoolBodies(directory.path);
  for (const name of ["old.eml", "orphan.eml", "known.eml"]) await bodies.write(name, body);
  const since = Date.now() - 60_000;
  utimesSync(join(directory.path, "old.eml"), new Date(since - 1000), new Date(since - 1000));
  expect(await bodies.sweep(new Set(["known.eml", "missing.eml"]), since)).toEqual({
    removed: 1,
    foreign: ["old.eml"],
    missing: ["missing.eml"],
  });
  expect(readdirSync(directory.path).sort()).toEqual(["known.eml", "old.eml"]);
});
