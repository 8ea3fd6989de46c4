// What the console needs of DKIM keys for pages and API alike: whose they are, and how new ones are named.
import type { DkimKey } from "../dkim/dkim.ts";
import type { ConsoleContext } from "./console-env.ts";
import { inScope, ownDomains } from "./domain-scope.ts";

export interface KeysOfDomain {
  readonly domain: string;
  /** False: the domain was removed and left keys behind; they can be retired and removed. */
  readonly isOurs: boolean;
  readonly keys: readonly DkimKey[];
}

/** The keys of the domain in the address; null when there is no such domain that whoever asks may see. */
export async function keysInAddress(c: ConsoleContext): Promise<KeysOfDomain | null> {
  const domain = (c.req.param("key") ?? "").toLowerCase();
  if (!inScope(ownDomains(c), domain)) return null;
  const services = c.get("services");
  const isOurs = services.settings.current().policy.domain.some(({ name }) => name === domain);
  const keys = await services.dkim.list(domain);
  return isOurs || keys.length > 0 ? { domain, isOurs, keys } : null;
}

/** `gate1`, or the next number that is free: a selector is never used twice, because old mail still names it. */
export function nextSelector(keys: readonly DkimKey[]): string {
  const numbers = keys.map(({ selector }) => Number(/^gate(\d{1,4})$/.exec(selector)?.[1] ?? 0));
  return `gate${Math.max(0, ...numbers) + 1}`;
}
