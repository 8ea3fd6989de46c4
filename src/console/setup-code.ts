// The set-up code: whoever reads it on the machine may make an administrator in the browser. It works once.
import { randomInt } from "node:crypto";
import type { Clock } from "../observe/clock.ts";
import type { Accounts } from "../store/accounts.ts";

// Without letters and digits that look alike.
const ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const GROUPS = 3;
const GROUP_LENGTH = 4;
export const RESET_VALID_MS = 60 * 60_000;

export interface SetupCode {
  /** The code, or null when none is valid. */
  current(): string | null;
  /**
   * A new code, although there are administrators: for somebody who lost the password (`gatepost admin reset`). It is over after
   * `RESET_VALID_MS`; while nobody has an account it holds until it is used.
   */
  renew(): Promise<string>;
  /** The accounts, with the code used up by the next one that is made. */
  readonly accounts: Accounts;
}

function newCode(): string {
  const group = () =>
    Array.from({ length: GROUP_LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join("");
  return Array.from({ length: GROUPS }, group).join("-");
}

/** Makes the code: there is one at start while nobody has an account. 60 bits, kept in memory only. */
export async function createSetupCode(accounts: Accounts, clock: Pick<Clock, "now">): Promise<SetupCode> {
  let code = (await accounts.count()) === 0 ? newCode() : null;
  let until = Number.POSITIVE_INFINITY;
  return {
    current() {
      if (clock.now() >= until) code = null;
      return code;
    },
    async renew() {
      const first = (await accounts.count()) === 0;
      until = first ? Number.POSITIVE_INFINITY : clock.now() + RESET_VALID_MS;
      code = newCode();
      return code;
    },
    accounts: {
      ...accounts,
      async create(account) {
        const made = await accounts.create(account);
        code = null;
        return made;
      },
    },
  };
}
