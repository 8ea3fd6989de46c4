// Shuts out networks that are banned (requirement L4), before a word is said.
import { type Answer, closing } from "./answer.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

/** Beyond this the answer is for good, so that a mail server does not try until its queue gives up. */
const LONG_BAN_MS = 12 * 3_600_000;

/**
 * The answer to a banned client, or null. Where one can log in, an address that has logged in before may try: a stranger behind the
 * same address must not shut a person out. `Bans.refuseLogin` then lets it into its own accounts only.
 */
export function refuseBanned(
  { client, listener }: Pick<Session, "client" | "listener">,
  services: Pick<SessionServices, "bans">,
): Answer | null {
  const ban = services.bans.banned(client.ip);
  if (ban === null || (listener.auth !== "off" && services.bans.isKnown(client.ip))) return null;
  const cause = `${ban.network} is banned: ${ban.words}`;
  return ban.until - ban.since >= LONG_BAN_MS
    ? closing(554, "7.0", "Access denied after too many failed attempts from your network", cause)
    : closing(421, "7.0", "Too many failed attempts from your network, try again later", cause);
}
