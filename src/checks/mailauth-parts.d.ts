// The two parts of mailauth 7.1.0 used below its public functions; the package types the public ones only.
declare module "mailauth/lib/spf/spf-verify" {
  export interface SpfMatch {
    /** The qualifier of the mechanism that matched. */
    readonly qualifier?: "+" | "-" | "~" | "?";
    /** Set instead of a qualifier: an included record that failed. */
    readonly error?: string;
    readonly rr?: string;
  }
  export type SpfLookup = (name: string, rrtype: string) => Promise<unknown[]>;
  /** Evaluates the record of `domain`. Errors carry `spfResult` with `error` and, where a record was found, `rr`. */
  export function spfVerify(
    domain: string,
    options: {
      readonly sender: string;
      readonly ip: string;
      readonly helo: string;
      readonly mta: string;
      readonly strict: boolean;
      readonly resolver: SpfLookup;
      /** For the explanation (`exp`) alone. */
      readonly expResolver: SpfLookup;
      readonly createSubResolver: (options?: { readonly ignoreVoid?: boolean }) => SpfLookup;
    },
  ): Promise<SpfMatch | false>;
}

declare module "mailauth/lib/dkim/dkim-verifier" {
  import type { Writable } from "node:stream";
  import type { DKIMVerifyResult } from "mailauth";

  export interface PreparedSignature {
    readonly type: "DKIM" | "ARC";
    readonly parsed?: Record<string, { value?: unknown } | undefined>;
    /** Why it is not looked at; without a key look-up. */
    readonly skip?: string;
    readonly invalid?: string;
    readonly hashAlgo?: string;
    signingDomain?: string;
    selector?: string;
    identity?: string;
    identityDomain?: string;
  }

  export class DkimVerifier extends Writable {
    constructor(options: {
      readonly resolver: (name: string, rrtype: string) => Promise<string[] | string[][]>;
      readonly sender: string;
      readonly strict: true;
    });
    protected prepareSignature(signature: PreparedSignature): void;
    protected messageHeaders(headers: unknown): Promise<void>;
    protected readonly signatureHeaders: readonly PreparedSignature[];
    protected readonly keyCache: {
      get(
        type: string,
        name: string,
        minBitLength: number | undefined,
        options: { strict: boolean; hashAlgo: string | undefined },
      ): Promise<unknown>;
    };
    readonly results: DKIMVerifyResult["results"];
    readonly headerFrom: readonly string[];
    readonly fromFields: number;
    readonly arc: DKIMVerifyResult["arc"];
  }
}
