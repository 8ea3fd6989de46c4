// Child process: writes as fast as it can and prints each id once its commit has resolved, until it is killed.
import { insertThing, openAt } from "../temporary-database.ts";

const database = await openAt(process.argv[2] ?? "");
const body = new Uint8Array(4096).fill(120);
let next = 0;

async function writer(): Promise<void> {
  for (;;) {
    const id = `t${next++}`;
    await database.commit([
      insertThing(id, next, body),
      { sql: 'insert into "other" ("thing", "words") values (?, ?)', params: [id, "w"] },
    ]);
    process.stdout.write(`${id}\n`);
  }
}

await Promise.all(Array.from({ length: 20 }, writer));
