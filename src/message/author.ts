// Who wrote a message: the one reading of From, which DMARC, the policy, signing and the log all use. No I/O; on the hot path.
//
// A person sees one author, and another program than ours may see another one than we do. Where that can happen the author has *failed*:
// `flaw` says why, `addresses` has everything anybody may read, and nobody takes one of them for proven.
import { domainOf, type MailAddress, parseAddress } from "./address.ts";
import { decodeWords } from "./encoded-word.ts";
import { fromOctets } from "./header-block.ts";
import { lookalikesIn, MAX_MAILBOX_LIST, MAX_MAILBOXES, readMailboxes, UNREADABLE } from "./mailboxes.ts";
import { organisationTest } from "./organisation.ts";

/** A From field as it was found. */
export interface FromField {
  /** Unfolded, one character per octet. */
  readonly value: string;
  /** Why some programs do not take it for the From field, or only some do; null: everybody does. Ends a sentence that begins with "From". */
  readonly disguise: string | null;
}

export interface Author {
  /** Each address once; with a flaw also what others may read. */
  readonly addresses: readonly MailAddress[];
  /** Why programs or people may read another author, as the end of a sentence that begins with "From"; null: it is sound. */
  readonly flaw: string | null;
}

const NOBODY: Author = { addresses: [], flaw: null };
// Beyond tab, which folding leaves.
const CONTROLS = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** What can become an at sign when names are decoded: encoded words, UTF-7, and the wide forms of it. */
const MAY_HIDE_AT = /@|=\?|\+AE|[\uff20\ufe6b]/;
/** An encoded word of two octets a character, without their order: RFC 2781 §4.3 has the higher one first, many programs the lower. */
const EITHER_ORDER = /=\?(?:cs)?(?:utf-?16|ucs-?2|unicode|iso-10646-ucs-2)(?:\*[^?]*)?\?/gi;
const ADDRESS_AT_ONCE = /^[^@]+@[\p{L}\p{N}._-]*[\p{L}\p{N}]/u;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** Endings of names that are no domain of the Internet: nobody is misled about whose they are, and no policy exists for them. */
const LOCAL_NAMES = /\.(?:local|lan|internal|intranet|home|localdomain|localhost|invalid|\d+)$/;
/**
 * `ann@a.example via Lists`: who passes mail on names its author so, as Mailman and Google Groups do. That is no second author where the
 * message shows in other ways too that somebody passes it on (`passed-on.ts`); else anybody could show any address.
 */
const PASSED_ON = /^[\s"'\u2019\u201d)>\],-]*\(?\s*(?:via|v\u00eda|\u00fcber|per|par|tramite)\s+\S/i;

/** Does the message show that `own` passes on what others wrote? Asked only where From says so. */
export type IsPassedOn = (own: MailAddress) => boolean;

/** Reads the author out of all From fields. */
export function readAuthor(fields: readonly FromField[], isPassedOn: IsPassedOn): Author {
  const [first] = fields;
  if (first === undefined) return NOBODY;
  if (fields.length === 1) return readField(inLimit(first, MAX_MAILBOX_LIST), isPassedOn);
  // All of them together have the length of one: reading costs the time of everybody who waits.
  let left = MAX_MAILBOX_LIST;
  const all = fields.flatMap((field) => {
    const { value } = inLimit(field, left);
    left -= value.length;
    return readField({ value, disguise: null }, isPassedOn).addresses;
  });
  return { addresses: [...new Set(all)], flaw: "stands in more than one field" };
}

/** The start of a value that is too long; who wrote what follows is not known. */
function inLimit(field: FromField, octets: number): FromField {
  const { value, disguise } = field;
  if (value.length <= octets) return field;
  return { value: value.slice(0, octets), disguise: disguise ?? "is too long to be read to its end" };
}

function readField({ value, disguise }: FromField, isPassedOn: IsPassedOn): Author {
  const { addresses, names, doubt } = readMailboxes(value);
  // What is not read by the book may be read anyhow: then all of it counts, also what stands inside of an address.
  const shown = doubt !== null || addresses.length === 0 ? fromOctets(value) : names;
  const claimed = MAY_HIDE_AT.test(shown) ? othersIn(inBothOrders(shown), { addresses, isPassedOn }) : [];
  const flaw = disguise ?? (CONTROLS.test(value) ? "has control characters" : doubt) ?? claimWords(claimed);
  if (claimed.length === 0) return { addresses, flaw };
  return { addresses: [...new Set([...addresses, ...claimed])].slice(0, MAX_MAILBOXES), flaw };
}

function inBothOrders(text: string): string {
  const high = text.replace(EITHER_ORDER, "=?utf-16be?");
  return high === text ? text : `${high} ${text.replace(EITHER_ORDER, "=?utf-16le?")} ${text}`;
}

const ANOTHER_SHOWN = "shows an address of another domain in a name or comment";

function claimWords(claimed: readonly MailAddress[]): string | null {
  return claimed.length === 0 ? null : ANOTHER_SHOWN;
}

/** Is the only flaw that a name or comment shows somebody else's address? All programs read the author alike then; people may not. */
export function isOnlyShown(flaw: string): boolean {
  return flaw === ANOTHER_SHOWN;
}

/** Addresses of other organisations that a reader sees in a text once it is decoded. */
function othersIn(
  text: string,
  { addresses, isPassedOn }: Pick<Author, "addresses"> & { readonly isPassedOn: IsPassedOn },
): readonly MailAddress[] {
  const shown = skeleton(text);
  const [own] = addresses;
  const isTheirs = organisationTest(addresses.map(domainOf));
  let passedOn: boolean | null = null;
  const saysVia = (from: number): boolean => {
    if (!PASSED_ON.test(shown.slice(from, from + 40))) return false;
    passedOn ??= own !== undefined && addresses.length === 1 && isPassedOn(own);
    return passedOn;
  };
  const found = new Set<MailAddress>();
  const add = (candidate: string): void => {
    if (found.size === MAX_MAILBOXES) return;
    const parsed = parseAddress(candidate);
    if (!parsed.ok) return;
    const domain = domainOf(parsed.value);
    const isName = domain.includes(".") && !LOCAL_NAMES.test(domain);
    if (isName && !isTheirs(domain)) found.add(parsed.value);
  };
  for (const { address, end } of lookalikesIn(shown))
    if (!saysVia(end)) add(ADDRESS_AT_ONCE.exec(address)?.[0] ?? "");
  for (const stop of routeStops(shown)) add(stop);
  return [...found];
}

/** The hosts of obsolete routes (`<@a.example,@b.example:ann@c.example>`, RFC 5322 §4.4), as addresses of nobody in particular. */
function routeStops(text: string): readonly string[] {
  return [...text.matchAll(/[\s<,]@([^\s"(),:;<>@[\\\]]{1,253})(?=\s*[,:])/g)].map(
    ([, host]) => `${UNREADABLE}@${host}`,
  );
}

/** The text as a person reads it: decoded, quotes and invisible characters gone, wide forms as plain ones. */
function skeleton(text: string): string {
  return decodeWords(text)
    .replace(/\+AEA-?/g, "@")
    .normalize("NFKC")
    .replace(INVISIBLE, "")
    .replace(/\\(.)/g, "$1")
    .replaceAll('"', "")
    .replaceAll("\u3002", ".");
}
