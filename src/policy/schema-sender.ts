// An outgoing sender (requirements O1–O10): a user who logs in, an address range, or a domain with one log-in for all of it.
// The keys are the policy file's; what a file leaves out gets the default written here.
import { z } from "zod";
import { parseAddress, parseDomain } from "../message/address.ts";
import { refusePasswordHash } from "./password-hash.ts";
import { MAX_PATTERN_SIZE, parsePattern } from "./pattern.ts";
import { patternSize } from "./pattern-size.ts";
import {
  domainName,
  durationWithin,
  forwards,
  headerName,
  loginName,
  mailAddress,
  name,
  network,
} from "./schema-fields.ts";

/** What a login may send as besides its own address: an address, or `@domain` for all of a domain. */
const sendAs = z.string().transform((text, context) => {
  const parsed = text.startsWith("@") ? parseDomain(text.slice(1)) : parseAddress(text);
  if (parsed.ok) return text.startsWith("@") ? `@${parsed.value}` : parsed.value;
  context.addIssue({ code: "custom", message: `${parsed.reason}, or @example.org for a whole domain` });
  return z.NEVER;
});

/** RE2 syntax; `pattern.ts` bounds what it costs. */
const expression = z
  .string()
  .min(1)
  .max(500)
  .superRefine((text, context) => {
    const parsed = parsePattern(text);
    if (!parsed.ok) context.addIssue({ code: "custom", message: parsed.reason });
  });

/** A header that names the identity: its whole value, or the first group of `extract` (the whole match when it has no group). */
const identityHeader = z.strictObject({
  header: headerName,
  extract: expression.optional(),
  /** Taken out of what is sent. */
  remove: z.boolean().default(false),
});

const identifyBy = z.union([
  z.enum(["envelope-sender", "authenticated-user"]),
  identityHeader,
  /** The first header that gives an identity counts; all that say `remove` are taken out. */
  z.array(identityHeader).min(1).max(10).superRefine(refuseLargePatterns),
]);

const most = z.number().int().min(1).max(1_000_000_000).nullable().default(null);

/** Upper limits in sliding windows; null: none. A connection counts when it carries mail of the sender or identity for the first time. */
export const limitsSchema = z.strictObject({
  per_minute: most,
  per_hour: most,
  per_day: most,
  per_week: most,
  /** 30 days. */
  per_month: most,
  /** Recipients in 24 hours. */
  recipients_per_day: most,
});

const lockSchema = z.strictObject({
  /** Lock the identity that sent the spam. */
  identity: z.boolean().default(true),
  /** Lock the whole sender. Not for a smart host: everybody behind it would be locked. */
  sender: z.boolean().default(false),
  /** So many spam messages within `window` lock. */
  spam: z.number().int().min(1).max(10_000).default(5),
  window: durationWithin("1s", "31d").default("10m"),
  timeout: durationWithin("1s", "3650d").default("1h"),
  /** After so many unlocks by time-out only a person unlocks. 0: always only a person. */
  max_unlocks: z.number().int().min(0).max(1000).default(2),
  /** The mail to the locked user: `lock-notice` is the product's own, `none` sends none. */
  template: name.default("lock-notice"),
});

/** The stored form of a sender: `password` has become `password_hash` (argon2id), `cram_password` is sealed. */
export const senderSchema = z
  .strictObject({
    kind: z.enum(["user", "ip", "domain"]).default("user"),
    login: loginName.optional(),
    range: network.optional(),
    domain: domainName,
    password_hash: z
      .string()
      .superRefine((hash, context) => {
        const refused = refusePasswordHash(hash);
        if (refused !== null) context.addIssue({ code: "custom", message: refused });
      })
      .optional(),
    /** For CRAM-MD5: recoverable, encrypted under the appliance key (`sealed:…`). */
    cram_password: z.string().max(2000).optional(),
    /** The password is checked at the domain's own mail server (`outgoing.password_server`). */
    verify: z.enum(["mail-server"]).optional(),
    identify_by: identifyBy.default("authenticated-user"),
    send_as: z.array(sendAs).default([]),
    /** kind "ip": domains besides `domain` that the servers of the range write for; each is signed with its own key. */
    domains: z.array(domainName).max(1000).default([]),
    /** kind "ip": mail whose From is of no domain here, as a mail server forwards it by its users' rules. Left out: `signed`. */
    forwards: forwards.optional(),
    rules: z.array(name).default([]),
    /** Rules that do not hold for what this sender sends: `bulk-lock`, `bulk-hold`, `bulk-slow` for whoever sends newsletters. */
    except_rules: z.array(name).default([]),
    limits: limitsSchema.prefault({}),
    identity_limits: limitsSchema.prefault({}),
    lock: lockSchema.prefault({}),
    /** What the sending server hears of mail that goes to the outgoing quarantine: 550 or 250 (O6). */
    quarantine_response: z.enum(["rejected", "accepted"]).default("rejected"),
    /** Keep what is sent in the archive of the sender's domain (O7). */
    archive: z.boolean().default(false),
    /** Switches on the outgoing rules `macros`, `unwanted-attachments`, `new-domains` (O8). */
    block: z.array(z.enum(["macros", "unwanted-attachments", "new-domains"])).default([]),
    /** kind "ip": treated as this user (O9). */
    reauthenticate_as: mailAddress.optional(),
    /** kind "user" and "domain": authorised servers may send on behalf of it (O9). */
    reauthentication_permitted: z.boolean().default(false),
    /** The DKIM selector mail of this sender is signed with; left out: the domain's. */
    dkim_selector: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not a selector; it has a-z, 0-9 and dashes")
      .optional(),
    enabled: z.boolean().default(true),
  })
  .superRefine((sender, context) => {
    for (const [field, message] of misplacedFields(sender)) {
      context.addIssue({ code: "custom", path: [field], message });
    }
  })
  // Nobody logs in from an address range: its people are told apart by the envelope sender, and that is what everybody reads.
  .overwrite((sender) =>
    sender.kind === "ip" && sender.identify_by === "authenticated-user"
      ? { ...sender, identify_by: "envelope-sender" as const }
      : sender,
  );

export type SenderSettings = z.output<typeof senderSchema>;
export type Limits = z.output<typeof limitsSchema>;
export type IdentityHeader = z.output<typeof identityHeader>;

/** All of them may be tried on one message. */
function refuseLargePatterns(headers: readonly IdentityHeader[], context: z.RefinementCtx): void {
  const size = headers.reduce(
    (sum, { extract }) => sum + (extract === undefined ? 0 : patternSize(extract).size),
    0,
  );
  if (size <= MAX_PATTERN_SIZE) return;
  const message = `the expressions together are too large: they become ${size} steps, and ${MAX_PATTERN_SIZE} are allowed; make them shorter or name fewer headers`;
  context.addIssue({ code: "custom", message });
}

type Kind = "user" | "ip" | "domain";

/** Which kinds of sender a field belongs to. */
const BELONGS: readonly (readonly [string, readonly Kind[]])[] = [
  ["login", ["user"]],
  ["range", ["ip"]],
  ["password_hash", ["user", "domain"]],
  ["cram_password", ["user", "domain"]],
  ["verify", ["user"]],
  ["domains", ["ip"]],
  ["forwards", ["ip"]],
  ["reauthenticate_as", ["ip"]],
  ["reauthentication_permitted", ["user", "domain"]],
];

function misplacedFields(sender: { readonly kind: Kind }): readonly (readonly [string, string])[] {
  const given = (field: string): boolean => {
    const value: unknown = Reflect.get(sender, field);
    return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  };
  const problems: (readonly [string, string])[] = [];
  if (sender.kind === "user" && !given("login"))
    problems.push(["login", 'a sender of kind "user" needs login, a mail address or a plain name']);
  if (sender.kind === "ip" && !given("range"))
    problems.push(["range", 'a sender of kind "ip" needs range, like 192.0.2.0/28']);
  for (const [field, kinds] of BELONGS)
    if (given(field) && !kinds.includes(sender.kind))
      problems.push([field, `does not belong to a sender of kind "${sender.kind}"; leave it out`]);
  return problems;
}
