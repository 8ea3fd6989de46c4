// Sample mail in every state, for the console's tests and for looking at its pages. Some of it is hostile on purpose.
import type { MailAddress } from "../../src/message/address.ts";
import type { Grant } from "../../src/message/envelope.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import type { RuleOutcome, Verdict } from "../../src/rules/verdict.ts";
import type { AttemptRecord, MessageRecord } from "../../src/store/log-record.ts";
import type { LogMessage } from "../../src/store/message-log.ts";
import { authFindings, delivered, FILLERS, SCENARIOS, type Scenario } from "./mail-scenarios.ts";

export const NOW = Date.UTC(2026, 10, 21, 14, 32, 10);

function verdictOf(scenario: Scenario): Verdict | null {
  if (scenario.cause !== undefined) return null;
  const action = scenario.action ?? "accept";
  const rule = scenario.rule ?? null;
  const words = scenario.words ?? "no rule matched";
  const outcomes: readonly RuleOutcome[] =
    scenario.outcomes ?? (rule === null ? [] : [{ rule, mode: "enforce", action, words, applied: true }]);
  const replyCode = action === "reject" ? 550 : 250;
  return {
    action,
    rule,
    words,
    replyCode,
    replyText: "Message accepted",
    edits: [],
    redirectTo: null,
    copyTo: [],
    outcomes,
  };
}

function grantOf(scenario: Scenario, to: string): Grant | null {
  if (scenario.cause?.startsWith("relaying") === true) return null;
  if (scenario.login !== undefined) return { by: "authenticated-sender", sender: scenario.login };
  if (scenario.ip?.startsWith("10.") === true) return { by: "trusted-network", network: "10.0.0.0/8" };
  return { by: "relay-domain", domain: to.slice(to.lastIndexOf("@") + 1) };
}

function makeAttempts(id: string, scenario: Scenario, at: number): readonly AttemptRecord[] {
  const outbound = scenario.direction === "outbound";
  return (scenario.attempts ?? [])
    .map((outcome, i) => ({ outcome, i }))
    .filter(({ outcome }) => outcome.result !== undefined)
    .map(({ outcome, i }) => ({
      id: `${id}-a${i}`,
      messageId: id,
      startedAt: at + 800 + i * 61_000,
      endedAt: at + 1150 + i * 61_000,
      destination: outbound ? (scenario.to[0]?.split("@")[1] ?? "") : "routes of example.test",
      outcomes: [
        {
          n: scenario.to.length > 1 ? i : 0,
          result: outcome.result ?? "delivered",
          code: outcome.code ?? 250,
          enhanced: outcome.enhanced ?? null,
          text: outcome.text ?? "",
          server: outbound ? "mx1.example.org [192.0.2.7]:25" : "mail.example.test [10.0.0.5]:25",
          tls: scenario.tls === false ? null : { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
        },
      ],
    }));
}

function makeMessage(scenario: Scenario): LogMessage {
  const at = NOW - scenario.minutesAgo * 60_000;
  const id = newMessageId(at);
  const verdict = verdictOf(scenario);
  const states = scenario.to.map((_, n) =>
    typeof scenario.state === "string" ? scenario.state : (scenario.state[n] ?? "delivered"),
  );
  const accept: Verdict | null =
    verdict === null
      ? null
      : { ...verdict, action: "accept", rule: null, words: "no rule matched", outcomes: [] };
  const reply = scenario.reply ?? "250 2.0.0 Message accepted";
  const record: MessageRecord = {
    id,
    envelope: {
      id,
      listener: scenario.login === undefined ? "mx" : "submission",
      client: {
        ip: scenario.ip ?? "192.0.2.44",
        port: 41_022,
        helo: "mail.example.org",
        hostname: scenario.hostname === undefined ? "mail.example.org" : scenario.hostname,
        tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
        login: scenario.login ?? null,
      },
      reversePath: scenario.from === "" ? null : (scenario.from as MailAddress),
      smtpUtf8: false,
      body: "8bitmime",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      receivedAt: at,
    },
    recipients: scenario.to.map((address, n) => ({
      n,
      address,
      direction: scenario.direction ?? "inbound",
      grant: grantOf(scenario, address),
      state: states[n] === "quarantined" || states[n] === "refused" ? states[n] : "queued",
      verdict: states[n] === "delivered" && scenario.to.length > 1 ? accept : verdict,
      reply: scenario.cause === undefined ? "250 2.1.5 Recipient ok" : reply,
    })),
    size: scenario.size ?? 18_432 + scenario.minutesAgo * 311,
    subject: scenario.subject.slice(0, 500),
    headerFrom: scenario.from === "" ? "Mail Delivery System <postmaster@mx.example.org>" : scenario.from,
    headerMessageId: `<${id}@mail.example.org>`,
    findings: scenario.findings ?? authFindings("pass", "example.org"),
    reply,
    cause: scenario.cause ?? null,
  };
  return {
    record,
    states: states.map((state, n) => ({
      n,
      state,
      at: at + 1200,
      nextAttemptAt: state === "queued" ? NOW + 240_000 : null,
      words: state === "dropped" ? "Dropped by admin@example.test" : "",
    })),
    attempts: makeAttempts(id, scenario, at),
  };
}

/** 60 messages, newest first. */
export function sampleMessages(): readonly LogMessage[] {
  const fillers = Array.from({ length: 41 }, (_, i): Scenario => {
    const [from, subject] = FILLERS[i % FILLERS.length] ?? FILLERS[0];
    const spoofed = from.startsWith("ceo@");
    return {
      minutesAgo: 80 + i * 13,
      from,
      to: [`user${i}@example.test`],
      subject,
      state: spoofed ? "refused" : "delivered",
      ...(spoofed
        ? {
            rule: "authenticated-senders-only",
            action: "reject" as const,
            words: "spf.aligned is false and dkim.aligned is false",
          }
        : { attempts: [delivered] }),
    };
  });
  return [...SCENARIOS, ...fillers].map(makeMessage).toSorted((a, b) => (a.record.id < b.record.id ? 1 : -1));
}
