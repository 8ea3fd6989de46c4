// One reply for many recipients: the table, and the promises that hold for every mixture.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { FinalAction, Verdict } from "../../src/rules/verdict.ts";
import { type Combined, combineVerdicts } from "../../src/session/combine-verdicts.ts";

function verdict(action: FinalAction, replyCode = 250): Verdict {
  const words = `because of ${action}`;
  const base = { action, rule: action, words, replyCode, replyText: `${action} text` };
  return { ...base, edits: [], redirectTo: null, copyTo: [], outcomes: [] };
}

const ACCEPT = verdict("accept");
const REJECT = verdict("reject", 554);
const KEEP_250 = verdict("quarantine", 250);
const KEEP_550 = verdict("quarantine", 550);
const LATER = verdict("tempfail", 450);
const DROP = verdict("discard");

function short({ refusal, keep, fates }: Combined) {
  return `${refusal?.code ?? 250} ${keep ? "keep" : "nothing"} ${fates.join(" ")}`;
}

describe("combining verdicts", () => {
  test.each([
    [[ACCEPT], "250 keep deliver"],
    [[REJECT], "554 nothing refused"],
    [[REJECT, REJECT], "554 nothing refused refused"],
    [[REJECT, ACCEPT], "250 keep quarantine deliver"],
    [[KEEP_250], "250 keep quarantine"],
    [[KEEP_550], "550 keep quarantine"],
    [[KEEP_550, ACCEPT], "250 keep quarantine deliver"],
    [[KEEP_550, KEEP_250], "250 keep quarantine quarantine"],
    [[KEEP_550, REJECT], "550 keep quarantine refused"],
    [[DROP], "250 keep discard"],
    [[DROP, REJECT], "250 keep discard quarantine"],
    [[LATER], "450 nothing refused"],
    [[LATER, ACCEPT], "450 nothing refused refused"],
    [[REJECT, KEEP_550, LATER], "450 nothing refused refused refused"],
  ] as const)("%#", (verdicts, wanted) => {
    expect(short(combineVerdicts(verdicts))).toBe(wanted);
  });

  test("the reply is the first refusing rule's, the cause stays private", () => {
    const { refusal } = combineVerdicts([REJECT, KEEP_550]);
    expect(refusal?.text).toBe("reject text");
    expect(refusal?.cause).toBe("rule reject: because of reject");
  });

  test("a code of the wrong class is mended", () => {
    expect(combineVerdicts([verdict("reject", 250)]).refusal?.code).toBe(550);
    expect(combineVerdicts([verdict("tempfail", 550)]).refusal?.code).toBe(451);
  });

  test("nothing is lost and nothing is told twice", () => {
    const any = fc.constantFrom(ACCEPT, REJECT, KEEP_250, KEEP_550, LATER, DROP);
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 8 }), (verdicts) => {
        const { refusal, keep, fates } = combineVerdicts(verdicts);
        expect(fates.length).toBe(verdicts.length);
        // Accepted: every recipient has a fate. Refused: nobody's copy goes out.
        if (refusal === null) expect(fates).not.toContain("refused");
        else expect(fates).not.toContain("deliver");
        expect(keep).toBe(fates.some((fate) => fate !== "refused"));
        // Nobody gets what a rule refused him.
        verdicts.forEach((one, i) => {
          if (one.action !== "accept") expect(fates[i]).not.toBe("deliver");
        });
      }),
    );
  });
});
