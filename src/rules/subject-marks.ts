// The marks of requirement I6: what the subject and the note header say of a sender that is not fully proven.
// Inbound only: mail of trusted and authenticated clients has another direction.
import type { ShippedPart } from "./shipped-rules.ts";

const SPF_PROVES = 'spf.result == "pass" and spf.aligned';
const DKIM_PROVES = 'dkim.result == "pass" and dkim.aligned';
const SPF_OF_OTHER = 'spf.result == "pass" and not spf.aligned';
const DKIM_OF_OTHER = 'dkim.result == "pass" and not dkim.aligned';
const UNUSABLE = 'dkim.result in ["invalid", "permerror", "policy"]';

function mark(when: string, look: { prefix: string; suffix?: string; note?: string }): ShippedPart {
  return {
    directions: ["inbound"],
    when,
    action: "mark",
    replyCode: 250,
    replyText: "Message accepted",
    ...look,
  };
}

function attention(when: string, name: string): ShippedPart {
  return mark(when, { prefix: "!! ", note: `:: ${name} ::` });
}

/**
 * In this order; a later mark stands outside the earlier ones.
 * `spf-diff` and `dkim-diff` speak of a pass for another domain than that in From. They appear when nothing proves From;
 * when the other of the two proves it, `~` stands instead.
 */
export const SUBJECT_MARKS: readonly ShippedPart[] = [
  attention('spf.result == "none"', "spf-none"),
  attention('spf.result == "softfail"', "spf-softfail"),
  attention('spf.result == "fail"', "spf-fail"),
  attention('spf.result == "permerror"', "spf-permerror"),
  // Not while the answer that could prove From is missing: no mark is better than a wrong one.
  attention(`${SPF_OF_OTHER} and not (${DKIM_PROVES}) and not dkim.undecided`, "spf-diff"),
  attention('dkim.result == "none"', "dkim-none"),
  attention('dkim.result == "fail"', "dkim-fail"),
  attention(UNUSABLE, "dkim-invalid"),
  attention('dkim.result == "temperror"', "dkim-temperror"),
  attention(
    `${DKIM_OF_OTHER} and not (${SPF_PROVES}) and not (spf.undecided or dkim.undecided)`,
    "dkim-diff",
  ),
  mark(`${SPF_OF_OTHER} and ${DKIM_PROVES}`, {
    prefix: "~ ",
    note: "~ | spf=pass (domain NOT aligned) | dkim=pass | ~",
  }),
  mark(`${SPF_PROVES} and ${DKIM_OF_OTHER}`, {
    prefix: "~ ",
    note: "~ | spf=pass | dkim=pass (domain NOT aligned) | ~",
  }),
  // No DMARC record, SPF says no and no signature speaks for the mail either.
  mark(
    'dmarc.result == "none" and spf.result in ["softfail", "fail", "permerror"] and dkim.result in ["none", "fail", "invalid", "permerror", "policy"]',
    { prefix: "[suspicious] " },
  ),
  mark('dmarc.result == "fail"', { prefix: "[ SPAM ] ", suffix: " [ SPAM ]" }),
];
