// With which keys a message is signed: chosen from what is active, unsealed and parsed once.
import type { Log } from "../observe/log.ts";
import type { DkimKeyRow } from "../store/dkim-rows.ts";
import type { ApplianceKey } from "../vault/appliance-key.ts";
import type { DomainKeys } from "./key-book.ts";
import { readPrivateKey } from "./make-key.ts";
import type { SigningKey } from "./sign-message.ts";

const MAX_NOTED = 1000;
const NOTE_EVERY_MS = 3_600_000;

/** Binds a sealed private key to its name: moved to another row it does not open. */
export function sealPurpose({ domain, selector }: Pick<DkimKeyRow, "domain" | "selector">): string {
  return `dkim ${domain} ${selector}`;
}

export interface KeyChoice {
  /**
   * The keys for an order: the named selector's when it is active, else all active ones of the domain, RSA first. Empty: none signs.
   * @throws Error in words when a key cannot be opened.
   */
  choose(keys: DomainKeys, selector: string | null): readonly SigningKey[];
}

/** `now` in milliseconds UTC. */
export function createKeyChoice(parts: {
  readonly applianceKey: ApplianceKey;
  readonly log: Log;
  readonly now: () => number;
}): KeyChoice {
  const { applianceKey, log, now } = parts;
  // Rows are replaced, never changed, so a parsed key lives as long as its row.
  const parsed = new WeakMap<DkimKeyRow, SigningKey>();
  const chosen = new WeakMap<DomainKeys, readonly SigningKey[]>();
  const noted = new Map<string, number>();

  const parse = (row: DkimKeyRow): SigningKey => {
    const known = parsed.get(row);
    if (known !== undefined) return known;
    const privateKey = applianceKey.open(row.privateKey, sealPurpose(row));
    if (privateKey === null) throw new Error(unopenedWords(row));
    const key: SigningKey = {
      selector: row.selector,
      algorithm: row.algorithm,
      key: readPrivateKey(privateKey),
    };
    parsed.set(row, key);
    return key;
  };

  const allActive = (keys: DomainKeys): readonly SigningKey[] => {
    const known = chosen.get(keys);
    if (known !== undefined) return known;
    const active = keys.filter(({ state }) => state === "active");
    const inOrder = [
      ...active.filter(({ algorithm }) => algorithm === "rsa"),
      ...active.filter(({ algorithm }) => algorithm !== "rsa"),
    ].map(parse);
    chosen.set(keys, inOrder);
    return inOrder;
  };

  /** Once an hour for each: thousands of messages may ask for the same. */
  const note = (domain: string, selector: string): void => {
    const name = `${selector} ${domain}`;
    if ((noted.get(name) ?? Number.NEGATIVE_INFINITY) > now() - NOTE_EVERY_MS) return;
    if (noted.size >= MAX_NOTED) noted.clear();
    noted.set(name, now());
    log.warn(
      { domain, selector },
      "the DKIM key asked for is not active; the domain's own keys sign instead",
    );
  };

  return {
    choose(keys, selector) {
      if (selector === null) return allActive(keys);
      const named = keys.find((row) => row.selector === selector);
      if (named?.state === "active") return [parse(named)];
      const [first] = keys;
      if (first !== undefined) note(first.domain, selector);
      return allActive(keys);
    },
  };
}

/** Why a sealed key does not open, and what to do. */
export function unopenedWords({ domain, selector }: Pick<DkimKeyRow, "domain" | "selector">): string {
  return `The DKIM key "${selector}" of ${domain} cannot be opened: the file appliance.key is not the one it was sealed with. Restore that file from a backup and start again, or retire the key and make another. Until then mail to be signed with it waits.`;
}
