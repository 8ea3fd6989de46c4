// All connections that rest, whatever pool they belong to: a bound for them together, the oldest leaves first. They are held for mail that may
// come, so they are the first to go when this process has no descriptors left for what it must do now.
import { descriptorLimit } from "../config/descriptors.ts";
import type { SmtpSession } from "./smtp-session.ts";

export interface RestingLinks {
  /** It rests from now on. `drop` takes it out of its pool, should it have to leave. */
  add(session: SmtpSession, drop: () => void): void;
  /** It works again, or is over. */
  remove(session: SmtpSession): void;
  /** Ends all of them at once, without a farewell; how many there were. */
  cutAll(): number;
}

/** A twentieth of the descriptors: the rest is for clients, attempts, files and the names that are looked up. */
function usualMost(): number {
  return Math.max(10, Math.min(500, Math.floor(descriptorLimit() / 20)));
}

/** Makes the list, for `most` connections. */
export function createRestingLinks(most = usualMost()): RestingLinks {
  // In the order in which they came to rest.
  const resting = new Map<SmtpSession, () => void>();
  function takeOldest(): SmtpSession | null {
    for (const [session, drop] of resting) {
      resting.delete(session);
      drop();
      return session;
    }
    return null;
  }
  return {
    add(session, drop) {
      resting.set(session, drop);
      if (resting.size > most) takeOldest()?.leave();
    },
    remove(session) {
      resting.delete(session);
    },
    cutAll() {
      const count = resting.size;
      for (let oldest = takeOldest(); oldest !== null; oldest = takeOldest()) oldest.cut();
      return count;
    },
  };
}
