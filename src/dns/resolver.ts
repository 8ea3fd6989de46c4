// The one resolver's contract. Everything that asks DNS gets a Resolver as an argument; tests pass a fake one.

/** `nodata`: the name exists without such records. `nxdomain`: no such name. `servfail`: no usable answer (time-out, SERVFAIL, refused, bogus). */
export type DnsFailure = "nodata" | "nxdomain" | "servfail";

export type DnsAnswer<T> =
  | { readonly ok: true; readonly records: readonly T[]; readonly authenticated: boolean }
  | { readonly ok: false; readonly failure: DnsFailure; readonly words: string };

export interface MxRecord {
  readonly exchange: string;
  readonly priority: number;
}

export interface Resolver {
  a(name: string): Promise<DnsAnswer<string>>;
  aaaa(name: string): Promise<DnsAnswer<string>>;
  mx(name: string): Promise<DnsAnswer<MxRecord>>;
  /** Each record's strings joined. */
  txt(name: string): Promise<DnsAnswer<string>>;
  ptr(ip: string): Promise<DnsAnswer<string>>;
  close(): void;
}
