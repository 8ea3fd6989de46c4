// The reverse name of a client, believed only when the name leads back to the address.
import type { Resolver } from "./resolver.ts";

/** Owners of an address may publish any number of names; more are not looked at. */
const MAX_NAMES = 5;

/**
 * The first name in the reverse zone of `ip` whose own address records hold `ip` (forward-confirmed, RFC 8601 §2.7.3), lower case without
 * a trailing dot. Null when there is none, or none was found within `timeoutMs`. Never rejects.
 */
export async function verifiedName(
  resolver: Pick<Resolver, "a" | "aaaa" | "ptr">,
  options: { readonly ip: string; readonly timeoutMs: number },
): Promise<string | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), options.timeoutMs);
  try {
    return await Promise.race([lookUp(resolver, options.ip), late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function lookUp(resolver: Pick<Resolver, "a" | "aaaa" | "ptr">, ip: string): Promise<string | null> {
  const names = await resolver.ptr(ip);
  if (!names.ok) return null;
  for (const raw of names.records.slice(0, MAX_NAMES)) {
    const name = raw.toLowerCase().replace(/\.$/, "");
    if (!/^[a-z0-9._-]{1,253}$/.test(name)) continue;
    const addresses = await (ip.includes(":") ? resolver.aaaa(name) : resolver.a(name));
    if (addresses.ok && addresses.records.includes(ip)) return name;
  }
  return null;
}
