// Looks into a database of a gateway that does not run.
import { createClient } from "@libsql/client";

/** The rows a query gives, as lists of their values. */
export async function rowsOf(file: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  const database = createClient({ url: `file:${file}` });
  try {
    const { rows, columns } = await database.execute(sql);
    return rows.map((row) => columns.map((_name, index) => row[index]));
  } finally {
    database.close();
  }
}
