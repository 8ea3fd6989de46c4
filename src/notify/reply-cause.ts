// What is behind a refusal: who said no, to what. By reply code, enhanced code (RFC 3463) and the words, which are all that many servers
// give. Pure.

/** Which way the mail went. `rule`: it did not, a rule of ours stopped it. */
export type NoticeWay = "mx" | "routes" | "smarthost" | "rule";

/** What an explanation looks at. */
export interface ExplainedReply {
  readonly code: number | null;
  readonly enhanced: string | null;
  /** The reply, or our own words for what went wrong. */
  readonly text?: string;
  readonly via?: NoticeWay | undefined;
}

/** Causes that differ in who can do something about them. */
export type Cause =
  | "stopped"
  | "own-fault"
  | "login"
  | "tls"
  | "require-tls"
  | "own-dns"
  | "loop"
  | "no-mailbox"
  | "mailbox-full"
  | "too-big"
  | "block-list"
  | "reverse-name"
  | "authentication"
  | "relay"
  | "sender"
  | "greylist"
  | "rate"
  | "malware"
  | "spam"
  | "unreached";

const MAX_READ = 600;

/** Enhanced codes without their class that leave no doubt. */
const BY_ENHANCED: Readonly<Record<string, Cause>> = {
  "1.1": "no-mailbox",
  "1.7": "sender",
  "1.8": "sender",
  "2.2": "mailbox-full",
  "2.3": "too-big",
  "3.4": "too-big",
  "4.6": "loop",
  "7.8": "login",
  "7.9": "login",
  "7.10": "tls",
  "7.11": "login",
  "7.20": "authentication",
  "7.21": "authentication",
  "7.22": "authentication",
  "7.23": "authentication",
  "7.24": "authentication",
  "7.25": "reverse-name",
  "7.26": "authentication",
  "7.27": "authentication",
  "7.28": "rate",
  "7.29": "authentication",
  "7.30": "require-tls",
};

/** Our own words where no server has spoken: they are known. */
const OWN_WORDS: readonly (readonly [RegExp, Cause])[] = [
  [/^Our own fault|^The gateway failed/i, "own-fault"],
  [/\bTLS\b|certificate|handshake|\bSSL\b/i, "tls"],
  [/\bpassword\b|\bAUTH\b|\blog-?in\b/i, "login"],
];
const OWN_DNS = /has no address|cannot be looked up|No mail server is set/i;

/** What servers write; the first that fits. */
const SERVER_WORDS: readonly (readonly [RegExp, Cause])[] = [
  [/gr[ea]y-?\s?list|postgrey/i, "greylist"],
  [
    /relay(?:ing)?(?: access)?(?: is)?(?: currently)? (?:denied|prohibited|forbidden|not (?:permitted|allowed))|(?:unable|not (?:allowed|permitted)|refus\w*) to relay|do(?:es)? not relay|no relaying|relay not permitted|not a relay|not (?:one of )?(?:my|our) (?:hosted )?(?:domains|relay)/i,
    "relay",
  ],
  [
    /block(?:ed)?[\s-]?list|black[\s-]?list|deny[\s-]?list|\b(?:dns)?[rd]n?s?bl\b|spamhaus|spamcop|barracuda|\bsorbs\b|uceprotect|\blisted (?:in|at|by|on)\b|\breputation\b|blocked using/i,
    "block-list",
  ],
  [
    /reverse (?:dns|name|lookup)|\brdns\b|\bptr\b|cannot find your (?:reverse )?hostname|helo command rejected/i,
    "reverse-name",
  ],
  [/\b(?:spf|dkim|dmarc)\b|unauthenticated (?:e-?)?mail|sender authentication/i, "authentication"],
  [
    /must issue a STARTTLS|encryption (?:is )?(?:required|needed)|requires? (?:encryption|TLS)|TLS (?:is )?required/i,
    "tls",
  ],
  [
    /authentication (?:is )?(?:required|failed|unsuccessful|credentials)|not authenticated|log ?in (?:required|failed)|invalid credentials|bad (?:username|password)/i,
    "login",
  ],
  [
    /over ?quota|quota (?:is )?exceeded|exceed\w* (?:\w+ ){0,3}quota|mailbox (?:is )?full|insufficient (?:mailbox )?storage/i,
    "mailbox-full",
  ],
  [/too (?:big|large)|exceed\w* (?:\w+ ){0,4}size|size (?:\w+ ){0,3}exceed|message size/i, "too-big"],
  [
    /virus|malware|infected|trojan|(?:attachment|file type|extension)\w* (?:\w+ ){0,4}(?:blocked|not allowed|rejected|prohibited|banned)/i,
    "malware",
  ],
  [/\bspam\b|\bjunk\b|unsolicited|content (?:was )?rejected/i, "spam"],
  [
    /rate[\s-]?limit|too many (?:messages|mails|connections|recipients|emails)|throttl|sending limit|slow down/i,
    "rate",
  ],
  [/too many hops|mail loop|loops? back|routing loop/i, "loop"],
  [
    /sender (?:address )?(?:rejected|denied|refused|verify failed|unknown)|from address .{0,40}(?:not|rejected)|not (?:allowed|permitted|authorized) to send (?:as|from)/i,
    "sender",
  ],
  [
    /user unknown|unknown (?:user|recipient|mailbox|local)|no such (?:user|recipient|mailbox|address|person)|recipient(?:address)? (?:not found|unknown)|recipientnotfound|mailbox (?:not found|unavailable|does not exist)|does not exist|invalid (?:recipient|mailbox)|address unknown/i,
    "no-mailbox",
  ],
];

/** The log-in was refused (RFC 4954 §6): 534 and 535 say nothing else, 530 asks for one. */
const LOGIN_CODES = new Set([530, 534, 535, 538]);

/** The cause, or null when the reply leaves it open. */
export function causeOf({ code, enhanced, text = "", via = "mx" }: ExplainedReply): Cause | null {
  if (via === "rule") return "stopped";
  const words = text.slice(0, MAX_READ);
  const detail = /^[245]\.(\d{1,3}\.\d{1,3})$/.exec(enhanced ?? "")?.[1] ?? "";
  if (code === null) {
    const own = OWN_WORDS.find(([pattern]) => pattern.test(words))?.[1];
    if (own !== undefined && BY_ENHANCED[detail] === undefined) return own;
    if (via !== "mx" && OWN_DNS.test(words)) return "own-dns";
    // With a code we name the fault ourselves; without one nobody has answered.
    return BY_ENHANCED[detail] ?? (detail === "" ? "unreached" : null);
  }
  if (LOGIN_CODES.has(code)) return /STARTTLS/i.test(words) ? "tls" : "login";
  // 5.7.1 and 5.0.0 say nothing, and many servers write 5.1.1 whatever they mean: words that are plain come first.
  const spoken = SERVER_WORDS.find(([pattern]) => pattern.test(words))?.[1];
  if (spoken !== undefined && (spoken !== "no-mailbox" || detail === "" || detail.startsWith("1.")))
    return spoken;
  return BY_ENHANCED[detail] ?? null;
}
