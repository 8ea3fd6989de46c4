// SPF, DKIM, DMARC and ARC of one message by mailauth, as findings. Runs inside a scan worker; asks DNS only through `resolve`.

import type { ARCData, ARCResult } from "mailauth";
import { arc } from "mailauth/lib/arc";
import { eachField, type HeaderField, readHeaderBlock } from "../message/header-block.ts";
import { summarise } from "../message/summary.ts";
import type { Finding } from "../rules/fact.ts";
import {
  arcFindings,
  authorDomain,
  dkimFindings,
  dmarcFindings,
  oversizedSignature,
  readSignature,
  SINGLE_FIELDS,
  type Signature,
  spfFindings,
} from "./authentication-findings.ts";
import { checkSpf } from "./check-spf.ts";
import { judgeDmarc } from "./judge-dmarc.ts";
import { verifyDkim } from "./verify-dkim.ts";

/** The checks this answers, each with its facts. */
export const AUTHENTICATION_FACTS = {
  spf: ["spf.result", "spf.domain", "spf.aligned", "spf.differs", "spf.undecided"],
  dkim: ["dkim.result", "dkim.domains", "dkim.aligned", "dkim.undecided", "dkim.signatures"],
  dmarc: ["dmarc.result", "dmarc.policy", "dmarc.domain", "dmarc.undecided"],
  arc: ["arc.result", "arc.sealer", "arc.instance"],
} as const;
export type AuthenticationCheck = keyof typeof AUTHENTICATION_FACTS;

/** What is known of where the message came from. */
export interface AuthenticationClient {
  readonly ip: string;
  readonly helo: string;
  /** "" for the null reverse-path. */
  readonly sender: string;
  /** Our own name. */
  readonly hostname: string;
}

/** node's `dns.promises.resolve`; rejects with `code` ENOTFOUND, ENODATA or another for "no usable answer". */
export type Resolve = (
  name: string,
  rrtype: string,
) => Promise<string[] | string[][] | { exchange: string; priority: number }[]>;

export interface AuthenticationRequest {
  readonly raw: Uint8Array;
  readonly client: AuthenticationClient;
  readonly wanted: ReadonlySet<AuthenticationCheck>;
  readonly resolve: Resolve;
}

// A message with more is no letter; verifying costs time and look-ups the sender chooses.
const MAX_SIGNATURES = 20;
/**
 * Octets of a DKIM signature or ARC field, and of a line that is no field; longer ones are left out of what mailauth sees. Real ones
 * have one or two thousand; mailauth takes time with the square of their length where they are mostly white space.
 */
const MAX_SIGNATURE_BYTES = 8192;
const MAX_JUNK_BYTES = 1000;
const MAX_HEADER_BYTES = 262_144;
const MAX_FIELDS = 2000;

/**
 * Authenticates the message.
 * @throws Error when the header is beyond what is examined, or mailauth fails.
 */
export async function authenticateMessage(
  request: AuthenticationRequest,
): Promise<ReadonlyMap<AuthenticationCheck, readonly Finding[]>> {
  const { client, wanted, resolve } = request;
  const message = boundedMessage(request.raw);
  // SPF waits for DNS while DKIM is worked on; a failure of either is seen where both are awaited.
  const [spf, dkim] = await Promise.all([
    wanted.has("spf") || wanted.has("dmarc") ? checkSpf(client, resolve) : null,
    verifyDkim(message.bytes, { resolve, sender: client.sender }),
  ]);
  const { fromAddresses: headerFrom, fromFlaw } = summarise(request.raw);
  // What mailauth takes for a second From field counts as one, whatever we make of it.
  const flaw = fromFlaw ?? (dkim.fromFields > 1 ? "stands in more than one field" : null);
  const author = flaw === null ? authorDomain(headerFrom) : null;
  const signatures = [...dkim.results.map((row) => readSignature(row, message.counts)), ...message.oversized];
  const [chain, dmarc] = await Promise.all([
    wanted.has("arc") ? verifyChain(dkim.arc as ARCData | undefined, resolve) : null,
    wanted.has("dmarc") ? judgeDmarc({ headerFrom, flaw, spf, signatures, resolve }) : null,
  ]);
  const findings = new Map<AuthenticationCheck, readonly Finding[]>();
  if (wanted.has("spf") && spf !== null) findings.set("spf", spfFindings(spf, client, author));
  if (wanted.has("dkim")) findings.set("dkim", dkimFindings(signatures, author, message.dropped));
  if (chain !== null) findings.set("arc", arcFindings(chain));
  if (dmarc !== null) findings.set("dmarc", dmarcFindings(dmarc));
  return findings;
}

function verifyChain(data: ARCData | undefined, resolve: Resolve): Promise<ARCResult> {
  // mailauth's own type leaves MX records out, which nobody asks for here.
  const resolver = resolve as (name: string, rrtype: string) => Promise<string[] | string[][]>;
  return arc(data ?? ({} as ARCData), { resolver, strict: true });
}

interface BoundedMessage {
  readonly bytes: Buffer;
  /** How often each field stands that may stand once. */
  readonly counts: ReadonlyMap<string, number>;
  /** Signatures that are left out of what mailauth sees for their length. */
  readonly oversized: readonly Signature[];
  /** How many more signatures were left out because there are too many. */
  readonly dropped: number;
}

function boundedMessage(raw: Uint8Array): BoundedMessage {
  const { text, bodyStart } = readHeaderBlock(raw);
  const surplus: HeaderField[] = [];
  const counts = new Map<string, number>();
  const oversized: Signature[] = [];
  let signatures = 0;
  let dropped = 0;
  let fields = 0;
  eachField(text, (field) => {
    fields++;
    const bytes = field.end - field.start;
    if (SINGLE_FIELDS.has(field.name)) counts.set(field.name, (counts.get(field.name) ?? 0) + 1);
    if (field.name === "dkim-signature") {
      if (++signatures > MAX_SIGNATURES) {
        dropped++;
        surplus.push(field);
      } else if (bytes > MAX_SIGNATURE_BYTES) {
        oversized.push(oversizedSignature(text.slice(field.colon, field.colon + MAX_SIGNATURE_BYTES), bytes));
        surplus.push(field);
      }
    } else if (
      field.name === ""
        ? bytes > MAX_JUNK_BYTES
        : field.name.startsWith("arc-") && bytes > MAX_SIGNATURE_BYTES
    ) {
      surplus.push(field);
    }
    return undefined;
  });
  if (bodyStart > MAX_HEADER_BYTES || fields > MAX_FIELDS) {
    throw new Error(`a header of ${bodyStart} octets and ${fields} fields is too long to be authenticated`);
  }
  const found = { counts, oversized, dropped };
  const whole = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  if (surplus.length === 0) return { bytes: whole, ...found };
  const kept: Buffer[] = [];
  let from = 0;
  for (const field of surplus) {
    kept.push(whole.subarray(from, field.start));
    from = field.end;
  }
  return { bytes: Buffer.concat([...kept, whole.subarray(from)]), ...found };
}
