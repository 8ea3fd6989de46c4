// What a checked message means for its sender and identity: it is counted, its spam may lock, its recipients become known.
import type { Reply } from "../policy/reply.ts";
import type { Finding } from "../rules/fact.ts";
import { beginWait, bulkFindings, bulkNumbers, countNew, noteSent } from "./bulk-watch.ts";
import { EventLog } from "./event-log.ts";
import { HourBook } from "./hour-book.ts";
import type { Outgoing, OutgoingMessage, OutgoingResult } from "./outgoing.ts";
import {
  correspondence,
  countBoth,
  countVolume,
  NOBODY,
  type OutgoingParts,
  type Seen,
  seenBehind,
} from "./outgoing-parts.ts";
import type { NewLock } from "./run-locks.ts";
import { countRecipients } from "./sending-limits.ts";
import { planBehind, type SendingPlan } from "./sending-plan.ts";
import { newTally, type Tally } from "./tally.ts";
import { waitWords } from "./time-words.ts";

type Settlement = Pick<Outgoing, "findings" | "settle" | "takeBack" | "noteOutcome">;

/** The facts for the rules, and what follows from their verdict. */
export function createSettlement(parts: OutgoingParts): Settlement {
  const isCorrespondent = correspondence(parts);

  return {
    findings(message) {
      const now = parts.clock.now();
      const facts = identityFindings(message);
      const { party } = message;
      const name = message.identity ?? NOBODY;
      // Asked for mail that is only thought of, too: nobody is seen by it.
      const identity = parts.store.find(party.key, name) ?? newTally(party.key, name, now);
      if (identity.domain === "") identity.domain = party.sender.domain;
      const count = message.recipients.length;
      const newNow = countNew(identity, message.recipients, isCorrespondent);
      return [...facts, ...bulkFindings(identity, bulkNumbers(identity, { now, count, newNow }), now)];
    },

    settle(message, result) {
      parts.sent.release(message.id);
      const who = seenBehind(parts, message);
      const { sender, identity, now } = who;
      const plan = planBehind(message.party, message.identity);
      const locked =
        parts.locks.refuse(sender.sender, "") ??
        (identity === null ? null : parts.locks.refuse(sender.sender, identity.name));
      if (locked !== null && !result.spam && !result.lock && result.counted.length > 0) {
        countBoth(parts, who, (tally) => countVolume(tally, now, "refused"));
        return locked;
      }
      if (result.counted.length === 0 && !result.spam)
        countBoth(parts, who, (tally) => countVolume(tally, now, "refused"));
      if (result.counted.length > 0) {
        parts.sent.note(message.id, {
          sender: sender.sender,
          name: identity?.name ?? null,
          count: result.counted.length,
          at: now,
        });
        countTaken(who, result, plan);
      } else if (identity !== null && isSlowed(result)) {
        beginWait(identity, now);
      } else if (identity !== null && isHeld(result)) {
        // Held, though the client heard a refusal: it was an attempt to reach them all the same, and more of them lock.
        const newNow = countNew(identity, message.recipients, isCorrespondent);
        noteSent(identity, message.recipients, { now, newNow, learn: false });
      }
      if (result.lock && identity !== null)
        fall(identity, { message, plan, words: `${result.rule ?? "a rule"}: ${result.words}` });
      if (result.spam) countSpam(who, locked, { message, plan });
      return null;
    },

    takeBack(messageId) {
      parts.sent.release(messageId);
      const by = parts.sent.by(messageId);
      if (by === null) return;
      parts.sent.forget(messageId);
      for (const name of by.name === null ? [""] : ["", by.name]) {
        const tally = parts.store.find(by.sender, name);
        if (tally === null) continue;
        tally.recipients?.takeBack(by.at, by.count);
        parts.store.changed(tally);
      }
    },

    noteOutcome(messageId, outcome) {
      const by = parts.sent.by(messageId);
      if (by === null) return;
      const now = parts.clock.now();
      for (const name of by.name === null ? [""] : ["", by.name]) {
        const tally = parts.store.find(by.sender, name);
        if (tally === null) continue;
        tally.hours ??= new HourBook();
        tally.hours.add(now, "delivered", outcome.delivered);
        tally.hours.add(now, "rejected", outcome.rejected);
        tally.hours.add(now, "unknown", Math.min(outcome.unknown ?? 0, outcome.rejected));
        parts.store.changed(tally);
      }
    },
  };

  function countTaken(who: Seen, result: OutgoingResult, plan: SendingPlan): void {
    const { now, identity } = who;
    const count = result.counted.length;
    const newNow = identity === null ? 0 : countNew(identity, result.counted, isCorrespondent);
    countBoth(parts, who, (tally) => {
      countVolume(tally, now, "messages");
      countVolume(tally, now, "recipients", count);
      countRecipients(tally, tally === identity ? plan.identity : plan.sender, { now, count });
    });
    // What was held for what it looks like makes nobody known.
    if (identity !== null)
      noteSent(identity, result.counted, { now, newNow, learn: !result.spam && !isBulk(result) });
  }

  function countSpam(
    who: Seen,
    locked: Reply | null,
    { message, plan }: { readonly message: OutgoingMessage; readonly plan: SendingPlan },
  ): void {
    const { now, sender, identity } = who;
    countBoth(parts, who, (tally) => countVolume(tally, now, "spam"));
    // What is still under way when the lock falls does not count toward the next one.
    if (locked !== null) return;
    const { lock } = plan;
    const targets = [
      ...(lock.identity && identity !== null ? [identity] : []),
      ...(lock.sender ? [sender] : []),
    ];
    for (const tally of targets) {
      tally.spam ??= new EventLog(lock.windowMs);
      tally.spam.keep(lock.windowMs, now);
      tally.spam.add(now, 1);
      const events = tally.spam.sum(now, lock.windowMs);
      if (events < lock.spam) continue;
      const words = `${events} spam message${events === 1 ? "" : "s"} within ${waitWords(lock.windowMs)}`;
      fall(tally, { message, plan, words });
    }
  }

  function fall(
    tally: Tally,
    {
      message,
      plan,
      words,
    }: { readonly message: OutgoingMessage; readonly plan: SendingPlan; readonly words: string },
  ): void {
    tally.spam = null;
    parts.store.changed(tally);
    parts.locks.fall({ ...newLock(tally, plan, message.party.sender.login ?? null), words });
  }
}

/** A lock of the sender or identity as its settings say, without its reason. */
export function newLock(
  { sender, name, domain }: Pick<Tally, "sender" | "name" | "domain">,
  { lock }: SendingPlan,
  login: string | null,
): Omit<NewLock, "words"> {
  const { timeoutMs, maxTimeouts, template } = lock;
  return { sender, name, domain, timeoutMs, maxTimeouts, template, login };
}

/** The shipped rules that hold suspicious mail in quarantine; a sender set to `rejected` hears 550 then. */
const HOLDING_RULES: ReadonlySet<string | null> = new Set(["bulk-hold", "bulk-beyond-doubt"]);

/** A rule of bulk recognition decided. */
function isBulk({ kind, rule }: OutgoingResult): boolean {
  return kind === "bulk" || (rule?.startsWith("bulk-") ?? false);
}

/** It was put off for looking like bulk: not taken, and neither spam nor a reason to lock. */
function isSlowed(result: OutgoingResult): boolean {
  return isBulk(result) && !result.spam && !result.lock && !HOLDING_RULES.has(result.rule);
}

function isHeld({ rule }: OutgoingResult): boolean {
  return HOLDING_RULES.has(rule);
}

function identityFindings({ identity, party }: OutgoingMessage): readonly Finding[] {
  const facts: Finding[] = [
    {
      check: "identity",
      fact: "identity.found",
      value: identity !== null,
      words: identity === null ? `No identity was found behind mail of ${party.key}` : `Sent by ${identity}`,
    },
    { check: "identity", fact: "identity.sender", value: party.key },
  ];
  if (identity !== null) facts.push({ check: "identity", fact: "identity.name", value: identity });
  return facts;
}
