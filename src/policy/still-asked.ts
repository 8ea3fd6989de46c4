// Which servers behind the settings have us ask, and what for: an alarm about one that is asked no more must not stand. No I/O.
import type { Route } from "../delivery/route.ts";
import { type PasswordServerAddress, serverKey } from "../hooks/mail-server-dialogue.ts";
import { type Domain, domainKey } from "../message/address.ts";
import type { PasswordServer } from "./schema-outgoing.ts";
import type { PolicySnapshot } from "./snapshot.ts";

/** Are the recipients of the domain asked of these servers? */
export function isCalledOut(
  snapshot: Pick<PolicySnapshot, "domain">,
  domain: string,
  routes: readonly Route[],
): boolean {
  const settings = snapshot.domain(domainKey(domain) as Domain);
  if (settings === null) return false;
  const { verify } = settings.recipients;
  return (verify === "callout" || verify === "ldap") && Bun.deepEquals(settings.routes, routes);
}

/** Is there a login whose password is checked at this server? */
export function isPasswordServer(
  snapshot: Pick<PolicySnapshot, "domain" | "policy">,
  server: PasswordServerAddress,
): boolean {
  const key = serverKey(server);
  return snapshot.policy.sender.some((sender) => {
    if (sender.kind === "ip" || !sender.enabled || sender.verify !== "mail-server") return false;
    const theirs = snapshot.domain(sender.domain)?.outgoing.password_server ?? null;
    return theirs !== null && serverKey(passwordServerAddress(theirs)) === key;
  });
}

/** A domain's `outgoing.password_server`, as it is asked. */
export function passwordServerAddress(server: PasswordServer): PasswordServerAddress {
  const { protocol, host, port, tls, verify_certificate } = server;
  return { protocol, host, port, tls, verifyCertificate: verify_certificate };
}
