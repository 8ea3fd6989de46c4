// One schema for every setting: the console's forms, the JSON API and plan/apply all parse with these.
// Keys and units are the policy file's (design.md); what a file leaves out gets the default written here.
// The kinds of value are in `schema-fields.ts`, senders in `schema-sender.ts`, a domain's outgoing control in `schema-outgoing.ts`.
import { z } from "zod";
import {
  byteSize,
  domainName,
  duration,
  forwards,
  headerName,
  host,
  listenAddress,
  mailAddress,
  name,
  network,
  oneLine,
  port,
  tlsPolicy,
  webAddress,
} from "./schema-fields.ts";
import { outgoingSchema } from "./schema-outgoing.ts";
import { type SenderSettings, senderSchema } from "./schema-sender.ts";

export { type SenderSettings, senderSchema };

export const listenerSchema = z.strictObject({
  name,
  listen: listenAddress,
  tls: z.enum(["none", "starttls", "starttls-required", "implicit"]).default("starttls"),
  auth: z.enum(["off", "optional", "required"]).default("off"),
  /** AUTH without TLS. Never on by default (requirement L6). */
  auth_without_tls: z.boolean().default(false),
  /** CRAM-MD5, only for senders with a `cram_password` (requirement L6). Off by default: the password is kept recoverable. */
  cram_md5: z.boolean().default(false),
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
  max_message_bytes: byteSize
    .pipe(
      z
        .number()
        .min(1024)
        .max(2 ** 31),
    )
    .default(52_428_800),
  max_connections: z.number().int().min(1).max(100_000).default(5000),
  /** For strangers; trusted networks and IP senders are exempt. */
  max_connections_per_client: z.number().int().min(1).max(100_000).default(100),
  max_recipients: z.number().int().min(1).max(50_000).default(1000),
  /** Idle time after which a client is cut off with 421. RFC 5321 §4.5.3.2 asks for at least 5 minutes. */
  idle_timeout: duration.default("5m"),
  /** Octets a second a message must bring of late (over half a minute or more), or its client is cut off with 421. 0: no limit. */
  min_data_rate: z.number().int().min(0).max(1_000_000).default(500),
  /**
   * Who must write commands by the letter of RFC 5321. Others may leave out `<>`, put blanks around an address and introduce themselves
   * as they like. "strangers": all but trusted networks, IP senders and log-ins.
   */
  strict_syntax: z.enum(["everybody", "strangers", "nobody"]).default("strangers"),
  /** Lines of a message that end in LF alone: of strangers, and of trusted networks, IP senders and log-ins. */
  bare_lf: z.enum(["refuse", "normalise"]).default("refuse"),
  bare_lf_trusted: z.enum(["refuse", "normalise"]).default("normalise"),
  /** NUL in the text of a message, whoever sends it. */
  nul: z.enum(["keep", "refuse"]).default("keep"),
  /** Control characters in the header of a stranger's message. What is kept is shown as signs. */
  header_controls: z.enum(["refuse", "keep"]).default("refuse"),
  /** Whose address and machine name do not stand in the mail they hand in here, nor our notes. "all": also those of trusted networks. */
  hide_clients: z.enum(["nobody", "log-ins", "all"]).default("log-ins"),
  /** How long a strange client waits for the greeting, so that early talkers show themselves; not where auth is required. */
  greeting_delay: z.number().int().min(0).max(30_000).default(100),
  enabled: z.boolean().default(true),
});

export const networksSchema = z.strictObject({
  trusted: z.array(network).default([]),
  /** Of the trusted networks: those whose mail is outside outgoing control. Nothing of it is counted, limited, locked or reported. */
  excepted: z.array(network).default([]),
  /** Mail from trusted networks whose From is of no domain here: forwards by the mail server's own rules, mail of the system. */
  forwards: forwards.default("allow"),
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
      /** For a recipient nobody has confirmed, while the server gives no clear answer: take the mail, or put it off with 450. */
      when_down: z.enum(["accept", "tempfail"]).default("tempfail"),
    })
    .prefault({}),
  /** Like Postfix's: with "+", alice+x@ is alice's for lists of recipients, log-ins and send-as. "": nothing is cut off. */
  recipient_delimiter: z
    .string()
    .regex(/^[+\-=_.#~]?$/, "must be one of + - = _ . # ~, or empty")
    .default(""),
  /** The sender waits for the mail server's own answer, and hears it; off: mail is kept first and delivered then. */
  cut_through: z.boolean().default(true),
  /** Shipped or own rules switched on for this domain. Left out: the shipped default set. */
  rules: z.array(name).nullable().default(null),
  /** Mail this domain's own people and servers send (requirements O3–O14). */
  outgoing: outgoingSchema.prefault({}),
  enabled: z.boolean().default(true),
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
  /** When it decides about outgoing mail, the message counts toward the lock of its sender and identity (O3). */
  counts_as_spam: z.boolean().optional(),
  /** When it decides about outgoing mail, the identity is locked at once. */
  lock_identity: z.boolean().optional(),
  scope: z
    .strictObject({
      directions: z.array(z.enum(["inbound", "outbound", "internal"])).default([]),
      domains: z.array(domainName).default([]),
      addresses: z.array(mailAddress).default([]),
      senders: z.array(z.string()).default([]),
    })
    .prefault({}),
});

/** Text of a mail to people, with {placeholders}: the lock notice by default (`[[template]]`, named in a sender's `lock.template`). */
export const templateSchema = z.strictObject({
  name,
  subject: oneLine(200).min(1),
  text: z.string().min(1).max(20_000),
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
      /**
       * Send the password although the certificate does not prove the server, or there is no TLS. Off: mail waits instead. A server
       * on this machine (loopback) needs no certificate; one named by an IP address needs a certificate for that address, or this.
       */
      allow_unverified_tls: z.boolean().default(false),
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
  /** How long a sender waits for the mail server's own answer, at most; then the message is kept. */
  cut_through_wait: duration.default("8s"),
});

export const settingsSchema = z.strictObject({
  quarantine_keep: duration.default("30d"),
  log_keep: duration.default("90d"),
  /**
   * So much of the data directory's disk must be free for mail to be taken; below it is refused with 452, and what is here is still
   * delivered. null: 128 MB, or a tenth of a smaller disk.
   */
  min_free: byteSize.nullable().default(null),
  /** The configurable note header of requirement I6. */
  note_header: headerName.default("X-Gatepost"),
  /** Requirement I6: where neither SPF nor DKIM speaks for From, the subject says so in words, not only with `!!`. */
  subject_warnings: z.boolean().default(true),
  postmaster: mailAddress.nullable().default(null),
  check_timeout: duration.default("20s"),
  /** Where links in our mails lead: the console as people reach it. null: https:// with our host name and the console's port. */
  console_url: webAddress.nullable().default(null),
  /** Who may release mail in which malware was found; the question before it names what was found. */
  malware_release: z.enum(["administrators", "domain-administrators"]).default("administrators"),
  /** The page where senders set their relay password (O13). */
  self_service: z.boolean().default(true),
  /** How the age of a sender's domain is found (O8). Nothing set: unknown, which refuses nothing. */
  domain_age: z
    .strictObject({
      /** A text file with `example.org 2026-11-20` a line: when the domain was registered. "" is none. */
      feed: z.string().max(1000).default(""),
      /** Base address of an RDAP service (RFC 9082), like `https://rdap.org/`. */
      rdap: webAddress.nullable().default(null),
    })
    .prefault({}),
});

/** By section of the policy file; of a list, each item. */
export const POLICY_SCHEMAS = {
  listener: listenerSchema,
  networks: networksSchema,
  domain: domainSchema,
  sender: senderSchema,
  rule: ruleSchema,
  template: templateSchema,
  hook: hookSchema,
  delivery: deliverySchema,
  settings: settingsSchema,
} as const;

export type ListenerSettings = z.output<typeof listenerSchema>;
export type NetworkSettings = z.output<typeof networksSchema>;
export type DomainSettings = z.output<typeof domainSchema>;
export type RuleSettings = z.output<typeof ruleSchema>;
export type TemplateSettings = z.output<typeof templateSchema>;
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
  readonly template: readonly TemplateSettings[];
  readonly hook: readonly HookSettings[];
  readonly delivery: DeliverySettings;
  readonly settings: GeneralSettings;
}
