// SPF, DKIM, DMARC and ARC of one message by mailauth, as findings. Runs inside a scan worker; asks DNS only through `resolve`.

import type { ARCData } from "mailauth";
import { arc } from "mailauth/lib/arc";
import { dkimVerify } from "mailauth/lib/dkim/verify";
import { evaluateDmarc } from "mailauth/lib/dmarc";
import { spf } from "mailauth/lib/spf";
import { eachField, type HeaderField, readHeaderBlock } from "../message/header-block.ts";
import type { Finding } from "../rules/fact.ts";
import {
  arcFindings,
  authorDomain,
  dkimFindings,
  dmarcFindings,
  readSignature,
  spfFindings,
} from "./authentication-findings.ts";

/** The checks this answers, each with its facts. */
export const AUTHENTICATION_FACTS = {
  spf: ["spf.result", "spf.domain", "spf.aligned"],
  dkim: ["dkim.result", "dkim.domains", "dkim.aligned"],
  dmarc: ["dmarc.result", "dmarc.policy", "dmarc.domain"],
  arc: ["arc.result"],
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
const SPF_TIME_LIMIT_MS = 10_000;

/**
 * Authenticates the message.
 * @throws Error when the header is beyond what is examined, or mailauth fails.
 */
export async function authenticateMessage(
  request: AuthenticationRequest,
): Promise<ReadonlyMap<AuthenticationCheck, readonly Finding[]>> {
  const { client, wanted } = request;
  const message = boundedMessage(request.raw);
  // mailauth's own type leaves MX records out, which `dns.promises.resolve` answers as objects.
  const resolver = request.resolve as (name: string, rrtype: string) => Promise<string[] | string[][]>;
  const findings = new Map<AuthenticationCheck, readonly Finding[]>();
  const needsSpf = wanted.has("spf") || wanted.has("dmarc");
  const spfRun = needsSpf ? checkSpf(client, resolver) : null;
  // SPF waits for DNS while DKIM is worked on; a failure of either is seen where both are awaited.
  const [spfResult, dkim] = await Promise.all([
    spfRun,
    dkimVerify(message.bytes, { resolver, sender: client.sender, strict: true }),
  ]);
  const fromFields = Math.max(dkim.fromFields ?? 0, message.fromFields);
  const headerFrom = [...(dkim.headerFrom ?? [])];
  const author = authorDomain(fromFields, headerFrom);
  const signatures = dkim.results.map(readSignature);
  const arcResult =
    wanted.has("arc") || wanted.has("dmarc")
      ? await arc((dkim.arc ?? {}) as ARCData, { resolver, strict: true })
      : null;

  if (wanted.has("spf") && spfResult !== null) findings.set("spf", spfFindings(spfResult, client.ip, author));
  if (wanted.has("dkim")) findings.set("dkim", dkimFindings(signatures, author, message.dropped));
  if (wanted.has("arc") && arcResult !== null) findings.set("arc", arcFindings(arcResult.status.result));
  if (wanted.has("dmarc")) {
    const passing = signatures.filter((signature) => signature.passes);
    const { response, reason } = await evaluateDmarc({
      headerFrom,
      fromFields,
      spfDomains: spfResult?.status.result === "pass" && spfResult.domain ? [spfResult.domain] : [],
      dkimDomains: passing.map((signature) => ({ domain: signature.domain })),
      resolver,
      strict: true,
    });
    findings.set("dmarc", dmarcFindings(response, reason ?? null, headerFrom));
  }
  return findings;
}

interface BoundedMessage {
  readonly bytes: Buffer;
  readonly fromFields: number;
  /** How many DKIM signatures were left out of what mailauth sees. */
  readonly dropped: number;
}

function boundedMessage(raw: Uint8Array): BoundedMessage {
  const { text, bodyStart } = readHeaderBlock(raw);
  const surplus: HeaderField[] = [];
  let fromFields = 0;
  let signatures = 0;
  let dropped = 0;
  let fields = 0;
  eachField(text, (field) => {
    fields++;
    const bytes = field.end - field.start;
    if (field.name === "from") fromFields++;
    if (field.name === "dkim-signature") {
      if (++signatures > MAX_SIGNATURES || bytes > MAX_SIGNATURE_BYTES) {
        dropped++;
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
  const whole = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  if (surplus.length === 0) return { bytes: whole, fromFields, dropped };
  const kept: Buffer[] = [];
  let from = 0;
  for (const field of surplus) {
    kept.push(whole.subarray(from, field.start));
    from = field.end;
  }
  return { bytes: Buffer.concat([...kept, whole.subarray(from)]), fromFields, dropped };
}

type MailauthResolver = (name: string, rrtype: string) => Promise<string[] | string[][]>;

function checkSpf(client: AuthenticationClient, resolver: MailauthResolver): ReturnType<typeof spf> {
  const helo = client.helo === "" ? `[${client.ip}]` : client.helo;
  return spf({
    sender: client.sender,
    ip: client.ip,
    helo,
    mta: client.hostname,
    resolver,
    strict: true,
    maxElapsedTime: SPF_TIME_LIMIT_MS,
  });
}
