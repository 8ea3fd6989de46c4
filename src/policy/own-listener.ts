// Servers that are set behind the gateway and are one of its own listeners: what is handed there comes back. Said with the change that brings
// them, as far as the settings and this machine's addresses tell; what DNS or NAT hide is met by the first delivery (`delivery/own-mark.ts`).
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { serverName } from "../hooks/mail-server-dialogue.ts";
import type { ListenerSettings, Policy } from "./schema.ts";
import { passwordServerAddress } from "./still-asked.ts";

interface Place {
  readonly host: string;
  readonly port: number;
}

/** Warnings, each beginning with the item it is about. */
export function ownListenerWarnings(policy: Policy): readonly string[] {
  const listeners = policy.listener.filter(({ enabled }) => enabled);
  const own = (place: Place): string | null => {
    const found = listeners.find((listener) => isAt(listener, place));
    return found === undefined
      ? null
      : `${place.host}:${place.port} is this gateway's own listener ${found.name}`;
  };
  const warnings: string[] = [];
  for (const { name, routes, outgoing } of policy.domain) {
    for (const route of routes) {
      const words = own(route);
      if (words !== null)
        warnings.push(
          `domain ${name}: its route ${words}: its mail would come back, and waits here; name the mail server behind the gateway`,
        );
    }
    const server = outgoing.password_server;
    const words = server === null ? null : own(placeOf(serverName(passwordServerAddress(server))));
    if (words !== null)
      warnings.push(
        `domain ${name}: its password server ${words}: no password can be checked there; name the mail server behind the gateway`,
      );
  }
  const { smarthost } = policy.delivery;
  const words = smarthost === null ? null : own(smarthost);
  if (words !== null)
    warnings.push(
      `delivery: the smart host ${words}: mail to the world would come back, and waits here; name the server that takes it, or none`,
    );
  return warnings;
}

/** `smtp mail.example.test:587`. */
function placeOf(name: string): Place {
  const colon = name.lastIndexOf(":");
  return { host: name.slice(name.indexOf(" ") + 1, colon), port: Number(name.slice(colon + 1)) };
}

function isAt({ listen }: ListenerSettings, { host, port }: Place): boolean {
  const colon = listen.lastIndexOf(":");
  if (Number(listen.slice(colon + 1)) !== port) return false;
  const at = bare(listen.slice(0, colon));
  const asked = bare(host.toLowerCase() === "localhost" ? "127.0.0.1" : host)?.toString();
  if (at === null || asked === undefined) return false;
  return at.range() === "unspecified" ? isHere(asked) : at.toString() === asked;
}

/** An address in its usual form; null: a name. */
function bare(host: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  const text = host.replace(/^\[(?:ipv6:)?|\]$/gi, "");
  return ipaddr.isValid(text) ? ipaddr.process(text) : null;
}

/** An address of this machine. */
function isHere(address: string): boolean {
  if (["loopback", "unspecified"].includes(ipaddr.process(address).range())) return true;
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((entry) => bare(entry.address.replace(/%.*$/, ""))?.toString() === address),
  );
}
