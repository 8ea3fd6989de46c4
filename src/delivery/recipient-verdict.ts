// What a reply to a call-out's RCPT says about the address, and what only about us, the sender or the server's state. No I/O.
import type { RemoteReply } from "./remote-reply.ts";

export type RecipientVerdict = "yes" | "no" | "unsure";

/** The codes that refuse a mailbox (RFC 5321 §4.2.3). */
const OF_THE_MAILBOX = new Set([550, 551, 553]);
/** 554 is about anything, 511 is chkuser's for an unknown mailbox: what else they say decides. */
const OF_ANYTHING = new Set([511, 554]);
/** RFC 3463 §3.2: bad addresses, but those of the sender. */
const OF_THE_SENDER = new Set(["5.1.7", "5.1.8"]);
/** They say no more than the code does; 5.2.1 is a mailbox that is disabled (RFC 3463 §3.3). */
const AS_WITHOUT = new Set([null, "5.0.0", "5.2.1"]);
/** No address here is written so: it cannot be read (501 5.1.3), is not ASCII (RFC 6531 §3.5), or the domain takes no mail (RFC 7505). */
const WRITTEN_WRONG = /^(?:501 5\.1\.[13]|55[03] 5\.6\.7|556 5\.1\.10)\s/;
/** Servers say in words that they refuse us, not the address, or that the mailbox is full. */
const NOT_OF_THE_ADDRESS =
  /\b(?:auth(?:entication|enticate|orization|orized)?|log ?in|relay(?:ing|ed)?|block(?:ed|ing|list(?:ed)?)?|black ?list(?:ed)?|deny ?list(?:ed)?|[rd]n?s?bl|spam(?:haus|cop|ming|mer)?|barracuda|reputation|policy|quota|full|space|size|too (?:many|large|big|fast)|rate|greylist(?:ed|ing)?|temporar(?:y|ily)|later|tls|starttls|encrypt(?:ion|ed)|reverse|ptr|rdns|helo|ehlo|banned|suspicious|administrative(?:ly)? prohibit(?:ion|ed)|your (?:ip|host|server|address|network)|client host|(?:sender|from) address|sender (?:denied|rejected|verify|not)|(?:null|empty) sender)/i;
/** Of a whole class of addresses, by who asks. */
const ACCESS = /\baccess (?:is )?denied\b/i;
/** The few that stand beside 5.1.x too: what is said to one who asks too much. */
const OF_US_ALL_THE_SAME = /\b(?:too many (?:recipients|connections|messages)|your ip|client host)\b/i;
/** That nobody has the address, beside whatever code. */
const UNKNOWN =
  /\b(?:(?:unknown|no such|invalid|bad|non-?existent) (?:local )?(?:user|recipient|mailbox|account|address|local.?part|person)|(?:user|recipient|mailbox|account|address)(?: is| was)? (?:unknown|invalid|not (?:found|known)|unavailable|disabled|inactive)|(?:does ?n[o']t|does not|did not) exist|no mailbox|not a valid (?:user|recipient|mailbox|address)|(?:user|recipient) (?:does ?n[o']t|does not) have|not listed in|RecipientNotFound|#?5\.1\.(?:1|10)\b)/i;

/** Only a refusal of this address is a no: a server that blocks us must not make every address look unknown. */
export function recipientVerdict({ code, enhanced, text }: RemoteReply): RecipientVerdict {
  if (code === null) return "unsure";
  if (code >= 200 && code < 300) return "yes";
  if (WRITTEN_WRONG.test(`${text} `)) return "no";
  const isOfMailbox = OF_THE_MAILBOX.has(code);
  if (!isOfMailbox && !OF_ANYTHING.has(code)) return "unsure";
  const words = withoutAddresses(text);
  if (enhanced?.startsWith("5.1.") === true && enhanced !== "5.1.0")
    return OF_THE_SENDER.has(enhanced) || OF_US_ALL_THE_SAME.test(words) ? "unsure" : "no";
  if (NOT_OF_THE_ADDRESS.test(words)) return "unsure";
  if (enhanced === "5.1.0" || UNKNOWN.test(words)) return "no";
  // Exchange Online, where no mailbox has the address (directory-based edge blocking). Its blocks of clients are 5.7.x.
  if (ACCESS.test(words)) return enhanced === "5.4.1" ? "no" : "unsure";
  return isOfMailbox && AS_WITHOUT.has(enhanced) ? "no" : "unsure";
}

/** `550 <relay@spam.example>: unknown`: what the address is called proves nothing, nor what the server is. */
function withoutAddresses(text: string): string {
  return text.replace(/\S*@\S*|https?:\S*|\[[\w.-]+\]/g, " ");
}
