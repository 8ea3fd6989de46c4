// What holds for all mail a domain sends (requirements O5, O6, O10–O14): `outgoing` of a [[domain]].
import { z } from "zod";
import { durationWithin, host, mailAddress, port, webAddress } from "./schema-fields.ts";

/**
 * A part of enterprise mode (O14): null is as `enterprise` says, true and false hold whatever it says.
 * `enterprise-mode.ts` tells what is in force.
 */
const part = z.boolean().nullable().default(null);

const alertsSchema = z.strictObject({
  mail: z.array(mailAddress).max(20).default([]),
  /** Gets signed JSON: header `X-Gatepost-Signature: sha256=<hex>`, the HMAC of the body under `secret`. */
  webhook: z
    .strictObject({ url: webAddress, secret: z.string().min(16).max(200).optional() })
    .nullable()
    .default(null),
  /** A gateway for short messages: `{text}` and `{to}` in the address are filled in, percent-encoded. */
  sms: z
    .strictObject({
      url: webAddress,
      to: z.string().max(40).default(""),
      method: z.enum(["GET", "POST"]).default("GET"),
    })
    .nullable()
    .default(null),
  /** So many messages of a kind from the domain within `window` give one alert; null: none for that kind. Locks always alert. */
  thresholds: z
    .strictObject({
      spam: z.number().int().min(1).max(100_000).nullable().default(5),
      virus: z.number().int().min(1).max(100_000).nullable().default(1),
      bulk: z.number().int().min(1).max(100_000).nullable().default(1),
      /** Programs, scripts and macros. */
      program: z.number().int().min(1).max(100_000).nullable().default(5),
      /** Accepted mail for or from the domain that no server takes; a list of it comes once a day in any case. */
      undeliverable: z.number().int().min(1).max(100_000).nullable().default(10),
      window: durationWithin("1s", "31d").default("1h"),
    })
    .prefault({}),
});

/** A scheduled report of the outgoing quarantine. */
const reportSchema = z.strictObject({
  every: z.enum(["off", "daily", "weekly"]).default("off"),
  hour: z.number().int().min(0).max(23).default(7),
  /** For weekly reports. */
  weekday: z
    .enum(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
    .default("monday"),
  /** IANA name: `Europe/Vienna`. */
  timezone: z
    .string()
    .refine(isTimeZone, { message: 'is not a time zone; write it like "Europe/Vienna" or "UTC"' })
    .default("UTC"),
  /** Empty: the addresses alerts go to. */
  to: z.array(mailAddress).max(20).default([]),
});

/** The domain's own mail server as judge of passwords (O13). Always over TLS. */
const passwordServerSchema = z.strictObject({
  protocol: z.enum(["imap", "pop3", "smtp"]),
  host,
  /** null: the protocol's usual one for `tls`. */
  port: port.nullable().default(null),
  tls: z.enum(["implicit", "starttls"]).default("implicit"),
  /** False: a self-signed certificate is good enough, as inside one's own network. */
  verify_certificate: z.boolean().default(true),
  /** How long a password that was right is not asked for again. */
  cache: durationWithin("0s", "1d").default("5m"),
});

export const outgoingSchema = z.strictObject({
  /** Nothing may be sent from this domain: every message is refused. */
  barred: z.boolean().default(false),
  /** The strict set: switches on every part below that is null. */
  enterprise: z.boolean().default(false),
  /** The From address must exist (asked of the mail server as recipients are, or the list). */
  from_must_exist: part,
  /** Mail of which no identity can be found is refused. */
  known_identities_only: part,
  /** Log-ins of this domain must come over TLS, and mail is sent on over TLS only. */
  require_tls: part,
  /** Identities that have no limits of their own get `default_limits`. */
  limit_identities: part,
  /** Identities are locked automatically even where their sender says otherwise. */
  lock_identities: part,
  default_limits: z
    .strictObject({
      per_minute: z.number().int().min(1).max(1_000_000).default(30),
      per_hour: z.number().int().min(1).max(1_000_000).default(300),
      recipients_per_day: z.number().int().min(1).max(10_000_000).default(1000),
    })
    .prefault({}),
  /** Users of this domain with the same password may send as one another (O10). Off: it tells who shares a password. */
  link_same_password: z.boolean().default(false),
  /** Who hears of abuse: ARF reports (RFC 5965) go here. */
  abuse_contact: mailAddress.nullable().default(null),
  alerts: alertsSchema.prefault({}),
  report: reportSchema.prefault({}),
  password_server: passwordServerSchema.nullable().default(null),
  /** The DKIM selector to sign with; null: every active key. */
  dkim_selector: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not a selector; it has a-z, 0-9 and dashes")
    .nullable()
    .default(null),
});

export type OutgoingSettings = z.output<typeof outgoingSchema>;
export type PasswordServer = z.output<typeof passwordServerSchema>;

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return text !== "";
  } catch {
    return false;
  }
}
