// The facts of the envelope. Made for every message: no parsing, no copies.
import { domainOf } from "../message/address.ts";
import type { Envelope } from "../message/envelope.ts";
import type { Finding } from "./fact.ts";

/**
 * Findings about the client and the envelope.
 * `sizeBytes` is the message as received; `trusted`: the client is in a trusted network or an IP sender.
 * What is unknown (no reverse name, no login) is left out, because a missing fact counts as absent.
 */
export function envelopeFacts(envelope: Envelope, sizeBytes: number, trusted: boolean): readonly Finding[] {
  const { client, reversePath } = envelope;
  const findings: Finding[] = [
    { check: "client", fact: "client.ip", value: client.ip },
    { check: "client", fact: "client.helo", value: client.helo },
    { check: "client", fact: "client.tls", value: client.tls !== null },
    { check: "client", fact: "client.authenticated", value: client.login !== null },
    { check: "client", fact: "client.trusted", value: trusted },
    { check: "listener", fact: "listener.name", value: envelope.listener },
    { check: "message", fact: "message.size", value: sizeBytes },
    { check: "message", fact: "message.recipients", value: envelope.recipients.length },
    { check: "sender", fact: "sender.address", value: reversePath ?? "" },
    { check: "sender", fact: "sender.domain", value: reversePath === null ? "" : domainOf(reversePath) },
  ];
  if (client.hostname !== null)
    findings.push({ check: "client", fact: "client.hostname", value: client.hostname });
  if (client.login !== null) findings.push({ check: "client", fact: "client.login", value: client.login });
  return findings;
}
