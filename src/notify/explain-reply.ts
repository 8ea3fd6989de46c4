// What a delivery status means, in words for people who are not mail administrators (RFC 3463): the advice fits who can do something
// about it. The recipient's server, the domain's own and our smart host fail for different people.
import { type Cause, causeOf, type ExplainedReply } from "./reply-cause.ts";

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
  "6.3": {
    meaning: "The recipient's mail server cannot handle the form of this message.",
    advice:
      "Send it without a digital signature, as plain text, or with what it holds in an attached archive.",
  },
  "7.1": {
    meaning: "The recipient's mail server does not accept this message from this sender.",
    advice: "Read its answer above: it often says why. Otherwise ask the recipient's administrator.",
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
/** Who failed: for the first words of a sentence. */
type Way = "mx" | "routes" | "smarthost";
const SERVER: Readonly<Record<Way, string>> = {
  mx: "The recipient's mail server",
  routes: "The mail server of the recipient's domain, which stands behind this gateway,",
  smarthost: "The mail server through which this gateway sends (its smart host)",
};

const ADMINISTRATOR =
  "Tell your mail administrator what this notice says: only they can put it right. The address is not the cause.";
const READ_AND_ASK = "Read its answer above: it often says why. Otherwise ask the recipient's administrator.";

type Words = Readonly<Record<Way, Explanation>>;

/** The same whatever way it went. */
function always(meaning: string, advice: string): Words {
  const words = { meaning, advice };
  return { mx: words, routes: words, smarthost: words };
}

/** `rest` completes the server's name; on our own ways it is for the administrator. */
function byServer(rest: string, advice: string): Words {
  return {
    mx: { meaning: `${SERVER.mx} ${rest}`, advice },
    routes: { meaning: `${SERVER.routes} ${rest}`, advice: ADMINISTRATOR },
    smarthost: { meaning: `${SERVER.smarthost} ${rest}`, advice: ADMINISTRATOR },
  };
}

const BY_CAUSE: Readonly<Record<Cause, Words | null>> = {
  stopped: always(
    "A rule of this mail gateway stopped the message for this recipient; the others are not affected. The copy is kept in the gateway's quarantine.",
    "If it is to be sent as it is, ask your mail administrator to release it from the quarantine. Otherwise change what the reason above names, and send it to this recipient again.",
  ),
  "own-fault": always("This gateway itself failed to send the message.", ADMINISTRATOR),
  login: {
    mx: {
      meaning:
        "The recipient's mail server asks for a log-in: it does not take mail from others as it should.",
      advice:
        "Reach the recipient in another way: their administrator must change this. Your own address and password are not the cause.",
    },
    routes: {
      meaning: `${SERVER.routes} asks this gateway for a log-in.`,
      advice: ADMINISTRATOR,
    },
    smarthost: {
      meaning: `${SERVER.smarthost} does not accept the gateway's log-in.`,
      advice: ADMINISTRATOR,
    },
  },
  tls: byServer(
    "could not be spoken to over an encrypted connection that can be trusted, which is required here.",
    "Tell your mail administrator: the encryption or the certificate of that server is not in order, and sending without it is not allowed here.",
  ),
  "require-tls": always(
    "You asked that this message travels over encrypted connections only (REQUIRETLS), and the next mail server does not promise that.",
    "Send it without that demand if it may travel like other mail, or reach the recipient in another way.",
  ),
  "own-dns": byServer("could not be found: its name has no address.", ADMINISTRATOR),
  loop: always(
    "The message goes round in circles between mail servers.",
    "Tell your mail administrator: the routing of that domain is wrong.",
  ),
  "no-mailbox": null,
  "mailbox-full": null,
  "too-big": null,
  "block-list": {
    mx: {
      meaning:
        "The recipient's mail server does not take mail from your organisation's mail server now: its address is on a block list.",
      advice:
        "Tell your mail administrator: they can find out why and have the address taken off. The message itself is not the cause.",
    },
    routes: {
      meaning: `${SERVER.routes} takes this gateway for a sender of unwanted mail.`,
      advice: ADMINISTRATOR,
    },
    smarthost: {
      meaning: `${SERVER.smarthost} does not take this mail: an address on the way is on a block list.`,
      advice: ADMINISTRATOR,
    },
  },
  "reverse-name": byServer(
    "does not like the name under which this gateway's address is known.",
    "Tell your mail administrator: the name of the mail server in the DNS must be put right. The message itself is not the cause.",
  ),
  authentication: byServer(
    "could not verify that the message is from your domain (SPF, DKIM or DMARC).",
    "Tell your mail administrator: the records of your domain do not allow this way of sending, or the signature is missing. The message itself is not the cause.",
  ),
  relay: {
    mx: {
      meaning: "The recipient's mail server says that it does not receive mail for this address.",
      advice:
        "Check the spelling of the part after the @. If it is right, the recipient's administrator must put it right.",
    },
    routes: {
      meaning: `${SERVER.routes} does not know that it is to receive mail for this address.`,
      advice: ADMINISTRATOR,
    },
    smarthost: {
      meaning: `${SERVER.smarthost} does not take this gateway's mail for other domains: it does not know the gateway.`,
      advice: ADMINISTRATOR,
    },
  },
  sender: {
    mx: {
      meaning: "The recipient's mail server does not accept your own address as the sender.",
      advice: "Ask your mail administrator whether your address is set up to receive mail, too.",
    },
    routes: {
      meaning: `${SERVER.routes} does not accept your own address as the sender.`,
      advice: "Ask your mail administrator whether your address exists there.",
    },
    smarthost: {
      meaning: `${SERVER.smarthost} does not let this gateway send with your address.`,
      advice: "Tell your mail administrator: your address must be allowed there.",
    },
  },
  greylist: byServer(
    "puts off mail it does not know yet (greylisting). Usually it takes the message at a later try; here it never did.",
    "Send the message again later. If that fails too, ask the recipient's administrator.",
  ),
  rate: byServer(
    "got more mail than it takes in a time.",
    "Send the message again later, and to fewer recipients at once. If it goes on, tell your mail administrator.",
  ),
  malware: {
    mx: {
      meaning: "The recipient's mail server takes an attachment for harmful or does not take its kind.",
      advice:
        "Have the file checked for viruses. If it is clean, share it by a link, or ask the recipient how they want it.",
    },
    routes: {
      meaning: `${SERVER.routes} takes an attachment for harmful or does not take its kind.`,
      advice: "Have the file checked for viruses. If it is clean, ask your mail administrator.",
    },
    smarthost: {
      meaning: `${SERVER.smarthost} takes an attachment for harmful or does not take its kind.`,
      advice: "Have the file checked for viruses. If it is clean, ask your mail administrator.",
    },
  },
  spam: {
    mx: {
      meaning: "The recipient's mail server takes the message for unwanted mail (spam).",
      advice:
        "Reach the recipient in another way and ask them to allow your address. Fewer links and pictures help as well.",
    },
    routes: {
      meaning: `${SERVER.routes} takes the message for unwanted mail (spam).`,
      advice: "Ask your mail administrator: its filter must be told.",
    },
    smarthost: {
      meaning: `${SERVER.smarthost} takes the message for unwanted mail (spam).`,
      advice: "Send it with fewer links and pictures. If that does not help, ask your mail administrator.",
    },
  },
  unreached: {
    mx: {
      meaning: "No mail server of the recipient's domain could be reached.",
      advice:
        "Check the spelling of the part after the @. If it is right, their server is switched off or cannot be reached.",
    },
    routes: {
      meaning: `${SERVER.routes} could not be reached.`,
      advice: ADMINISTRATOR,
    },
    smarthost: {
      meaning: `${SERVER.smarthost} could not be reached.`,
      advice: ADMINISTRATOR,
    },
  },
};

/** Causes that an entry by code explains best, with the code they stand for. */
const AS_CODE: Partial<Record<Cause, string>> = {
  "no-mailbox": "1.1",
  "mailbox-full": "2.2",
  "too-big": "3.4",
};

/** Faults of the way, not of the address or the message: on a way of ours the administrator is told, whatever the code says. */
const OF_THE_WAY = new Set(["3", "4", "5", "7"]);
const REFUSED_MESSAGE: Words = byServer("refuses the message.", READ_AND_ASK);
const NOT_NOW: Words = byServer("did not take the message when we tried.", ASK_OTHERWISE);

/** Explains a reply by its words and codes; any of them may be missing. */
export function explainReply(reply: ExplainedReply): Explanation {
  const cause = causeOf(reply);
  const way: Way = reply.via === undefined || reply.via === "rule" ? "mx" : reply.via;
  const words = cause === null ? null : BY_CAUSE[cause];
  if (words !== null) return words[way];
  const [, subject = "", detail = ""] = /^[245]\.(\d{1,3})\.(\d{1,3})$/.exec(reply.enhanced ?? "") ?? [];
  const named = cause === null ? `${subject}.${detail}` : (AS_CODE[cause] ?? "");
  const refused = reply.code === null || reply.code >= 500;
  if (cause === null && way !== "mx" && (subject === "" || OF_THE_WAY.has(subject)))
    return (refused ? REFUSED_MESSAGE : NOT_NOW)[way];
  return BY_DETAIL[named] ?? BY_SUBJECT[subject] ?? (refused ? REFUSED_MESSAGE : NOT_NOW)[way];
}
