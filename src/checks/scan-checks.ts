// The checks that run in scan workers: attachments, macros, eicar, gtube, structure, spf, dkim, dmarc, arc. All that are asked about one message go
// to a worker together, in one round trip.

import type { MessageBody } from "../message/body.ts";
import { neighbourhood } from "../message/client-network.ts";
import type { Envelope } from "../message/envelope.ts";
import type { ShareUser } from "../observe/shares.ts";
import type { Finding } from "../rules/fact.ts";
import { ATTACHMENT_FACTS } from "./attachments.ts";
import { AUTHENTICATION_FACTS, type AuthenticationCheck } from "./authenticate-message.ts";
import type { Check, CheckInput } from "./check.ts";
import { MACRO_FACTS } from "./macros.ts";
import type { ContentCheck } from "./scan-message.ts";
import type { ScanAnswer, ScanPool } from "./scan-pool.ts";
import type { FindingsByCheck } from "./scan-protocol.ts";
import { STRUCTURE_FACTS } from "./structure.ts";

export interface ScanCheckOptions {
  readonly pool: Pick<ScanPool, "scan">;
  /** Our own name, for SPF macros. */
  readonly hostname: string;
  /** Longer than the pool's own budgets, whose words say more. Default 75 s. */
  readonly timeoutMs?: number;
}

const CONTENT_FACTS: Readonly<Record<ContentCheck, readonly string[]>> = {
  attachments: ATTACHMENT_FACTS,
  macros: MACRO_FACTS,
  eicar: ["eicar.found"],
  gtube: ["gtube.found"],
  structure: STRUCTURE_FACTS,
};

/** What was asked about one message in the present turn of the event loop, before it goes to the pool. */
interface Batch {
  readonly content: ContentCheck[];
  readonly wanted: AuthenticationCheck[];
  readonly answer: Promise<ScanAnswer>;
}

/** The checks that need nothing but the message itself. */
export function createContentChecks(scan: MessageScan): readonly Check[] {
  return entriesOf(CONTENT_FACTS).map(([name, facts]) => ({
    // A second check of that name: macros are looked for only when a rule asks for them.
    name: name === "macros" ? "attachments" : name,
    facts,
    timeoutMs: scan.timeoutMs,
    async run(input) {
      const batch = scan.batchOf(input);
      batch.content.push(name);
      return findingsOf(await (await batch.answer).parsed, name);
    },
  }));
}

/** SPF, DKIM, DMARC and ARC (requirement I5). */
export function createMailAuthentication(scan: MessageScan): readonly Check[] {
  return entriesOf(AUTHENTICATION_FACTS).map(([name, facts]) => ({
    name,
    facts,
    timeoutMs: scan.timeoutMs,
    async run(input) {
      const batch = scan.batchOf(input);
      batch.wanted.push(name);
      return findingsOf(await (await batch.answer).authenticated, name);
    },
  }));
}

export interface MessageScan {
  readonly timeoutMs: number;
  batchOf(input: CheckInput): Batch;
}

/** Gathers what the checks ask about a message within one turn, so that it is handed over once. */
export function createMessageScan({ pool, hostname, timeoutMs = 75_000 }: ScanCheckOptions): MessageScan {
  const open = new Map<MessageBody, Batch>();
  return {
    timeoutMs,
    batchOf({ raw, envelope }) {
      const known = open.get(raw);
      if (known !== undefined) return known;
      const content: ContentCheck[] = [];
      const wanted: AuthenticationCheck[] = [];
      const answer = Promise.resolve().then(() => {
        open.delete(raw);
        const { ip, helo } = envelope.client;
        const client = { ip, helo, sender: envelope.reversePath ?? "", hostname };
        const authentication = wanted.length === 0 ? null : { client, wanted };
        return pool.scan({ user: userOf(envelope), raw, content, authentication });
      });
      const batch = { content, wanted, answer };
      open.set(raw, batch);
      return batch;
    },
  };
}

/** Who proved to be ours has a share of its own; strangers have one with their neighbours. */
function userOf({ client, recipients }: Envelope): ShareUser {
  if (client.login !== null) return { key: `login ${client.login}`, known: true };
  const known = recipients.some(({ direction }) => direction !== "inbound");
  return { key: known ? client.ip : neighbourhood(client.ip), known };
}

function findingsOf(byCheck: FindingsByCheck, name: string): readonly Finding[] {
  const found = byCheck.find(([check]) => check === name);
  if (found === undefined) throw new Error(`the scan worker did not answer for ${name}`);
  return found[1];
}

function entriesOf<Name extends string>(
  facts: Readonly<Record<Name, readonly string[]>>,
): [Name, readonly string[]][] {
  return Object.entries(facts) as [Name, readonly string[]][];
}
