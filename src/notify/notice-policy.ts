// What notices want to know of the settings: a part of the policy, named here because notify/ stands below policy/.
import type { Domain, MailAddress } from "../message/address.ts";

/** Kinds of stopped mail that give alerts. */
export type AlertKind = "spam" | "virus" | "bulk" | "program";

export interface AlertContacts {
  readonly mail: readonly MailAddress[];
  readonly webhook: { readonly url: string; readonly secret?: string | undefined } | null;
  readonly sms: { readonly url: string; readonly to: string; readonly method: "GET" | "POST" } | null;
  /** `window` is a duration as people write it: `1h`. */
  readonly thresholds: Readonly<Record<AlertKind | "undeliverable", number | null>> & {
    readonly window: string;
  };
}

export type Weekday = "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday";

export interface ReportPlan {
  readonly every: "off" | "daily" | "weekly";
  readonly hour: number;
  readonly weekday: Weekday;
  /** IANA name. */
  readonly timezone: string;
  readonly to: readonly MailAddress[];
}

/** A relay domain and whom it wants told. */
export interface NoticeDomain {
  readonly name: Domain;
  readonly enabled: boolean;
  readonly outgoing: {
    readonly abuse_contact: MailAddress | null;
    readonly alerts: AlertContacts;
    readonly report: ReportPlan;
  };
}

/** The text of a mail with {placeholders}. */
export interface NoticeTemplate {
  readonly name: string;
  readonly subject: string;
  readonly text: string;
}

/** The policy snapshot is one. */
export interface NoticePolicy {
  readonly policy: {
    readonly domain: readonly NoticeDomain[];
    readonly template: readonly NoticeTemplate[];
    readonly settings: { readonly postmaster: MailAddress | null };
  };
  domain(name: Domain): NoticeDomain | null;
}
