// The advice of a notice fits who can do something about it. Replies as servers write them, each over each way it can come.
import { describe, expect, test } from "bun:test";
import { explainReply } from "../../src/notify/explain-reply.ts";
import { type Cause, causeOf, type NoticeWay } from "../../src/notify/reply-cause.ts";
import { processorMs } from "../message/processor-time.ts";

type Sample = readonly [cause: Cause | null, code: number | null, enhanced: string | null, text: string];

const SAMPLES: readonly Sample[] = [
  [
    "no-mailbox",
    550,
    "5.1.1",
    "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
  ],
  [
    "no-mailbox",
    550,
    "5.1.10",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
  ],
  ["no-mailbox", 550, null, "550 No such user here"],
  ["no-mailbox", 553, null, "553 sorry, that address does not exist"],
  ["mailbox-full", 552, "5.2.2", "552 5.2.2 The email account that you tried to reach is over quota"],
  ["mailbox-full", 452, null, "452 Mailbox full"],
  ["mailbox-full", 422, null, "422 The recipient has exceeded their mailbox quota"],
  ["too-big", 552, "5.3.4", "552 5.3.4 Message size exceeds fixed limit"],
  ["too-big", 552, null, "552 Message too large"],
  ["too-big", null, "5.3.4", "The message has 9000 bytes; the server takes at most 8000"],
  [
    "block-list",
    550,
    "5.7.1",
    "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
  ],
  ["block-list", 554, null, "554 Your IP is blacklisted"],
  ["block-list", 550, "5.7.606", "550 5.7.606 Access denied, banned sending IP [192.0.2.1], see block list"],
  [
    "block-list",
    421,
    "4.7.0",
    "421 4.7.0 our system has detected an unusual rate due to the very low reputation of the sending IP",
  ],
  [
    "greylist",
    450,
    "4.2.0",
    "450 4.2.0 <bob@example.org>: Recipient address rejected: Greylisted, see http://postgrey",
  ],
  ["greylist", 451, "4.7.1", "451 4.7.1 Greylisting in action, please come back later"],
  ["relay", 554, "5.7.1", "554 5.7.1 <bob@example.org>: Relay access denied"],
  ["relay", 550, "5.7.1", "550 5.7.1 Unable to relay"],
  ["relay", 550, null, "550 Relaying denied"],
  ["relay", 553, "5.7.1", "553 5.7.1 we do not relay"],
  ["login", 530, "5.7.0", "530 5.7.0 Authentication required"],
  ["login", 535, "5.7.8", "535 5.7.8 Error: authentication failed"],
  ["login", 534, "5.7.9", "534 5.7.9 Application-specific password required"],
  ["login", 550, null, "550 authentication required"],
  ["login", null, null, "the server offers no AUTH, but a login is set for it"],
  ["tls", null, null, "TLS must be verified for this server, but its certificate is not valid for the name"],
  ["tls", null, null, "the server offers no TLS, and a password is not sent without it"],
  ["tls", null, null, "the password was not sent: the certificate is self-signed"],
  ["tls", 530, "5.7.0", "530 5.7.0 Must issue a STARTTLS command first"],
  ["tls", 523, "5.7.10", "523 5.7.10 Encryption Needed"],
  [
    "require-tls",
    null,
    "5.7.30",
    "The sender requires TLS all the way, but the server does not offer REQUIRETLS",
  ],
  ["authentication", 550, "5.7.23", "550 5.7.23 SPF validation failed"],
  [
    "authentication",
    550,
    "5.7.26",
    "550 5.7.26 This mail has been blocked because the sender is unauthenticated. DKIM = did not pass",
  ],
  ["authentication", 550, "5.7.1", "550 5.7.1 rejected by the DMARC policy of example.test"],
  ["reverse-name", 450, "4.7.25", "450 4.7.25 Client host rejected: cannot find your reverse hostname"],
  ["reverse-name", 550, null, "550 IP has no PTR record"],
  ["rate", 421, "4.7.28", "421 4.7.28 too many messages in a time"],
  ["rate", 450, null, "450 Rate limit exceeded"],
  ["spam", 554, "5.7.1", "554 5.7.1 Message rejected as spam by content filtering"],
  ["spam", 550, null, "550 This looks like spam"],
  ["malware", 554, "5.7.1", "554 5.7.1 virus Eicar-Test-Signature detected"],
  ["malware", 552, "5.7.0", "552 5.7.0 This attachment type is not allowed"],
  ["sender", 550, "5.1.8", "550 5.1.8 Bad sender's system address"],
  ["sender", 553, "5.7.1", "553 5.7.1 <a@b.example>: Sender address rejected: not owned by user x"],
  ["loop", 554, "5.4.6", "554 5.4.6 Too many hops"],
  ["unreached", null, null, "no connection: it refuses connections (ECONNREFUSED)"],
  ["own-fault", null, null, "Our own fault: the body could not be read"],
  [null, 550, "5.7.1", "550 5.7.1 Denied by policy"],
  [null, 554, null, "554 Transaction failed"],
  [null, 451, null, "451 Try again later"],
];

const WAYS: readonly NoticeWay[] = ["mx", "routes", "smarthost"];

describe("causes", () => {
  for (const [cause, code, enhanced, text] of SAMPLES) {
    test(text, () => {
      for (const via of WAYS) expect([via, causeOf({ code, enhanced, text, via })]).toEqual([via, cause]);
    });
  }
});

/** What only the administrator of this gateway can put right when it happens on a way of ours. */
const ADMINISTRATORS: ReadonlySet<Cause | null> = new Set<Cause | null>([
  "login",
  "tls",
  "relay",
  "block-list",
  "reverse-name",
  "authentication",
  "unreached",
  "own-fault",
  "own-dns",
  "loop",
]);

test("trouble on a way of ours never sends the user to look at the spelling", () => {
  for (const [cause, code, enhanced, text] of SAMPLES) {
    for (const via of ["routes", "smarthost"] as const) {
      const { meaning, advice } = explainReply({ code, enhanced, text, via });
      const said = `${text}: ${meaning} ${advice}`;
      if (cause !== "no-mailbox") expect(said).not.toMatch(/spelling/i);
      if (ADMINISTRATORS.has(cause)) expect(said).toMatch(/mail administrator/);
    }
  }
});

test("a name that the way of ours has not in the DNS is for the administrator, one of the recipient's for the user", () => {
  const reply = { code: null, enhanced: "4.4.3", text: '"relay.example.test" has no address: no such name' };
  for (const via of ["routes", "smarthost"] as const)
    expect(explainReply({ ...reply, via })).toEqual({
      meaning: expect.stringContaining("could not be found"),
      advice: expect.stringContaining("mail administrator"),
    });
  const unknown = {
    code: null,
    enhanced: "5.1.2",
    text: 'The domain "exmaple.org" does not exist',
    via: "mx",
  } as const;
  expect(explainReply(unknown).advice).toContain("spelling");
});

test("what the recipient can put right is said so, whatever the way", () => {
  for (const via of WAYS) {
    const full = explainReply({ code: 552, enhanced: "5.2.2", text: "552 5.2.2 mailbox full", via });
    expect(full.advice).toContain("make room");
    const unknown = explainReply({ code: 550, enhanced: "5.1.1", text: "550 5.1.1 User unknown", via });
    expect(unknown.advice).toContain("spelling");
  }
});

test("a rule of ours: what was stopped, and who can let it go", () => {
  const { meaning, advice } = explainReply({ code: null, enhanced: "5.7.1", text: "x", via: "rule" });
  expect(meaning).toContain("A rule of this mail gateway");
  expect(advice).toContain("release it from the quarantine");
});

test("a long hostile answer costs no time", () => {
  const text = `550 ${"relay not a ".repeat(20_000)}`;
  const from = processorMs();
  for (let i = 0; i < 100; i++) causeOf({ code: 550, enhanced: null, text, via: "mx" });
  expect(processorMs() - from).toBeLessThan(2000);
});

test("what cannot be converted for a server without 8BITMIME: what would help", () => {
  const text =
    "The message has 8-bit text and cannot be converted without breaking its signature or structure";
  expect(explainReply({ code: null, enhanced: "5.6.3", text, via: "mx" }).advice).toContain("signature");
});
