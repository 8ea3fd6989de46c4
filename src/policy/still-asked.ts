// Which servers behind the settings have us ask, and what for: an alarm about one that is asked no more must not stand. No I/O.
import { loopSubject } from "../delivery/own-mark.ts";
import type { Destination, Route } from "../delivery/route.ts";
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

/** Is this still a way of mail: the routes of a domain, or the smart host? */
export function isWay(
  snapshot: Pick<PolicySnapshot, "domain" | "policy">,
  destination: Destination,
): boolean {
  switch (destination.kind) {
    case "routes": {
      const settings = snapshot.domain(domainKey(loopSubject(destination)) as Domain);
      return (
        settings !== null &&
        destination.routes.every(({ host, port }) =>
          settings.routes.some((route) => route.host === host && route.port === port),
        )
      );
    }
    case "smarthost": {
      const { smarthost } = snapshot.policy.delivery;
      return smarthost?.host === destination.route.host && smarthost.port === destination.route.port;
    }
    case "mx":
      return true;
  }
}
