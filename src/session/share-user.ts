// Who a client counts for where something is shared: its login, its network, or itself when the network is trusted.
import type { ShareUser } from "../observe/shares.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { clientNetwork } from "./client-network.ts";
import { isTrusted } from "./connect.ts";
import type { Session } from "./session.ts";

/** A stranger counts with its neighbours: the /24 of IPv4, the /64 of IPv6. */
function networkUser(ip: string, known: boolean): ShareUser {
  const network = clientNetwork(ip);
  if (network === null || known) return { key: ip, known };
  return { key: ip.includes(":") && network.host.includes(":") ? network.host : network.wide, known };
}

/** The user behind a session. Log-ins and trusted hosts are known. */
export function shareUser({ client }: Pick<Session, "client">, snapshot: PolicySnapshot): ShareUser {
  if (client.login !== null) return { key: `login ${client.login}`, known: true };
  return networkUser(client.ip, isTrusted(snapshot, client.ip));
}
