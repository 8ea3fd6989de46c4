// Where mail for a destination goes. Plain data.

export type TlsPolicy = "none" | "opportunistic" | "required" | "verified" | "implicit";

/** One server to deliver to. Lower priority first, equal ones in random order. */
export interface Route {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly tls: TlsPolicy;
}

/** How one recipient's mail leaves. `key` names the destination: entries of one key share connections and back-off. */
export type Destination =
  | { readonly kind: "routes"; readonly key: string; readonly routes: readonly Route[] }
  | { readonly kind: "mx"; readonly key: string; readonly domain: string }
  | {
      readonly kind: "smarthost";
      readonly key: string;
      readonly route: Route;
      readonly login: { readonly user: string; readonly password: string } | null;
    };
