// The mailboxes of an address header (From): every address any reader could take from it. No I/O, linear in the input.
import { domainOf, MAX_ADDRESS_OCTETS, type MailAddress, parseAddress, parseDomain } from "./address.ts";
import { fromOctets } from "./header-block.ts";
import { organisationTest } from "./organisation.ts";

// RFC 5322 sets no limit; more authors than this is no letter.
export const MAX_MAILBOXES = 100;
/** Octets of a value that are read. Who asks whether an address is in it must refuse longer values: it may stand behind. */
export const MAX_MAILBOX_LIST = 8192;
// Nothing, a name without signs or a quoted one, then the address; or the address alone.
const SIMPLE =
  /^([^"(),:;<>@\\\u0000-\u001f\u007f]*|"[^"\\@\u0000-\u001f\u007f]*"[ \t]*)<([^\u0000-\u0020"(),:;<>@\\[\]\u007f-\u00ff]{1,256}@[A-Za-z0-9.-]{1,253})>$/;
const BARE = /^[^\u0000-\u0020"(),:;<>@\\[\]\u007f-\u00ff]{1,256}@[A-Za-z0-9.-]{1,253}$/;
// Some readers end a text at NUL, some skip it.
const CONTROLS = /[\u0000-\u001f\u007f]/g;
const ENCODED_WORD = /=\?[^?]*\?/;

/** An address-list value taken apart. */
export interface MailboxReading {
  readonly addresses: readonly MailAddress[];
  /** Names and comments as they stand, without the addresses they belong to; "" when there are none. */
  readonly names: string;
  /** Why another program may read other addresses, as the end of a sentence that begins with the name of the field; null: by the book. */
  readonly doubt: string | null;
}

/**
 * The addresses of a raw address-list value: groups, comments, quoted strings, routes and obsolete white space understood.
 * Encoded words are never decoded for this: a display name cannot become an address (RFC 2047 §5).
 * A value that no strict parser could read gives everything in it that looks like an address, so that a second address cannot hide.
 */
export function parseMailboxes(value: string): readonly MailAddress[] {
  return readMailboxes(value).addresses;
}

/** The same with what stands beside the addresses, and whether every program reads them so. */
export function readMailboxes(value: string): MailboxReading {
  const simple = SIMPLE.exec(value);
  const written = simple?.[2] ?? (BARE.test(value) ? value : null);
  const plain = written === null || ENCODED_WORD.test(written) ? null : parseAddress(written);
  if (plain?.ok === true)
    return { addresses: [plain.value], names: fromOctets(simple?.[1] ?? ""), doubt: null };
  const cut = value.length > MAX_MAILBOX_LIST ? value.slice(0, MAX_MAILBOX_LIST) : value;
  const text = fromOctets(cut).replace(CONTROLS, " ");
  const read = readElements(text);
  const candidates = read.sound ? read.candidates : [...read.candidates, ...lookalikes(text)];
  return { addresses: validAddresses(candidates), names: read.names, doubt: doubtOf(read, cut, text) };
}

function doubtOf(read: Elements, octets: string, text: string): string | null {
  if (!read.sound) return "has brackets, quotes or words that programs read differently";
  if (read.odd !== null) return read.odd;
  // Octets that are no UTF-8 mean another character in each code page: in a name that is ugly, in an address it is another address.
  const guessed = text === octets && read.candidates.some((address) => /[^\x00-\x7f]/.test(address));
  return guessed ? "has octets in an address that are no UTF-8" : null;
}

function validAddresses(candidates: readonly string[]): readonly MailAddress[] {
  const found = new Set<MailAddress>();
  for (const candidate of new Set(candidates)) {
    const address = readAddress(candidate);
    if (address !== null) found.add(address);
    if (found.size === MAX_MAILBOXES) break;
  }
  return [...found];
}

/**
 * The address, or what a lenient reader takes for it: obsolete local parts of several words (`"a".b@example.org`, RFC 5322 §4.4) are
 * shown like any other, so they must not hide the domain they claim; no more must what is too long. The rest is found by `lookalikes`.
 */
function readAddress(candidate: string): MailAddress | null {
  const strict = parseAddress(candidate);
  if (strict.ok) return strict.value;
  const at = candidate.lastIndexOf("@");
  const written = candidate.slice(at + 1);
  const claimed = domainThatFits(written);
  const isOdd =
    candidate.includes('"') || claimed !== written || Buffer.byteLength(candidate) > MAX_ADDRESS_OCTETS;
  const domain = at < 1 || !isOdd ? null : parseDomain(claimed);
  if (domain?.ok !== true) return null;
  const plain = parseAddress(`${candidate.slice(0, at).replace(/["\\]/g, "")}@${domain.value}`);
  if (plain.ok) return plain.value;
  const nameless = parseAddress(`${UNREADABLE}@${domain.value}`);
  return nameless.ok ? nameless.value : null;
}

interface Elements {
  readonly candidates: string[];
  names: string;
  /** What is sound by the grammar, obsolete forms included, and yet not read by all programs alike; or null. */
  odd: string | null;
  /** False when brackets, quotes or comments do not close, or an element has words that belong to no address. */
  sound: boolean;
}

/** One list element while it is read: what stands outside and inside of angle brackets, comments and white space as one space. */
interface Element {
  outside: string;
  comments: string;
  inside: string | null;
  angles: number;
}

function readElements(text: string): Elements {
  const elements: Elements = { candidates: [], names: "", odd: null, sound: true };
  let element = emptyElement();
  let inAngle = false;
  let inGroup = false;
  for (let at = 0; at < text.length; ) {
    const character = text.charAt(at);
    if (character === "(") {
      const end = commentEnd(text, at);
      if (end < 0) elements.sound = false;
      append(element, " ", inAngle);
      element.comments += ` ${text.slice(at + 1, end < 0 ? text.length : end - 1)} `;
      at = end < 0 ? text.length : end;
      continue;
    }
    if (character === '"' || character === "[") {
      const end = literalEnd(text, at, character === '"' ? '"' : "]");
      if (end < 0) elements.sound = false;
      append(element, text.slice(at, end < 0 ? text.length : end), inAngle);
      at = end < 0 ? text.length : end;
      continue;
    }
    at++;
    if (character === "<") {
      if (inAngle) elements.sound = false;
      inAngle = true;
      element.angles++;
      if (element.angles > 1) elements.sound = false;
      if (element.inside !== null && element.inside !== "") elements.candidates.push(element.inside);
      element.inside = "";
    } else if (character === ">") {
      if (!inAngle) elements.sound = false;
      inAngle = false;
    } else if (inAngle && (character === ":" || character === ",")) {
      // An obsolete route before the address: <@a.example,@b.example:user@c.example>. (RFC 5322 §4.4)
      element.inside = character === ":" ? "" : `${element.inside ?? ""},`;
      elements.odd ??= "has a route before an address";
    } else if (character === "," || character === ";" || character === ":") {
      // Before a colon stands the name of a group, which is no address. (RFC 5322 §3.4)
      if (character !== ":") finish(elements, element);
      else if (element.outside.includes("@") || element.inside !== null) elements.sound = false;
      else elements.names += ` ${element.outside}${element.comments}`;
      if (character === ";" && inGroup) elements.odd ??= "names a group";
      if (character !== ",") inGroup = character === ":";
      element = emptyElement();
    } else {
      append(element, character, inAngle);
    }
  }
  if (inAngle) elements.sound = false;
  finish(elements, element);
  return elements;
}

function emptyElement(): Element {
  return { outside: "", comments: "", inside: null, angles: 0 };
}

function append(element: Element, text: string, inAngle: boolean): void {
  if (inAngle) element.inside = `${element.inside ?? ""}${text}`;
  else element.outside += text;
}

function finish(elements: Elements, element: Element): void {
  elements.names += element.comments;
  if (element.inside !== null) {
    elements.names += ` ${element.outside}`;
    const address = takeAddress(elements, element.inside, { bracketed: true });
    // "name@one.example" <name@two.example> is a display name; name@one.example <name@two.example> is read either way.
    const others = hasBareAt(element.outside) ? othersNamed(element.outside, address) : [];
    if (others.length > 0) elements.sound = false;
    elements.candidates.push(...others);
    return;
  }
  if (element.outside.trim() === "") return;
  // Words alone are no address to anybody: a comma that should have been quoted, as in Smith, Ann <ann@example.org>.
  if (element.outside.includes("@")) takeAddress(elements, element.outside, { bracketed: false });
  else elements.names += ` ${element.outside}`;
}

function takeAddress(
  elements: Elements,
  words: string,
  { bracketed }: { readonly bracketed: boolean },
): MailAddress | null {
  const address = closeUp(words);
  elements.candidates.push(address);
  const parsed = parseAddress(address);
  if (!parsed.ok && (address !== "" || !bracketed)) elements.sound = false;
  if (address !== words.trim()) elements.odd ??= "has blanks or comments inside an address";
  else if (ENCODED_WORD.test(address)) elements.odd ??= "has an encoded word inside an address";
  else if (address.indexOf("@") < address.lastIndexOf("@"))
    elements.odd ??= "has a second at sign inside an address";
  return parsed.ok ? parsed.value : null;
}

/** What of a bare name before an address looks like an address of somebody else. `info@corp.example <ann@corp.example>` does not. */
function othersNamed(name: string, address: MailAddress | null): readonly string[] {
  const isOurs = organisationTest(address === null ? [] : [domainOf(address)]);
  return [...new Set([...lookalikes(name), ...lookalikes(closeUp(name))])].filter((candidate) => {
    const parsed = parseAddress(candidate);
    if (!parsed.ok) return false;
    const domain = domainOf(parsed.value);
    return domain.includes(".") && !isOurs(domain);
  });
}

/** Without the white space that obsolete syntax allows around dots and the at sign. (RFC 5322 §4.4) */
function closeUp(words: string): string {
  // A pattern with \s* on both sides would try each space of a long run anew: seconds for one header line.
  let closed = "";
  for (const piece of words.trim().split(/([.@])/)) closed += piece.trim();
  return closed;
}

/** Is there an at sign outside of quoted strings? What an unclosed quote begins is not quoted. */
function hasBareAt(outside: string): boolean {
  for (let at = 0; at < outside.length; at++) {
    const character = outside.charAt(at);
    if (character === "@") return true;
    if (character !== '"') continue;
    const end = literalEnd(outside, at, '"');
    if (end < 0) return outside.includes("@", at);
    at = end - 1;
  }
  return false;
}

/** The offset behind the comment that opens at `at`, comments in it included; -1 when it does not close. */
function commentEnd(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === "\\") i++;
    else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return i + 1;
  }
  return -1;
}

function literalEnd(text: string, at: number, close: string): number {
  for (let i = at + 1; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === "\\") i++;
    else if (character === close) return i + 1;
  }
  return -1;
}

/** Something that looks like an address, and the offset behind it. */
interface Lookalike {
  readonly address: string;
  readonly end: number;
}

/** What may stand on one side of an at sign. */
const WORDS = /[^\s"(),:;<>@[\\\]]+/g;
/** The local part of an address whose own is no part of any: what counts is the domain it claims. */
export const UNREADABLE = "unreadable";
const MAX_LABEL = 63;
const LABELS = /^(?:[^.]{1,63}\.)*[^.]{0,63}$/;
/** Octets that are left for the domain behind that. */
const MAX_DOMAIN = MAX_ADDRESS_OCTETS - `${UNREADABLE}@`.length;

/** The last labels that can be those of a domain, of a name that is none because it is too long or has empty ones: the end says whose it is. */
function domainThatFits(name: string): string {
  if (name.length <= MAX_DOMAIN && LABELS.test(name)) return name;
  const labels = name.split(".");
  let from = labels.length;
  let octets = -1;
  for (let label = labels[from - 1]; label !== undefined; label = labels[from - 1]) {
    octets += 1 + label.length;
    const isLast = from === labels.length;
    if (label.length > MAX_LABEL || octets > MAX_DOMAIN || (label === "" && !isLast)) break;
    from--;
  }
  return labels.slice(from).join(".");
}

/** A longer one than an address may have is still shown to a reader, with the domain it claims. */
function localThatFits(local: string, domain: string): string {
  return Buffer.byteLength(local) + 1 + domain.length > MAX_ADDRESS_OCTETS ? UNREADABLE : local;
}

/** Everything that looks like an address, wherever it stands, in order. One pass: each at sign alone would look back 254 characters. */
export function lookalikesIn(text: string): Lookalike[] {
  const found: Lookalike[] = [];
  if (!text.includes("@")) return found;
  let before = "";
  let end = -1;
  for (const { 0: word, index } of text.matchAll(WORDS)) {
    // A dot in front is what quotes have left of a longer one.
    if (index === end + 1 && text.charAt(end) === "@" && !before.startsWith(".")) {
      const domain = domainThatFits(word);
      found.push({ address: `${localThatFits(before, domain)}@${domain}`, end: index + word.length });
    }
    before = word;
    end = index + word.length;
  }
  return found;
}

function lookalikes(text: string): string[] {
  return lookalikesIn(text).map(({ address }) => address);
}
