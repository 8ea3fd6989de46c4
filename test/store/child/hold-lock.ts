// Child process: holds the write lock of a database for a while, as a foreign program would.
import { createClient } from "@libsql/client/sqlite3";

const [path = "", holdMs = "0"] = process.argv.slice(2);
const client = createClient({ url: `file:${path}`, concurrency: 1, timeout: 5000 });
const transaction = await client.transaction("write");
process.stdout.write("held\n");
await Bun.sleep(Number(holdMs));
await transaction.rollback();
client.close();
process.stdout.write("free\n");
