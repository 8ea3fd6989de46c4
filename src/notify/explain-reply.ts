// What a delivery status means, in words for people who are not mail administrators. (RFC 3463)

export interface Explanation {
  readonly meaning: string;
  readonly advice: string;
}

const ASK_OTHERWISE = "Reach the recipient in another way and tell them what this notice says.";
const SHORTER = "Send less or smaller attachments, or share the file by a link.";

// By the enhanced code without its class; the most exact entry wins.
const BY_DETAIL: Readonly<Record<string, Explanation>> = {
  "1.1": {
    meaning: "There is no such mailbox at the recipient's mail server.",
    advice: "Check the spelling of the address. If it is right, the recipient may have left or changed it.",
  },
  "1.2": {
    meaning: "The part of the address after the @ does not exist, or does not receive mail.",
    advice: "Check the spelling of the address.",
  },
  "1.3": {
    meaning: "The recipient's mail server cannot make sense of the address.",
    advice: "Check the spelling of the address.",
  },
  "1.6": {
    meaning: "The recipient has moved and left no new address.",
    advice: "Ask the recipient for the new address.",
  },
  "1.8": {
    meaning: "The recipient's mail server does not believe that your own address exists.",
    advice: "Ask your mail administrator whether your domain is set up to receive mail.",
  },
  "1.10": {
    meaning: "The recipient's domain says that it receives no mail.",
    advice: "Check the spelling of the address.",
  },
  "2.1": { meaning: "The mailbox is switched off.", advice: ASK_OTHERWISE },
  "2.2": {
    meaning: "The mailbox is full.",
    advice: "Ask the recipient to make room, then send the message again.",
  },
  "2.3": { meaning: "The message is larger than the mailbox accepts.", advice: SHORTER },
  "3.1": {
    meaning: "The recipient's mail server has no room left.",
    advice: "Send the message again later.",
  },
  "3.4": { meaning: "The message is larger than the recipient's mail server accepts.", advice: SHORTER },
  "4.1": {
    meaning: "The recipient's mail server does not answer.",
    advice: `It may be switched off or unreachable. ${ASK_OTHERWISE}`,
  },
  "4.4": {
    meaning: "No mail server could be found for the recipient's domain.",
    advice: "Check the spelling of the part after the @.",
  },
  "4.6": {
    meaning: "The message goes round in circles between mail servers.",
    advice: "Tell your mail administrator: the routing of that domain is wrong.",
  },
  "4.7": { meaning: "The message could not be delivered in the time allowed.", advice: ASK_OTHERWISE },
  "7.1": {
    meaning: "The recipient's mail server does not accept this message from this sender.",
    advice: "Read its answer above: it often says why. Otherwise ask the recipient's administrator.",
  },
  "7.10": {
    meaning: "An encrypted connection was required and could not be made.",
    advice: "Tell your mail administrator.",
  },
};
const BY_SUBJECT: Readonly<Record<string, Explanation>> = {
  "1": { meaning: "Something is wrong with the address.", advice: "Check the spelling of the address." },
  "2": { meaning: "The mailbox cannot take the message.", advice: ASK_OTHERWISE },
  "3": {
    meaning: "The recipient's mail server cannot take the message.",
    advice: "Send the message again later.",
  },
  "4": {
    meaning: "The recipient's mail server could not be reached, or the connection broke.",
    advice: ASK_OTHERWISE,
  },
  "5": {
    meaning: "The two mail servers did not understand each other.",
    advice: "Tell your mail administrator.",
  },
  "6": {
    meaning: "The recipient's mail server cannot handle the form of this message.",
    advice: "Send it as plain text, without unusual attachments.",
  },
  "7": {
    meaning: "The recipient's mail server refuses the message for reasons of security or policy.",
    advice: "Read its answer above: it often says why. Otherwise ask the recipient's administrator.",
  },
};
const UNREACHED: Explanation = {
  meaning: "No mail server of the recipient's domain could be reached.",
  advice:
    "Check the spelling of the part after the @. If it is right, their server is switched off or cannot be reached.",
};
const REFUSED: Explanation = {
  meaning: "The recipient's mail server refuses the message.",
  advice: "Read its answer above: it often says why. Otherwise ask the recipient's administrator.",
};
const NOT_NOW: Explanation = {
  meaning: "The recipient's mail server did not take the message when we tried.",
  advice: ASK_OTHERWISE,
};

/** Explains a reply by its enhanced code (`5.1.1`) and its reply code; either may be missing. */
export function explainReply(reply: {
  readonly code: number | null;
  readonly enhanced: string | null;
}): Explanation {
  const parts = /^[245]\.(\d{1,3})\.(\d{1,3})$/.exec(reply.enhanced ?? "");
  const [, subject, detail] = parts ?? [];
  const exact = BY_DETAIL[`${subject}.${detail}`] ?? BY_SUBJECT[subject ?? ""];
  if (exact !== undefined) return exact;
  if (reply.code === null) return UNREACHED;
  return reply.code >= 500 ? REFUSED : NOT_NOW;
}
