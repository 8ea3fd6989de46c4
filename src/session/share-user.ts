// Who a client counts for where something is shared: its login, its network, or itself when the network is trusted.

import { neighbourhood } from "../message/client-network.ts";
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

/** For whom its mail counts in the queue: a log-in, else the sender of ours, else as above. Of one mail server's tenants each counts alone. */
export function mailUser(
  session: Pick<Session, "client" | "trusted">,
  { party, snapshot }: Pick<Transaction, "party" | "snapshot">,
): string {
  if (session.client.login === null && party !== null) return `sender ${party.key}`;
  return shareUser(session, snapshot).key;
}
