// What the parts of outgoing control share while it runs, and the few things they all do with it.
import type { MailAddress } from "../message/address.ts";
import type { Clock } from "../observe/clock.ts";
import type { OutgoingParty } from "../policy/snapshot.ts";
import type { Correspondents } from "./correspondents.ts";
import { HourBook } from "./hour-book.ts";
import type { OutgoingMessage } from "./outgoing.ts";
import type { Locks } from "./run-locks.ts";
import type { CountedConnections } from "./sending-limits.ts";
import type { SentMessages } from "./sent-messages.ts";
import { addVolume, type Tally } from "./tally.ts";
import type { TallyStore } from "./tally-store.ts";

export interface OutgoingParts {
  readonly clock: Clock;
  readonly store: TallyStore;
  readonly locks: Locks;
  readonly correspondents: Correspondents;
  /** The address is in one of our own domains. */
  readonly isOurs: (address: MailAddress) => boolean;
  readonly counted: CountedConnections;
  readonly sent: SentMessages;
}

/** The tallies of a party and of the identity behind a message of it. */
export interface Seen {
  readonly now: number;
  readonly sender: Tally;
  readonly identity: Tally | null;
}

/** Finds or makes the tallies; being asked for is being seen. */
export function seen({ store, clock }: OutgoingParts, party: OutgoingParty, name: string | null): Seen {
  const now = clock.now();
  const { domain } = party.sender;
  const sender = store.get(party.key, "", domain);
  sender.lastSeen = now;
  if (name === null) return { now, sender, identity: null };
  const identity = store.get(party.key, name, domain);
  identity.lastSeen = now;
  return { now, sender, identity };
}

/**
 * The identity that mail shares behind which nobody is found: to leave a header out, or to send without a reverse path, must be no
 * way around a lock.
 */
export const NOBODY = "(no identity)";

/** The tallies of a message whose header is in. */
export function seenBehind(parts: OutgoingParts, { party, identity }: OutgoingMessage): Seen {
  return seen(parts, party, identity ?? NOBODY);
}

/** The recipient is known to the domain: wrote to it before, or is one of our own people, who can be written to all at once. */
export function correspondence({ correspondents, isOurs }: OutgoingParts) {
  return (recipient: MailAddress, domain: string): boolean =>
    correspondents.has(recipient, domain) || isOurs(recipient);
}

/** Calls `count` for the sender and, where there is one, the identity; both are saved later. */
export function countBoth(
  { store }: OutgoingParts,
  { sender, identity }: Seen,
  count: (tally: Tally) => void,
): void {
  count(sender);
  store.changed(sender);
  if (identity === null) return;
  count(identity);
  store.changed(identity);
}

/** Adds to the volume of the day and of the hour. */
export function countVolume(
  tally: Tally,
  now: number,
  field: "messages" | "recipients" | "spam" | "refused",
  count = 1,
): void {
  addVolume(tally, now, field, count);
  tally.hours ??= new HourBook();
  tally.hours.add(now, field, count);
}
