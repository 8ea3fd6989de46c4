// The state the console keeps about who knocks: sessions in use, failed attempts, the set-up in progress. One per console.
import { createRelayPasswords, type RelayPasswords } from "../relay-passwords.ts";
import type { ConsoleServices } from "../services.ts";
import { type AttemptThrottle, createAttemptThrottle } from "./attempt-throttle.ts";
import { createPasswordCheck, type PasswordCheck } from "./password-check.ts";
import { createRequestLimit, type RequestLimit } from "./request-limit.ts";
import { createSessions, type Sessions } from "./sessions.ts";

export interface Gatekeeper {
  readonly sessions: Sessions;
  readonly passwords: PasswordCheck;
  /** Failed log-ins by account and by client. */
  readonly logins: AttemptThrottle;
  /** Wrong set-up codes by client. */
  readonly setupCodes: AttemptThrottle;
  /** Wrong set-up codes of all clients together; waits are short, so that a stranger cannot shut the owner out. */
  readonly allSetupCodes: AttemptThrottle;
  /** Links for new relay passwords. */
  readonly relayPasswords: RelayPasswords;
  /** Looks at and uses of one-time unlock links, by client. */
  readonly links: RequestLimit;
  /** Runs one set-up at a time, so that two browsers cannot both make the first administrator. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}

const MINUTE_MS = 60_000;

export function createGatekeeper(services: ConsoleServices): Gatekeeper {
  let last: Promise<unknown> = Promise.resolve();
  return {
    sessions: createSessions(services.accounts, services.clock),
    passwords: createPasswordCheck(),
    logins: createAttemptThrottle(services.clock, { freeAttempts: 3, maxWaitMs: 5 * MINUTE_MS }),
    setupCodes: createAttemptThrottle(services.clock, { freeAttempts: 5, maxWaitMs: 10 * MINUTE_MS }),
    allSetupCodes: createAttemptThrottle(services.clock, { freeAttempts: 20, maxWaitMs: 5000 }),
    relayPasswords: createRelayPasswords(services),
    links: createRequestLimit(services.clock, { most: 30, windowMs: MINUTE_MS, maxKeys: 20_000 }),
    exclusively(work) {
      const mine = last.then(work, work);
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}
