// DNS for tests of checks: a zone written down, nothing asked outside. Names not in the zone do not exist.
import type { Resolve } from "../../src/checks/authenticate-message.ts";

/** `"TXT example.org"` → strings, `"MX example.org"` → `10 mx.example.org`. A value of null is a server that gives no usable answer. */
export type Zone = Readonly<Record<string, readonly string[] | null>>;

/** What mailauth asks, answered from the zone; every question is noted in `asked`. */
export function zoneResolve(zone: Zone, asked: string[] = []): Resolve {
  const names = new Set(Object.keys(zone).map((key) => key.slice(key.indexOf(" ") + 1)));
  return async (name, rrtype) => {
    const key = `${rrtype} ${name.toLowerCase()}`;
    asked.push(key);
    const records = zone[key];
    if (records === null) throw Object.assign(new Error(`no answer for ${key}`), { code: "ESERVFAIL" });
    if (records === undefined) {
      throw Object.assign(new Error(`nothing for ${key}`), {
        code: names.has(name.toLowerCase()) ? "ENODATA" : "ENOTFOUND",
      });
    }
    switch (rrtype) {
      case "TXT":
        return records.map((text) => [text]);
      case "MX":
        return records.map((text) => {
          const [priority = "0", exchange = ""] = text.split(" ");
          return { priority: Number(priority), exchange };
        });
      default:
        return [...records];
    }
  };
}
