// Who a client counts for where something is shared: its login, its network, or itself when the network is trusted.

import { neighbourhood } from "../message/client-network.ts";
import type { ShareUser } from "../observe/shares.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { isTrustedClient } from "./connect.ts";
import type { Session } from "./session.ts";

/** The user behind a session. Log-ins and trusted hosts are known. */
export function shareUser(session: Pick<Session, "client" | "trusted">, snapshot: PolicySnapshot): ShareUser {
  const { client } = session;
  if (client.login !== null) return { key: `login ${client.login}`, known: true };
  const known = isTrustedClient(session, snapshot);
  return { key: known ? client.ip : neighbourhood(client.ip), known };
}
