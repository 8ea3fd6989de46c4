// What happened to each sample message, newest first. Some of it is hostile on purpose.
import type { Direction } from "../../src/message/envelope.ts";
import type { Finding } from "../../src/rules/fact.ts";
import type { FinalAction, RuleOutcome } from "../../src/rules/verdict.ts";
import type { AttemptRecord, RecipientState } from "../../src/store/log-record.ts";

export const SCRIPT_SUBJECT = '<script>alert("subject")</script><img src=x onerror=alert(1)> "&\'';
export const RTL_SUBJECT = "Invoice \u202Efdp.exe\u202C ready \u0000\u0007";
export const LONG_SUBJECT = "A very long subject ".repeat(512);
export const HOSTILE_NAME = '"><svg/onload=alert(2)>@evil.example.test';

export interface Scenario {
  readonly minutesAgo: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly state: RecipientState | readonly RecipientState[];
  readonly rule?: string;
  readonly action?: FinalAction;
  readonly words?: string;
  readonly ip?: string;
  readonly hostname?: string | null;
  readonly size?: number;
  readonly direction?: Direction;
  readonly login?: string;
  readonly reply?: string;
  readonly cause?: string;
  readonly findings?: readonly Finding[];
  readonly outcomes?: readonly RuleOutcome[];
  readonly attempts?: readonly Partial<AttemptRecord["outcomes"][number]>[];
  readonly tls?: boolean;
}

export function authFindings(result: "pass" | "fail" | "none", domain: string): readonly Finding[] {
  const pass = result === "pass";
  const spfWords = pass
    ? `SPF passes: 192.0.2.44 may send for ${domain}`
    : result === "fail"
      ? `SPF fails: 198.51.100.23 may not send for ${domain}`
      : `${domain} has no SPF record`;
  return [
    { check: "spf", fact: "spf.result", value: result, words: spfWords },
    { check: "spf", fact: "spf.domain", value: domain },
    {
      check: "spf",
      fact: "spf.aligned",
      value: pass,
      words: pass ? "It is the domain of the From address" : "",
    },
    {
      check: "dkim",
      fact: "dkim.result",
      value: pass ? "pass" : "none",
      words: pass ? `The signature of ${domain} (selector s1) holds` : "The message carries no signature",
    },
    { check: "dkim", fact: "dkim.domains", value: pass ? [domain] : [] },
    { check: "dkim", fact: "dkim.aligned", value: pass },
    {
      check: "dmarc",
      fact: "dmarc.result",
      value: result,
      words:
        result === "none"
          ? `${domain} has no DMARC record`
          : `DMARC of ${domain} ${pass ? "passes" : "fails"}`,
    },
    { check: "dmarc", fact: "dmarc.policy", value: result === "none" ? "absent" : "reject" },
  ];
}

const VIRUS: readonly Finding[] = [
  { check: "clamd", fact: "clamd.found", value: true, words: "ClamAV found Win.Test.EICAR_HDB-1" },
  { check: "clamd", fact: "clamd.signature", value: "Win.Test.EICAR_HDB-1" },
  {
    check: "eicar",
    fact: "eicar.found",
    value: true,
    words: "The EICAR test file is in part 2, invoice.zip",
  },
  { check: "attachments", fact: "attachments.count", value: 1 },
  { check: "attachments", fact: "attachments.names", value: ["invoice.zip"] },
  {
    check: "attachments",
    fact: "attachments.dangerous",
    value: ["invoice.zip/invoice.exe"],
    words: "A program hides in the archive",
  },
];

const deferred = {
  result: "deferred",
  code: 451,
  enhanced: "4.7.1",
  text: "451 4.7.1 Greylisted, please try again later",
} as const;
export const delivered = {
  result: "delivered",
  code: 250,
  enhanced: "2.0.0",
  text: "250 2.0.0 Ok: queued as 4Bk2Xz1mQz",
} as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    minutesAgo: 76,
    from: "orders@shop.example.test",
    to: ["stranger@elsewhere.example.org"],
    subject: "Our winter catalogue",
    state: "quarantined",
    direction: "outbound",
    login: "orders@shop.example.test",
    rule: "bulk-hold",
    action: "quarantine",
    words: "bulk.level is 2",
    ip: "192.0.2.77",
    findings: [
      { check: "identity", fact: "identity.name", value: "orders@shop.example.test" },
      { check: "identity", fact: "identity.sender", value: "orders@shop.example.test" },
      { check: "identity", fact: "identity.found", value: true },
      { check: "bulk", fact: "bulk.level", value: 2 },
      { check: "bulk", fact: "bulk.reasons", value: ["48 new recipients this hour, usual are 2"] },
    ],
  },
  {
    minutesAgo: 1,
    from: "newsletter@shop.example.org",
    to: ["alice@example.test"],
    subject: "Your order has been shipped",
    state: "delivered",
    findings: authFindings("pass", "shop.example.org"),
    attempts: [delivered],
  },
  {
    minutesAgo: 2,
    from: "billing@paypa1.example.org",
    to: ["bob@example.test"],
    subject: "Urgent: confirm your account within 24 hours",
    state: "refused",
    rule: "dmarc",
    action: "reject",
    words: "dmarc.result is fail and dmarc.policy is reject (dmarc.domain: paypa1.example.org)",
    ip: "198.51.100.23",
    hostname: null,
    findings: authFindings("fail", "paypa1.example.org"),
    reply: "550 5.7.1 Message refused by the DMARC policy of the domain in From",
  },
  {
    minutesAgo: 4,
    from: "carol@example.test",
    to: ["partner@customer.example.org"],
    subject: "Offer 2026-118, second version",
    state: "delivered",
    direction: "outbound",
    login: "carol@example.test",
    attempts: [deferred, delivered],
  },
  {
    minutesAgo: 6,
    from: "accounts@supplier.example.org",
    to: ["invoices@example.test", "dave@example.test"],
    subject: "Invoice 48812",
    state: ["quarantined", "delivered"],
    rule: "virus",
    action: "quarantine",
    words: "clamd.found is true (clamd.signature: Win.Test.EICAR_HDB-1)",
    findings: [...authFindings("pass", "supplier.example.org"), ...VIRUS],
    outcomes: [
      {
        rule: "virus",
        mode: "enforce",
        action: "quarantine",
        words: "clamd.found is true (clamd.signature: Win.Test.EICAR_HDB-1)",
        applied: true,
      },
      {
        rule: "dangerous-attachments",
        mode: "enforce",
        action: "quarantine",
        words: "attachments.dangerous has invoice.zip/invoice.exe",
        applied: false,
      },
      {
        rule: "ambiguous-structure",
        mode: "observe",
        action: "quarantine",
        words: "structure.ambiguous has two boundaries",
        applied: false,
      },
    ],
    attempts: [{}, delivered],
  },
  {
    minutesAgo: 7,
    from: "",
    to: ["erin@example.test"],
    subject: "Undelivered Mail Returned to Sender",
    state: "delivered",
    findings: authFindings("none", "mx.example.org"),
    attempts: [delivered],
  },
  {
    minutesAgo: 9,
    from: "monitor@example.test",
    to: ["oncall@ops.example.org"],
    subject: "[ALERT] disk usage above 90 % on db-2",
    state: "queued",
    direction: "outbound",
    ip: "10.0.0.12",
    attempts: [deferred],
  },
  {
    minutesAgo: 12,
    from: "lottery@win.example.org",
    to: ["frank@example.test"],
    subject: SCRIPT_SUBJECT,
    state: "quarantined",
    rule: "spam",
    action: "quarantine",
    words: "gtube.found is true",
    findings: [
      ...authFindings("none", "win.example.org"),
      { check: "gtube", fact: "gtube.found", value: true, words: "The GTUBE test text is in the body" },
    ],
  },
  {
    minutesAgo: 15,
    from: "scans@copier.example.test",
    to: ["office@example.test"],
    subject: RTL_SUBJECT,
    state: "quarantined",
    rule: "dangerous-attachments",
    action: "quarantine",
    words: "attachments.dangerous has invoice\u202Efdp.exe",
    direction: "internal",
    ip: "10.0.0.40",
  },
  {
    minutesAgo: 18,
    from: HOSTILE_NAME,
    to: ["grace@example.test"],
    subject: LONG_SUBJECT,
    state: "delivered",
    attempts: [delivered],
  },
  {
    minutesAgo: 21,
    from: "heidi@example.test",
    to: ["nobody@gone.example.org"],
    subject: "Minutes of Tuesday",
    state: "failed",
    direction: "outbound",
    login: "heidi@example.test",
    attempts: [
      {
        result: "failed",
        code: 550,
        enhanced: "5.1.1",
        text: "550 5.1.1 <nobody@gone.example.org>: Recipient address rejected: User unknown",
      },
    ],
  },
  {
    minutesAgo: 26,
    from: "probe@scanner.example.org",
    to: ["admin@example.test"],
    subject: "",
    size: 0,
    state: "refused",
    cause: "unknown recipient: the mail server said 550 5.1.1 to RCPT",
    ip: "198.51.100.77",
    hostname: null,
    reply: "550 5.1.1 No such user here",
  },
  {
    minutesAgo: 31,
    from: "open@relay.example.org",
    to: ["victim@elsewhere.example.org"],
    subject: "",
    size: 0,
    state: "refused",
    direction: "outbound",
    cause: "relaying denied: the client is neither trusted nor logged in",
    ip: "203.0.113.99",
    hostname: "dsl-99.example.org",
    reply: "550 5.7.1 Relaying denied",
  },
  {
    minutesAgo: 36,
    from: "bulk@list.example.org",
    to: ["ivan@example.test"],
    subject: "Weekly digest no. 214",
    state: "released",
    rule: "spam",
    action: "quarantine",
    words: "gtube.found is true",
    attempts: [delivered],
  },
  {
    minutesAgo: 44,
    from: "judy@example.test",
    to: ["press@paper.example.org"],
    subject: "Press release, embargoed until Monday",
    state: "held",
    direction: "outbound",
    login: "judy@example.test",
  },
  {
    minutesAgo: 52,
    from: "old@example.test",
    to: ["x@dead.example.org"],
    subject: "Old test",
    state: "dropped",
    direction: "outbound",
    login: "old@example.test",
  },
  {
    minutesAgo: 58,
    from: "noise@ads.example.org",
    to: ["mallory@example.test"],
    subject: "Earn money from home",
    state: "discarded",
    rule: "no-ads",
    action: "discard",
    words: "sender.domain is ads.example.org",
  },
  {
    minutesAgo: 63,
    from: "legal@lawyers.example.org",
    to: ["board@example.test"],
    subject: "Contract draft – confidential",
    state: "delivered",
    findings: authFindings("pass", "lawyers.example.org"),
    attempts: [delivered],
  },
  {
    minutesAgo: 71,
    from: "support@vendor.example.org",
    to: ["niaj@example.test"],
    subject: "Re: [#88123] Printer on floor 3",
    state: "delivered",
    findings: authFindings("pass", "vendor.example.org"),
    attempts: [delivered],
  },
];

export const FILLERS = [
  ["no-reply@calendar.example.org", "Invitation: planning week 48"],
  ["hr@example.test", "Holiday list 2027"],
  ["ci@build.example.org", "Build 2231 passed"],
  ["travel@agency.example.org", "Your booking to Vienna"],
  ["ceo@examp1e.example.org", "Are you at your desk?"],
  ["security@bank.example.org", "Statement for October"],
] as const;
