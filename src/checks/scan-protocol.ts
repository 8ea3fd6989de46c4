// What the main thread and a scan worker say to each other. Plain data that survives structured cloning.

import type { MessageBody } from "../message/body.ts";
import type { Finding } from "../rules/fact.ts";
import type { AuthenticationCheck, AuthenticationClient } from "./authenticate-message.ts";
import type { MessageView } from "./message-view.ts";
import type { ContentCheck } from "./scan-message.ts";

/** To the worker. What of `raw` is in memory is transferred: the sender's copy is gone. */
export type ScanOrder =
  | {
      readonly kind: "scan";
      readonly id: number;
      readonly raw: MessageBody;
      readonly content: readonly ContentCheck[];
      /** null: nothing of the sender is to be proven. */
      readonly authentication: {
        readonly client: AuthenticationClient;
        readonly wanted: readonly AuthenticationCheck[];
      } | null;
    }
  | { readonly kind: "view"; readonly id: number; readonly raw: MessageBody }
  /** Answered with `parsed` at once: shows that the worker is not stuck. */
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "dns"; readonly question: number; readonly answer: DnsReply };

export type DnsReply =
  | { readonly ok: true; readonly records: string[] | string[][] | { exchange: string; priority: number }[] }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Findings by check. */
export type FindingsByCheck = readonly (readonly [check: string, findings: readonly Finding[]])[];

/** From the worker, which posts lists of them. For each order one `parsed` or `viewed`, and for a scan with authentication one `authenticated` too. */
export type ScanReply =
  /** Once, when everything is loaded. */
  | { readonly kind: "ready" }
  | {
      readonly kind: "parsed";
      readonly id: number;
      readonly findings: FindingsByCheck;
      readonly failure: string | null;
    }
  | {
      readonly kind: "authenticated";
      readonly id: number;
      readonly findings: FindingsByCheck;
      readonly failure: string | null;
    }
  | {
      readonly kind: "viewed";
      readonly id: number;
      readonly view: MessageView | null;
      readonly failure: string | null;
    }
  | { readonly kind: "dns"; readonly question: number; readonly name: string; readonly rrtype: string };
