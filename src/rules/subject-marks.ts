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

// MAIL FROM is of another organisation than From, and the message is no `~`.
const SPF_DIFFERS = `(${SPF_OF_OTHER} or spf.differs) and not (spf.result == "pass" and ${DKIM_PROVES})`;
// Not while the answer that could prove From is missing: no mark is better than a wrong one.
const SPF_DIFF = `${SPF_DIFFERS} and not dkim.undecided`;
const DKIM_DIFF = `${DKIM_OF_OTHER} and not (${SPF_PROVES}) and not (spf.undecided or dkim.undecided)`;

/**
 * In this order; a later mark stands outside the earlier ones. What the seed leaves open was decided so:
 *
 * - `spf-diff` speaks of the root domains of MAIL FROM and From, whatever SPF says of the former. It stands whenever they differ, unless
 *   the message is a `~`. A bounce has no MAIL FROM, so nothing differs. An author that failed (`message/author.ts`) has no domain: then
 *   it stands beside an SPF pass, which is of somebody else.
 * - `dkim-diff` is a pass for another domain than that in From. It stands unless SPF passes and is aligned: "passes the SPF check" alone
 *   would be true of any stranger's own server.
 * - `~`: both pass and one of them is aligned, as the two notes have it. Where one of them fails, `!!` says so and `~` does not stand.
 * - "No alignment at all": both warnings stand, and they stand in the subject too, behind `!!` (`subject_warnings`).
 * - SPF `neutral` and `temperror` have no mark in the seed and get none.
 * - DKIM `permerror` and `policy` (a signature over a part of the text) cannot be used: `dkim-invalid`.
 * - `[suspicious]` needs an SPF record that does not allow the mail (softfail, fail) or is broken, and no signature that holds. Where there
 *   is nothing to fail, neither record nor signature, `!!` says that.
 * - `[ SPAM ]` needs a DMARC record: of the domain in From or, where From can be read in several ways, of any of them.
 * - Mail of trusted networks and log-ins is not marked; of several Subject fields each is.
 */
export const SUBJECT_MARKS: readonly ShippedPart[] = [
  {
    ...mark(`${SPF_DIFF} and ${DKIM_DIFF}`, { prefix: ":: spf-diff :: :: dkim-diff :: " }),
    setting: "subject_warnings",
  },
  attention('spf.result == "none"', "spf-none"),
  attention('spf.result == "softfail"', "spf-softfail"),
  attention('spf.result == "fail"', "spf-fail"),
  attention('spf.result == "permerror"', "spf-permerror"),
  attention(SPF_DIFF, "spf-diff"),
  attention('dkim.result == "none"', "dkim-none"),
  attention('dkim.result == "fail"', "dkim-fail"),
  attention(UNUSABLE, "dkim-invalid"),
  attention('dkim.result == "temperror"', "dkim-temperror"),
  attention(DKIM_DIFF, "dkim-diff"),
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
