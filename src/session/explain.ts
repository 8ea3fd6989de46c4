// What would be found and decided about a message, without receiving it: `gatepost check`. Nothing is kept or sent.
import { isIP } from "node:net";
import type { Checker } from "../checks/check.ts";
import { domainOf, type MailAddress, parseAddress } from "../message/address.ts";
import type { Client, Direction, Envelope, Grant } from "../message/envelope.ts";
import { newMessageId } from "../message/message-id.ts";
import { summarise } from "../message/summary.ts";
import type { Outgoing } from "../outgoing/outgoing.ts";
import { listenerSchema } from "../policy/schema.ts";
import type { DecisionSubject, OutgoingParty, PolicySnapshot, Writers } from "../policy/snapshot.ts";
import { envelopeFacts } from "../rules/envelope-facts.ts";
import { type Finding, factsOf } from "../rules/fact.ts";
import { KNOWN_FACTS } from "../rules/known-facts.ts";
import type { Verdict } from "../rules/verdict.ts";
import { answeredAsSet } from "./outgoing-message.ts";

/** The circumstances under which the message is thought to come. */
export interface ExplainQuestion {
  readonly raw: Uint8Array;
  /** null: the address in the header From. */
  readonly from: string | null;
  /** Empty: the first relay domain's postmaster. */
  readonly to: readonly string[];
  readonly ip: string;
  readonly helo: string;
  readonly login: string | null;
}

/** The facts, and a verdict for each recipient. */
export interface Explanation {
  readonly findings: readonly Finding[];
  readonly recipients: readonly {
    readonly address: string;
    readonly direction: Direction;
    readonly verdict: Verdict;
  }[];
}

/** A question that cannot be answered; the message says which part. */
class ExplainError extends Error {
  override readonly name = "ExplainError";
}

function addressOf(text: string): MailAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new ExplainError(parsed.reason);
  return parsed.value;
}

function recipientsOf(question: ExplainQuestion, snapshot: PolicySnapshot): readonly MailAddress[] {
  if (question.to.length > 0) return question.to.map(addressOf);
  const domain = snapshot.policy.domain[0];
  if (domain === undefined)
    throw new ExplainError("Name a recipient with --to: there is no relay domain yet.");
  return [addressOf(`postmaster@${domain.name}`)];
}

/** CRLF line ends, as a message has them on the wire: files mostly do not. */
function withCrlf(raw: Uint8Array): Uint8Array {
  const text = Buffer.from(raw).toString("latin1");
  return /(^|[^\r])\n/.test(text) ? Buffer.from(text.replace(/\r?\n/g, "\r\n"), "latin1") : raw;
}

/** The listener the message is thought to come by: one that takes logins and knows networks. */
const THOUGHT_OF = listenerSchema.parse({
  name: "check",
  listen: "127.0.0.1:25",
  auth: "optional",
  relay: ["trusted-networks", "authenticated"],
});

/** The facts of outgoing control, as they are at this moment; counts nothing. */
function outgoingFindings(
  message: {
    readonly envelope: Envelope;
    readonly party: OutgoingParty;
    readonly raw: Uint8Array;
    readonly writer: string | null;
  },
  outgoing: Pick<Outgoing, "identify" | "findings">,
): readonly Finding[] {
  const { envelope, party, raw, writer } = message;
  const header = raw.subarray(0, summarise(raw).headerBytes);
  const { identity } = outgoing.identify(party, writer, header);
  return outgoing.findings({
    id: envelope.id,
    party,
    identity,
    connection: { clientIp: envelope.client.ip },
    recipients: envelope.recipients.map(({ address }) => address),
  });
}

/** Runs every check a rule could ask for, then the rules. Rejects with ExplainError when an address is none. */
export async function explain(
  question: ExplainQuestion,
  services: {
    readonly snapshot: PolicySnapshot;
    readonly checker: Pick<Checker, "run">;
    readonly now: number;
    /** Left out: who is behind outgoing mail is not said. */
    readonly outgoing?: Pick<Outgoing, "identify" | "findings">;
  },
): Promise<Explanation> {
  const { snapshot } = services;
  if (isIP(question.ip) === 0) throw new ExplainError(`"${question.ip}" is not an IP address.`);
  const raw = withCrlf(question.raw);
  const from = question.from ?? summarise(raw).fromAddresses[0] ?? "";
  const reversePath = from === "" || from === "<>" ? null : addressOf(from);
  const trusted = snapshot.trustedNetwork(question.ip) !== null;
  const client: Client = {
    ip: question.ip,
    port: 0,
    helo: question.helo,
    hostname: null,
    tls: null,
    login: question.login,
  };
  const writers: Writers = { reversePath, from: summarise(raw).fromAddresses };
  const party = snapshot.outgoingParty(THOUGHT_OF, client, writers);
  const inside = trusted || question.login !== null;
  const recipients = recipientsOf(question, snapshot).map((address) => {
    const ours = snapshot.domain(domainOf(address)) !== null;
    const direction: Direction = ours ? (inside ? "internal" : "inbound") : "outbound";
    const grant: Grant = { by: "relay-domain", domain: domainOf(address) };
    return { address, dsn: null, direction, grant };
  });
  const envelope: Envelope = {
    id: newMessageId(services.now),
    listener: "check",
    client,
    reversePath,
    recipients,
    smtpUtf8: false,
    body: "8bitmime",
    requireTls: false,
    dsnRet: null,
    dsnEnvid: null,
    receivedAt: services.now,
  };
  const wanted = new Set(KNOWN_FACTS.map((fact) => fact.name));
  const findings = [
    ...envelopeFacts(envelope, raw.byteLength, trusted),
    ...(party === null || services.outgoing === undefined
      ? []
      : outgoingFindings(
          { envelope, party, raw, writer: snapshot.writerOf(party, writers, client.ip) },
          services.outgoing,
        )),
    ...(await services.checker.run({ envelope, raw }, wanted)),
  ];
  const facts = factsOf(findings);
  return {
    findings,
    recipients: recipients.map(({ address, direction }) => {
      const subject: DecisionSubject = {
        recipient: address,
        direction,
        reversePath,
        login: client.login,
        party,
      };
      const verdict = snapshot.decide(facts, subject);
      const [answered] = party === null ? [verdict] : answeredAsSet([verdict], party, snapshot);
      return { address, direction, verdict: answered ?? verdict };
    }),
  };
}
