// What was answered is kept: after kill -9, and across a full disk.
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

test("kill -9 of a writer: everything whose commit resolved is there", async () => {
  await using directory = temporaryDirectory();
  for (let round = 0; round < 3; round++) {
    const path = join(directory.path, `${round}.db`);
    const child = Bun.spawn([process.execPath, "test/store/child/write-until-killed.ts", path], {
      stdout: "pipe",
      stderr: "inherit",
    });
    let output = "";
    const all = (async () => {
      for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) output += piece;
    })();
    // It is killed in the midst of its work, however long it took to begin.
    while (output.split("\n").length < 100) await Bun.sleep(5);
    await Bun.sleep(round * 137);
    child.kill("SIGKILL");
    await Promise.all([child.exited, all]);
    const answered = output.split("\n").slice(0, -1);
    const database = await openAt(path);
    const kept = new Set((await rows(database, "select thing from other")).map((row) => String(row[0])));
    expect(answered.filter((id) => !kept.has(id))).toEqual([]);
    // Units are whole: no thing without its other row.
    expect(
      await rows(database, "select count(*) from thing where id not in (select thing from other)"),
    ).toEqual([[0]]);
    expect(await rows(database, "pragma integrity_check")).toEqual([["ok"]]);
    await database.close();
  }
});

const root = process.getuid?.() === 0;

test.skipIf(!root)(
  "a full disk rejects with disk-full, keeps what was answered, and heals by itself (needs root for a tmpfs)",
  async () => {
    await using directory = temporaryDirectory();
    const mount = join(directory.path, "small");
    mkdirSync(mount);
    if (Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount]).exitCode !== 0) {
      console.warn("cannot mount a tmpfs here: the full disk is not tested");
      return;
    }
    try {
      const path = join(mount, "a.db");
      const database = await openAt(path);
      const body = new Uint8Array(50_000);
      const answered: string[] = [];
      await database.commit([insertThing("first", 0, body)]);
      answered.push("first");
      const filler = join(mount, "filler");
      writeFileSync(filler, new Uint8Array(4_500_000));
      const failures = new Set<string>();
      for (let i = 0; i < 60; i++) {
        await Promise.all(
          [`a${i}`, `b${i}`].map((id) =>
            database.commit([insertThing(id, i, body)]).then(
              () => answered.push(id),
              (error: { kind: string }) => failures.add(error.kind),
            ),
          ),
        );
      }
      expect([...failures]).toEqual(["disk-full"]);
      rmSync(filler);
      await database.commit([insertThing("room again", 0, body)]);
      answered.push("room again");
      expect(database.broken).toEqual([]);
      await database.close();
      const again = await openAt(path);
      const kept = (await rows(again, "select id from thing")).map((row) => String(row[0]));
      expect(kept.sort()).toEqual(answered.sort());
      expect(await rows(again, "pragma integrity_check")).toEqual([["ok"]]);
      await again.close();
    } finally {
      Bun.spawnSync(["umount", "-l", mount]);
    }
  },
);
