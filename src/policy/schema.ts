// One schema for every setting: the console's forms, the JSON API and plan/apply all parse with these.
// Keys and units are the policy file's (design.md); what a file leaves out gets the default written here.
import { z } from "zod";
import { parseAddress, parseDomain, parseNetwork } from "../message/address.ts";
import { parseDuration } from "./duration.ts";
import { refusePasswordHash } from "./password-hash.ts";

const domainName = z.string().transform((text, context) => {
  const parsed = parseDomain(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
const mailAddress = z.string().transform((text, context) => {
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
const network = z.string().transform((text, context) => {
  const parsed = parseNetwork(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
const NOT_A_DURATION = "is not a duration; write it like 30s, 10m, 4h or 5d";
/** `10m`, `1h`, `5d` or a number of seconds; kept as written, read with `parseDuration`. */
const duration = z
  .union(
    [
      z.string(),
      z
        .number()
        .int()
        .nonnegative()
        .transform((s) => `${s}s`),
    ],
    { error: NOT_A_DURATION },
  )
  .refine((text) => parseDuration(text).ok, { message: NOT_A_DURATION });
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,60}$/, "is not the name of a header; it has 1 to 60 letters, digits and dashes");
/** Text that becomes part of a header: one line, so that it cannot bring further header lines with it. */
const oneLine = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\u0000-\u001f\u007f]*$/, "must be one line without control characters");
const port = z.number().int().min(1).max(65535);
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, dot, dash, underscore");
const listenAddress = z
  .string()
  .regex(
    /^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/,
    'is not an address with a port; write it like "0.0.0.0:25" or "[::]:25"',
  );
const host = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9._:[\]-]+$/, "is not a host name or IP address");

const tlsPolicy = z.enum(["none", "opportunistic", "required", "verified", "implicit"]);

export const listenerSchema = z.strictObject({
  name,
  listen: listenAddress,
  tls: z.enum(["none", "starttls", "starttls-required", "implicit"]).default("starttls"),
  auth: z.enum(["off", "optional", "required"]).default("off"),
  /** AUTH without TLS. Never on by default (requirement L6). */
  auth_without_tls: z.boolean().default(false),
  relay: z
    .array(z.enum(["trusted-networks", "authenticated", "pop-before-smtp", "allow-lists"]))
    .default(["trusted-networks"]),
  proxy_from: z.array(network).default([]),
  /** Empty: everybody may connect. */
  clients: z.array(network).default([]),
  content_checks: z.boolean().default(true),
  greylist: z.boolean().default(false),
  /** Requirement L3. */
  refuse_outsiders_claiming_local: z.boolean().default(false),
  max_message_bytes: z
    .number()
    .int()
    .min(1024)
    .max(2 ** 31)
    .default(52_428_800),
  max_connections: z.number().int().min(1).max(100_000).default(5000),
  /** For strangers; trusted networks and IP senders are exempt. */
  max_connections_per_client: z.number().int().min(1).max(100_000).default(100),
  max_recipients: z.number().int().min(1).max(50_000).default(1000),
  /** Idle time after which a client is cut off with 421. RFC 5321 §4.5.3.2 asks for at least 5 minutes. */
  idle_timeout: duration.default("5m"),
  /** How long a strange client waits for the greeting, so that early talkers show themselves; not where auth is required. */
  greeting_delay: z.number().int().min(0).max(30_000).default(100),
  enabled: z.boolean().default(true),
});

export const networksSchema = z.strictObject({
  trusted: z.array(network).default([]),
});

const routeSchema = z.strictObject({
  host,
  port: port.default(25),
  priority: z.number().int().min(0).max(65535).default(10),
  tls: tlsPolicy.default("opportunistic"),
});

export const domainSchema = z.strictObject({
  name: domainName,
  routes: z.array(routeSchema).default([]),
  recipients: z
    .strictObject({
      verify: z.enum(["callout", "list", "ldap", "catch-all"]).default("callout"),
      list: z.array(mailAddress).default([]),
      cache: duration.default("1h"),
    })
    .prefault({}),
  /** Shipped or own rules switched on for this domain. Left out: the shipped default set. */
  rules: z.array(name).nullable().default(null),
  enabled: z.boolean().default(true),
});

/** What a login may send as besides its own address: an address, or `@domain` for all of a domain. */
const sendAs = z.string().transform((text, context) => {
  const parsed = text.startsWith("@") ? parseDomain(text.slice(1)) : parseAddress(text);
  if (parsed.ok) return text.startsWith("@") ? `@${parsed.value}` : parsed.value;
  context.addIssue({ code: "custom", message: `${parsed.reason}, or @example.org for a whole domain` });
  return z.NEVER;
});

const identifyBy = z.union([
  z.enum(["envelope-sender", "authenticated-user"]),
  z.strictObject({ header: z.string(), extract: z.string().optional(), remove: z.boolean().default(false) }),
]);

/** The stored form of a sender: `password` has become `password_hash` (argon2id). */
export const senderSchema = z
  .strictObject({
    kind: z.enum(["user", "ip", "domain"]).default("user"),
    login: mailAddress.optional(),
    range: network.optional(),
    domain: domainName,
    password_hash: z
      .string()
      .superRefine((hash, context) => {
        const refused = refusePasswordHash(hash);
        if (refused !== null) context.addIssue({ code: "custom", message: refused });
      })
      .optional(),
    verify: z.enum(["mail-server"]).optional(),
    identify_by: identifyBy.default("authenticated-user"),
    send_as: z.array(sendAs).default([]),
    rules: z.array(name).default([]),
    enabled: z.boolean().default(true),
  })
  .superRefine((sender, context) => {
    if (sender.kind === "user" && sender.login === undefined)
      context.addIssue({
        code: "custom",
        path: ["login"],
        message: 'a sender of kind "user" needs login, a mail address',
      });
    const surplus = sender.kind === "user" ? "range" : sender.kind === "ip" ? "login" : null;
    for (const field of ["login", "range"] as const)
      if (sender[field] !== undefined && (surplus === field || sender.kind === "domain"))
        context.addIssue({
          code: "custom",
          path: [field],
          message: `does not belong to a sender of kind "${sender.kind}"; leave it out`,
        });
    if (sender.kind === "ip" && sender.range === undefined)
      context.addIssue({
        code: "custom",
        path: ["range"],
        message: 'a sender of kind "ip" needs range, like 192.0.2.0/28',
      });
  });

export const ruleSchema = z.strictObject({
  name,
  description: z.string().max(500).default(""),
  mode: z.enum(["enforce", "observe", "off"]).default("enforce"),
  priority: z.number().int().min(0).max(100_000).default(5000),
  when: z.string().min(1).max(4000).optional(),
  action: z
    .enum(["accept", "mark", "quarantine", "reject", "tempfail", "discard", "redirect", "copy"])
    .optional(),
  /** Said to the client: printable ASCII, because a reply is one line of it. (RFC 5321 §4.2) */
  reply: z
    .string()
    .max(300)
    .regex(/^[ -~]*$/, "must be one line of plain ASCII characters")
    .optional(),
  /** quarantine: 250 or 550; reject: 5xx; tempfail: 4xx. */
  code: z.number().int().min(250).max(599).optional(),
  header: z.strictObject({ name: headerName, value: oneLine(900) }).optional(),
  subject: z.strictObject({ prefix: oneLine(80).default(""), suffix: oneLine(80).default("") }).optional(),
  to: mailAddress.optional(),
  scope: z
    .strictObject({
      directions: z.array(z.enum(["inbound", "outbound", "internal"])).default([]),
      domains: z.array(domainName).default([]),
      addresses: z.array(mailAddress).default([]),
      senders: z.array(z.string()).default([]),
    })
    .prefault({}),
});

export const hookSchema = z.strictObject({
  name,
  kind: z.enum(["clamd"]),
  /** `host:port` or `unix:/path`. */
  address: z
    .string()
    .regex(
      /^(unix:\/.+|(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5})$/,
      "is not an address; write it like 127.0.0.1:3310 or unix:/run/clamav/clamd.ctl",
    ),
  timeout: duration.default("30s"),
  enabled: z.boolean().default(true),
});

export const deliverySchema = z.strictObject({
  smarthost: z
    .strictObject({
      host,
      port: port.default(587),
      tls: tlsPolicy.default("opportunistic"),
      user: z.string().optional(),
      password: z.string().optional(),
    })
    .nullable()
    .default(null),
  tls: tlsPolicy.default("opportunistic"),
  max_connections_per_destination: z.number().int().min(1).max(1000).default(20),
  /** Waits between tries: the last one repeats until `give_up_after`. */
  retry: z.array(duration).min(1).default(["1m", "5m", "15m", "30m", "1h", "2h", "4h"]),
  give_up_after: duration.default("5d"),
  delay_notice_after: duration.default("4h"),
  connect_timeout: duration.default("30s"),
});

export const settingsSchema = z.strictObject({
  quarantine_keep: duration.default("30d"),
  log_keep: duration.default("90d"),
  /** The configurable note header of requirement I6. */
  note_header: headerName.default("X-Gatepost"),
  postmaster: mailAddress.nullable().default(null),
  check_timeout: duration.default("20s"),
});

export type ListenerSettings = z.output<typeof listenerSchema>;
export type NetworkSettings = z.output<typeof networksSchema>;
export type DomainSettings = z.output<typeof domainSchema>;
export type SenderSettings = z.output<typeof senderSchema>;
export type RuleSettings = z.output<typeof ruleSchema>;
export type HookSettings = z.output<typeof hookSchema>;
export type DeliverySettings = z.output<typeof deliverySchema>;
export type GeneralSettings = z.output<typeof settingsSchema>;

/** Everything that can be set, complete. Lists are keyed by `itemKey`. */
export interface Policy {
  readonly listener: readonly ListenerSettings[];
  readonly networks: NetworkSettings;
  readonly domain: readonly DomainSettings[];
  readonly sender: readonly SenderSettings[];
  readonly rule: readonly RuleSettings[];
  readonly hook: readonly HookSettings[];
  readonly delivery: DeliverySettings;
  readonly settings: GeneralSettings;
}
