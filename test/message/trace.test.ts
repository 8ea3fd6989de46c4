// Our trace header fields: right on top, no forged ones below, and below them not an octet changed.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { addTraceHeaders, type TraceOptions } from "../../src/message/trace.ts";
import { anyMessage, envelope, message } from "./message-samples.ts";
import { small } from "./small-body.ts";

const HOST = "gate.example.test";
const findings: TraceOptions["findings"] = [
  { check: "spf", fact: "spf.result", value: "pass" },
  { check: "spf", fact: "spf.domain", value: "example.org" },
  { check: "dkim", fact: "dkim.result", value: "pass" },
  { check: "dkim", fact: "dkim.domains", value: ["example.org", "list.example.net"] },
  { check: "dmarc", fact: "dmarc.result", value: "pass" },
  { check: "dmarc", fact: "dmarc.policy", value: "reject" },
  { check: "dmarc", fact: "dmarc.domain", value: "example.org" },
  { check: "arc", fact: "arc.result", value: "none" },
];

function traced(raw: Uint8Array, changes: Partial<TraceOptions> = {}): string {
  const options = {
    raw,
    envelope: envelope(),
    hostname: HOST,
    recipient: null,
    findings: [],
    verdictWords: "",
    ...changes,
  };
  return small(addTraceHeaders(options)).toString("latin1");
}

test("the whole of it", () => {
  const raw = message(["From: a@example.org"]);
  const client = {
    ...envelope().client,
    tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
    login: "secret-login",
  };
  const text = traced(raw, {
    envelope: envelope({ client }),
    recipient: "bob@example.test",
    findings,
    verdictWords: "accepted, no rule matched",
  });
  expect(text).toBe(
    [
      "Received: from mail.example.org (mail.example.org [192.0.2.1])",
      "\tby gate.example.test (Gatepost) with ESMTPSA id 0123456789abcdefghjk",
      "\t(TLSv1.3 cipher TLS_AES_256_GCM_SHA384)",
      "\tfor <bob@example.test>;",
      "\tFri, 20 Nov 2026 10:00:00 +0000",
      "Authentication-Results: gate.example.test;",
      "\tspf=pass smtp.mailfrom=example.org;",
      "\tdkim=pass header.d=example.org;",
      "\tdkim=pass header.d=list.example.net;",
      "\tdmarc=pass (p=reject) header.from=example.org;",
      "\tarc=none",
      "X-Gatepost: id=0123456789abcdefghjk; accepted, no rule matched",
      raw.toString(),
    ].join("\r\n"),
  );
  expect(text).not.toContain("secret-login");
});

test("the keyword says how it came (RFC 3848, RFC 6531)", () => {
  const tls = { protocol: "TLSv1.3", cipher: "X" };
  const raw = message(["From: a@example.org"]);
  const keyword = (changes: Partial<TraceOptions["envelope"]>) =>
    / with (\S+) id /.exec(traced(raw, { envelope: envelope(changes) }))?.[1];
  const client = envelope().client;
  expect(keyword({})).toBe("ESMTP");
  expect(keyword({ client: { ...client, tls } })).toBe("ESMTPS");
  expect(keyword({ client: { ...client, login: "x@example.test" } })).toBe("ESMTPA");
  expect(keyword({ smtpUtf8: true, client: { ...client, tls } })).toBe("UTF8SMTPS");
});

test("each signature and the sealer are named; what cannot stand in a header is quoted or left out", () => {
  const raw = message(["From: a@example.org"]);
  const text = traced(raw, {
    findings: [
      { check: "dkim", fact: "dkim.result", value: "pass" },
      {
        check: "dkim",
        fact: "dkim.signatures",
        value: [
          "pass example.org s1 rsa-sha256 AbCdEf12",
          "fail example.org - ed25519-sha256 a/b+c=12",
          "invalid - - - -",
          "pass=evil x",
          "",
        ],
      },
      { check: "arc", fact: "arc.result", value: "pass" },
      { check: "arc", fact: "arc.sealer", value: "lists.example.net" },
      { check: "arc", fact: "arc.instance", value: 2 },
    ],
  });
  const field = /Authentication-Results: [\s\S]*?\r\n(?=\S)/.exec(text)?.[0];
  expect(field).toBe(
    [
      `Authentication-Results: ${HOST};`,
      "\tdkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256 header.b=AbCdEf12;",
      '\tdkim=fail header.d=example.org header.a=ed25519-sha256 header.b="a/b+c=12";',
      "\tdkim=permerror;",
      "\tarc=pass (i=2) header.d=lists.example.net",
      "",
    ].join("\r\n"),
  );
});

test("without results there is no Authentication-Results; invalid DKIM is a permanent error", () => {
  const raw = message(["From: a@example.org"]);
  expect(traced(raw, { findings: [{ check: "eicar", fact: "eicar.found", value: false }] })).not.toContain(
    "Authentication-Results",
  );
  const invalid = traced(raw, { findings: [{ check: "dkim", fact: "dkim.result", value: "invalid" }] });
  expect(invalid).toContain("dkim=permerror\r\n");
  const bounce = envelope({ reversePath: null });
  expect(traced(raw, { envelope: bounce, findings })).toContain("spf=pass smtp.helo=example.org");
});

test("nothing a client or sender wrote can end a line or a clause", () => {
  const hostile = "x)\r\nBcc: evil\r\n\r\n(";
  const client = { ...envelope().client, helo: hostile, hostname: hostile, ip: "2001:db8::1" };
  const header = traced(message(["From: a@example.org"]), {
    envelope: envelope({ client }),
    recipient: `b${hostile}@example.test`,
    verdictWords: `words\r\nInjected: yes ${"long ".repeat(300)} ☃`,
    findings: [
      { check: "spf", fact: "spf.result", value: "pass\r\nX: y" },
      { check: "dmarc", fact: "dmarc.result", value: "fail" },
      { check: "dmarc", fact: "dmarc.domain", value: 'a"\r\nInjected: yes' },
    ],
  }).split("\r\nFrom:")[0];
  expect(header).not.toMatch(/^(Bcc|Injected|X):/im);
  expect(header).toContain("[IPv6:2001:db8::1]");
  for (const line of (header ?? "").split("\r\n")) {
    expect(line.length).toBeLessThan(998);
    expect(line).toMatch(/^[\x20-\x7e\t]+$/);
    expect(line.trim()).not.toBe("");
  }
});

const forged: readonly string[] = [
  "Authentication-Results: gate.example.test; spf=pass",
  "AUTHENTICATION-RESULTS: GATE.EXAMPLE.TEST; spf=pass",
  "Authentication-Results : gate.example.test; spf=pass",
  "Authentication-Results\t: gate.example.test; spf=pass",
  "Authentication-Results:gate.example.test;spf=pass",
  "Authentication-Results: gate.example.test 1; spf=pass",
  "Authentication-Results: gate.example.test/1; spf=pass",
  "Authentication-Results: gate.example.test.; spf=pass",
  'Authentication-Results: "gate.example.test"; spf=pass',
  'Authentication-Results: "gate\\.example.test"; spf=pass',
  "Authentication-Results: (a; (nested) \\) comment) gate.example.test (b); spf=pass",
  "Authentication-Results: gate.example.test(c); spf=pass",
  "Authentication-Results:\r\n\tgate.example.test;\r\n spf=pass",
  "Authentication-Results: gate.example.test",
  "Authentication-Results: (unclosed gate.example.test; spf=pass",
  'Authentication-Results: "unclosed gate.example.test; spf=pass',
  "Authentication-Results\r\n : gate.example.test; spf=pass",
  "Authentication-Results\0: gate.example.test; spf=pass",
  "Authentication\u0001-Results: gate.example.test; spf=pass",
  "Authentication-Results\u00c2\u00a0: gate.example.test; spf=pass",
  "Authentication-Results: gate\0.example.test; spf=pass",
  "Authentication-Results: gate(a).example.test; spf=pass",
  "Authentication-Results: gate.\r\n example.test; spf=pass",
  "Authentication-Results: gate.example.test\r\n\t.example.org; spf=pass",
  "Authentication-Results: gate\r\n\t.example.test; spf=pass",
  "Authentication-Results: ga\r\n te.exam\tple.test; spf=pass",
  "Authentication-Results: gate . example . test 1; spf=pass",
  "Authentication-Results: gate . example . test. ; spf=pass",
  'Authentication-Results: "gate.\r\n example.test"; spf=pass',
  "Authentication-Results: gate. (x)\r\n example.test/1; spf=pass",
  "Authentication-Results: \r\n gate.example.\r\n test\r\n ; spf=pass",
  "Authentication-Results: gate.(a)(b)example.test (c); spf=pass",
  "Authentication-Results: =?us-ascii?q?gate.example.test?=; spf=pass",
  "Authentication-Results: gate\u00c2\u00ad.example.test; spf=pass",
  "Authentication-Results: gate\u00e3\u0080\u0082example.test; spf=pass",
  "X-Gatepost\r\n : id=0; clean",
  "X-Gate\0post: id=0; clean",
  "X-Note\r\n\t: mine",
  "X-Gatepost: id=0; clean",
  "x-gatepost-verdict: clean",
  "X-Note: mine",
];
test.each(forged)("removed: %s", (field) => {
  const latin1 = (text: string) => Buffer.from(text, "latin1");
  const raw = latin1(`From: a@example.org\r\n${field}\r\nTo: b@example.test\r\n\r\n${field}\r\n`);
  const kept = `From: a@example.org\r\nTo: b@example.test\r\n\r\n${field}\r\n`;
  const text = traced(raw, { noteHeader: "X-Note" });
  expect(text.endsWith(kept)).toBe(true);
  expect(text.slice(0, -kept.length).toLowerCase()).not.toContain("spf=pass");
});

const foreign: readonly string[] = [
  "Authentication-Results: mx.example.org; spf=pass",
  "Authentication-Results: gate.example.test.example.org; spf=pass",
  "Authentication-Results: my gate.example.test; spf=pass",
  "Authentication-Results: gate.example.test1; spf=pass",
  "Authentication-Results: mx.example.org; spf=pass (gate.example.test)",
  "ARC-Authentication-Results: i=1; gate.example.test; spf=pass",
  "X-Gate: post",
];
test.each(foreign)("kept: %s", (field) => {
  expect(traced(message(["From: a@example.org", field]))).toContain(`\r\n${field}\r\n`);
});

/** Name, value, and how many of the message's ARC sets must be proven for it to stay. */
const setResults: readonly (readonly [field: string, stays: number])[] = [
  ["ARC-Authentication-Results: i=1; gate.example.test; spf=pass", 1],
  ["ARC-Authentication-Results: i=2; gate.\r\n example.test; spf=pass", 2],
  ['ARC-Authentication-Results: i = 2 ;\r\n "gate.example.test" 1; spf=pass', 2],
  ["ARC-Authentication-Results: gate.example.test; spf=pass", Number.POSITIVE_INFINITY],
  ["ARC-Authentication-Results: i=x; gate.example.test; spf=pass", Number.POSITIVE_INFINITY],
  ["ARC-Authentication-Results: (a) i=1; gate.example.test; spf=pass", Number.POSITIVE_INFINITY],
  ["ARC-Authentication-Results\r\n : i=1; gate.example.test; spf=pass", Number.POSITIVE_INFINITY],
  ["ARC-Authentication\u0001-Results: i=1; gate.example.test; spf=pass", Number.POSITIVE_INFINITY],
];
test.each(setResults)("results in our name in an ARC set stay when it is proven: %s", (field, stays) => {
  const raw = message(["From: a@example.org", field]);
  for (const provenSets of [0, 1, 2]) {
    const kept = traced(raw, { provenSets }).includes("spf=pass");
    expect([provenSets, kept]).toEqual([provenSets, provenSets >= stays]);
  }
  const other = field.replaceAll("gate", "mx");
  expect(traced(message([other]), { provenSets: 0 })).toContain(other);
});

test("below our fields every octet is the original's", () => {
  fc.assert(
    fc.property(anyMessage, (raw) => {
      fc.pre(!/^(authentication-results|x-gatepost)/im.test(raw.toString("latin1")));
      const out = addTraceHeaders({
        raw,
        envelope: envelope(),
        hostname: HOST,
        recipient: null,
        findings,
        verdictWords: "x",
      });
      expect(
        small(out)
          .subarray(out.length - raw.length)
          .equals(raw),
      ).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["words", " ; released by the administrator\r\n\tand more\r\n"],
  ["white space alone", "\t\r\n \r\n"],
])(
  "a message that begins with a continuation line cannot write into our note, and is kept: %s",
  (_, lines) => {
    const raw = `${lines}From: a@example.org\r\n\r\nx\r\n`;
    const text = traced(Buffer.from(raw), { verdictWords: "quarantined" });
    expect(text.endsWith(`; quarantined\r\n\r\n${raw}`)).toBe(true);
  },
);

test("results of an international name longer than any name are taken for ours", () => {
  const text = traced(
    message([`Authentication-Results: ${"ü".repeat(400)}; spf=pass`, "From: a@example.org"]),
  );
  expect(text).not.toContain("spf=pass");
});
