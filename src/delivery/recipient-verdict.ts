// What a reply to a call-out's RCPT says about the address, and what only about us, the sender or the server's state. No I/O.
import type { RemoteReply } from "./remote-reply.ts";

export type RecipientVerdict = "yes" | "no" | "unsure";

/** The codes that refuse a mailbox (RFC 5321 §4.2.3); 552 is about its size, 554 about anything. */
const OF_THE_MAILBOX = new Set([550, 551, 553]);
/** RFC 3463 §3.2: bad addresses, but those of the sender. */
const OF_THE_SENDER = new Set(["5.1.7", "5.1.8"]);
/** Servers without enhanced codes say in words that they refuse us, not the address. */
const NOT_OF_THE_ADDRESS =
  /\b(?:auth(?:entication|enticate|orization|orized)?|log ?in|relay(?:ing|ed)?|block(?:ed|ing|list(?:ed)?)?|black ?list(?:ed)?|deny ?list(?:ed)?|[rd]n?s?bl|spam(?:haus|cop|ming|mer)?|barracuda|reputation|policy|quota|full|space|size|too (?:many|large|big|fast)|rate|greylist(?:ed|ing)?|temporar(?:y|ily)|later|tls|starttls|encrypt(?:ion|ed)|reverse|ptr|rdns|helo|ehlo|banned|suspicious|your (?:ip|host|server|address|network)|client host|(?:sender|from) address|sender (?:denied|rejected|verify|not))/i;

/** Only a refusal of this address is a no: a server that blocks us must not make every address look unknown. */
export function recipientVerdict({ code, enhanced, text }: RemoteReply): RecipientVerdict {
  if (code === null) return "unsure";
  if (code >= 200 && code < 300) return "yes";
  if (!OF_THE_MAILBOX.has(code)) return "unsure";
  if (enhanced !== null) return enhanced.startsWith("5.1.") && !OF_THE_SENDER.has(enhanced) ? "no" : "unsure";
  return NOT_OF_THE_ADDRESS.test(withoutAddresses(text)) ? "unsure" : "no";
}

/** `550 <relay@spam.example>: unknown`: what the address is called proves nothing. */
function withoutAddresses(text: string): string {
  return text.replace(/\S*@\S*/g, " ");
}
