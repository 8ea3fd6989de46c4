// SPF of one message (RFC 7208): mailauth reads and evaluates the records; the limits, the clock and what identity is asked are ours.

import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";
import { type SpfLookup, type SpfMatch, spfVerify } from "mailauth/lib/spf/spf-verify";
import type { AuthenticationClient, Resolve } from "./authenticate-message.ts";

export type SpfVerdict = "none" | "neutral" | "pass" | "softfail" | "fail" | "temperror" | "permerror";

export interface SpfOutcome {
  readonly result: SpfVerdict;
  /** Lower case; of MAIL FROM or, for the null reverse-path, of HELO (RFC 7208 §2.4). */
  readonly domain: string;
  /** The record that was evaluated, "" when there is none. */
  readonly record: string;
}

/** RFC 7208 §4.6.4: terms that ask DNS, hosts asked for one term, and terms that may find nothing. */
const MAX_LOOKUPS = 10;
const MAX_VOID = 2;
/** All of one evaluation; the RFC wants at least 20 s. */
const TIME_LIMIT_MS = 20_000;

const RESULT_OF: Readonly<Record<string, SpfVerdict>> = {
  "+": "pass",
  "-": "fail",
  "~": "softfail",
  "?": "neutral",
  none: "none",
  permerror: "permerror",
};

class SpfError extends Error {
  override readonly name = "SpfError";
  readonly spfResult: { error: SpfVerdict; rr?: string };
  constructor(error: SpfVerdict, message: string) {
    super(message);
    this.spfResult = { error };
  }
}

/** Evaluates SPF for the client. Never rejects: what cannot be looked up now is `temperror`. */
export async function checkSpf(client: AuthenticationClient, resolve: Resolve): Promise<SpfOutcome> {
  const helo = client.helo === "" ? `[${client.ip}]` : client.helo;
  const address = client.sender === "" ? `postmaster@${helo}` : client.sender;
  const at = address.lastIndexOf("@");
  const domain = askedDomain(address.slice(at + 1));
  const outcome = (result: SpfVerdict, record = ""): SpfOutcome => ({ result, domain, record });
  if (!isAskable(domain)) return outcome("none");
  const { promise: late, reject } = Promise.withResolvers<never>();
  late.catch(() => undefined);
  const timer = setTimeout(
    () => reject(new SpfError("temperror", "SPF took more than its time")),
    TIME_LIMIT_MS,
  );
  try {
    const lookUp = askOnce(resolve);
    const evaluation = spfVerify(domain, {
      sender: at < 1 ? `postmaster@${domain}` : `${address.slice(0, at)}@${domain}`,
      // IPv4 in IPv6's clothes is IPv4 (RFC 7208 §5).
      ip: ipaddr.isValid(client.ip) ? ipaddr.process(client.ip).toString() : client.ip,
      helo,
      mta: client.hostname,
      strict: true,
      resolver: limited(lookUp, { maxVoid: MAX_VOID, firstIsFree: true }),
      // The explanation is text of the sender's choice that nobody here reads: not asked for.
      expResolver: () => Promise.reject(new Error("explanations are not fetched")),
      createSubResolver: (options) =>
        limited(lookUp, { maxVoid: options?.ignoreVoid ? Number.POSITIVE_INFINITY : MAX_VOID }),
    });
    evaluation.catch(() => undefined);
    const match: SpfMatch | false = await Promise.race([evaluation, late]);
    if (match === false) return outcome("temperror");
    return outcome(RESULT_OF[match.qualifier ?? match.error ?? "?"] ?? "temperror", match.rr);
  } catch (error) {
    const told = spfResultOf(error);
    return outcome(RESULT_OF[told.error] ?? "temperror", told.rr);
  } finally {
    clearTimeout(timer);
  }
}

function spfResultOf(error: unknown): { readonly error: string; readonly rr?: string } {
  if (typeof error === "object" && error !== null && "spfResult" in error) {
    const told = error.spfResult;
    if (typeof told === "object" && told !== null && "error" in told && typeof told.error === "string") {
      return "rr" in told && typeof told.rr === "string"
        ? { error: told.error, rr: told.rr }
        : { error: told.error };
    }
  }
  return { error: "temperror" };
}

/** Lower case, U-labels as A-labels (RFC 8616 §4), without the root's dot; as it was when it cannot be such a name. */
function askedDomain(text: string): string {
  const ascii = /[^\x00-\x7f]/.test(text) ? domainToASCII(text) || text : text;
  return ascii.toLowerCase().replace(/\.$/, "");
}

/** RFC 7208 §4.3: a name of several labels, none of them empty or too long. Underscores are in use and in order. */
function isAskable(domain: string): boolean {
  const labels = domain.split(".");
  return (
    domain.length <= 253 && labels.length > 1 && labels.every((label) => /^[a-z0-9_-]{1,63}$/.test(label))
  );
}

/** One question is asked once, however many terms ask it; each of them still counts. */
function askOnce(resolve: Resolve): SpfLookup {
  const asked = new Map<string, Promise<unknown[]>>();
  return async (name, rrtype) => {
    const key = `${rrtype} ${name.toLowerCase()}`;
    const known = asked.get(key) ?? resolve(name, rrtype);
    asked.set(key, known);
    known.catch(() => undefined);
    // A copy: mailauth sorts lists in place.
    return [...(await known)];
  };
}

/** The look-ups of one evaluation, or of one term with many hosts, under the limits of RFC 7208 §4.6.4. */
function limited(
  lookUp: SpfLookup,
  { maxVoid, firstIsFree = false }: { readonly maxVoid: number; readonly firstIsFree?: boolean },
): SpfLookup {
  let asked = firstIsFree ? -1 : 0;
  let found = 0;
  return async (name, rrtype) => {
    if (++asked > MAX_LOOKUPS) throw new SpfError("permerror", "too many DNS look-ups");
    try {
      if (isTarget(name)) return await lookUp(name, rrtype);
      throw Object.assign(new Error("no name to ask"), { code: "ENOTFOUND" });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      if (code !== "ENOTFOUND" && code !== "ENODATA") {
        throw new SpfError("temperror", error instanceof Error ? error.message : "no usable answer");
      }
      if (++found > maxVoid) throw new SpfError("permerror", "too many look-ups that find nothing");
      return [];
    }
  };
}

/** Any octets may stand in the labels that macros make; the last label has to look like one (RFC 7208 §7.1). */
function isTarget(name: string): boolean {
  return (
    name.length <= 253 &&
    /^(?:[\x20-\x2d\x2f-\x7e]{1,63}\.)+(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])$/i.test(name)
  );
}
