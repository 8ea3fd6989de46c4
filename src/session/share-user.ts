// Who a client counts for where something is shared: its login, its network, or itself when the network is trusted.
import { domainOf, type MailAddress } from "../message/address.ts";
import { neighbourhood } from "../message/client-network.ts";
import { mailShare } from "../message/mail-share.ts";
import { organisation } from "../message/organisation.ts";
import type { ShareUser } from "../observe/shares.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { isTrustedClient } from "./connect.ts";
import type { Session, Transaction } from "./session.ts";

/** The user behind a session. Log-ins and trusted hosts are known. */
export function shareUser(session: Pick<Session, "client" | "trusted">, snapshot: PolicySnapshot): ShareUser {
  const { client } = session;
  if (client.login !== null) return { key: `login ${client.login}`, known: true };
  const known = isTrustedClient(session, snapshot);
  return { key: known ? client.ip : neighbourhood(client.ip), known };
}

/**
 * For whom its mail counts in the queue: a log-in, else the sender of ours, else as above; and who is behind it: the identity, of mail from
 * outside the organisation of the envelope sender. Of one mail server's tenants each counts alone, and of one tenant's people each.
 */
export function mailUser(
  session: Pick<Session, "client" | "trusted">,
  {
    transaction: { party, snapshot, reversePath },
    identity,
  }: {
    readonly transaction: Pick<Transaction, "party" | "snapshot" | "reversePath">;
    /** Of outgoing mail; null: none was found. */
    readonly identity: string | null;
  },
): string {
  const { login } = session.client;
  if (login !== null) {
    const isItself = party === null || identity?.toLowerCase() === login.toLowerCase();
    return mailShare(`login ${login}`, isItself ? null : (identity ?? ""));
  }
  const writer = reversePath === null ? "" : organisationOf(reversePath);
  if (party === null) return mailShare(shareUser(session, snapshot).key, writer);
  // A server of ours may hand in what others wrote, as a second MX does: there is no identity behind it.
  return mailShare(`sender ${party.key}`, identity ?? (party.server === undefined ? "" : writer));
}

/** Whoever can have names in a domain can have any number of them: they count together. */
function organisationOf(address: MailAddress): string {
  const domain = domainOf(address);
  return organisation(domain) ?? domain;
}
