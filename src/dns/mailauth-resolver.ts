// The resolver in the shape mailauth wants: node's `dns.promises.resolve`, with error codes.
import { addressOfReverseName } from "./query-name.ts";
import type { DnsAnswer, DnsFailure, MxRecord, Resolver } from "./resolver.ts";

/** An error with a code of node's dns module. */
class DnsLookupError extends Error {
  override readonly name = "DnsLookupError";
  readonly code: "ENODATA" | "ENOTFOUND" | "ESERVFAIL";
  constructor(code: "ENODATA" | "ENOTFOUND" | "ESERVFAIL", message: string) {
    super(message);
    this.code = code;
  }
}

const CODE: Readonly<Record<DnsFailure, DnsLookupError["code"]>> = {
  nodata: "ENODATA",
  nxdomain: "ENOTFOUND",
  servfail: "ESERVFAIL",
};

/** Addresses and names as strings, TXT as lists of strings, MX as records with `exchange` and `priority`. */
export type MailauthRecords = string[] | string[][] | MxRecord[];
export type MailauthResolver = (name: string, rrtype: string) => Promise<MailauthRecords>;

function recordsOf<T>(answer: DnsAnswer<T>): T[] {
  // A copy: mailauth sorts MX lists in place, and answers are shared through the cache.
  if (answer.ok) return [...answer.records];
  throw new DnsLookupError(CODE[answer.failure], answer.words);
}

/** Adapts a resolver. Rejects with DnsLookupError; `ENODATA` and `ENOTFOUND` are told apart, everything else is `ESERVFAIL`. */
export function mailauthResolver(
  resolver: Resolver & { readonly cname?: (name: string) => Promise<DnsAnswer<string>> },
): MailauthResolver {
  return async (name, rrtype) => {
    switch (rrtype) {
      case "A":
        return recordsOf(await resolver.a(name));
      case "AAAA":
        return recordsOf(await resolver.aaaa(name));
      case "MX":
        return recordsOf(await resolver.mx(name));
      case "TXT":
        return recordsOf(await resolver.txt(name)).map((text) => [text]);
      case "CNAME":
        if (resolver.cname !== undefined) return recordsOf(await resolver.cname(name));
        throw new DnsLookupError("ENODATA", `CNAME records of "${name}" cannot be asked here`);
      case "PTR": {
        const ip = addressOfReverseName(name);
        if (ip !== null) return recordsOf(await resolver.ptr(ip));
        throw new DnsLookupError("ENOTFOUND", `"${name}" is not the reverse name of an address`);
      }
      default:
        throw new DnsLookupError("ENODATA", `${rrtype} records are not asked here`);
    }
  };
}
