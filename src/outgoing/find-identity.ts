// Who is behind a message (O2): its envelope sender, its login, or what a header says. Pure; header values are hostile input.
import { displayText, eachField, readHeaderBlock } from "../message/header-block.ts";
import { parseMailboxes } from "../message/mailboxes.ts";
import { type Pattern, parsePattern } from "../policy/pattern.ts";
import type { IdentityHeader, SenderSettings } from "../policy/schema-sender.ts";
import { identityName } from "./identity-name.ts";

/** So many characters of a header value are looked at. */
const MAX_VALUE = 1000;
/** Room for a value of that length before its folds and encoded words are undone. */
const MAX_RAW_VALUE = 4 * MAX_VALUE;

/** A header that may name the identity, its expression compiled. */
export interface CompiledHeader {
  /** Lower case. */
  readonly name: string;
  readonly extract: Pattern | null;
}

const NOTHING: Pattern = { size: 1, find: () => null };

/** Done once per change of settings: the schema has tried the expression already. */
export function compileHeader({ header, extract }: IdentityHeader): CompiledHeader {
  const parsed = extract === undefined ? null : parsePattern(extract);
  // Without its expression the header would name other identities: it names none.
  const pattern = parsed === null ? null : parsed.ok ? parsed.value : NOTHING;
  return { name: header.toLowerCase(), extract: pattern };
}

/**
 * The identity as far as it is known before the message: by envelope sender or login. null: there is none, or a header names it.
 * An IP sender without a login is identified by who writes where the login is asked for.
 */
export function envelopeIdentity(
  sender: SenderSettings,
  identifyBy: "envelope-sender" | "authenticated-user" | readonly CompiledHeader[],
  writer: string | null,
): string | null {
  if (typeof identifyBy !== "string") return null;
  const login =
    identifyBy === "envelope-sender"
      ? undefined
      : sender.kind === "domain"
        ? sender.domain
        : sender.kind === "user"
          ? sender.login
          : undefined;
  const name = login ?? writer;
  return name === null ? null : identityName(name);
}

/** The identity the header section names: of the headers in order, the first that gives one. Of several fields of a name the first counts. */
export function headerIdentity(headers: readonly CompiledHeader[], header: Uint8Array): string | null {
  const values: (string | null)[] = headers.map(() => null);
  const { text } = readHeaderBlock(header);
  let missing = headers.length;
  eachField(text, (field) => {
    for (let i = 0; i < headers.length; i++) {
      if (headers[i]?.name !== field.name || values[i] !== null) continue;
      const end = Math.min(field.end, field.colon + 1 + MAX_RAW_VALUE);
      values[i] = text
        .slice(field.colon + 1, end)
        .replaceAll("\r\n", "")
        .trim();
      missing--;
    }
    return missing > 0;
  });
  for (let i = 0; i < headers.length; i++) {
    const value = values[i];
    const extract = headers[i]?.extract ?? null;
    if (value === undefined || value === null) continue;
    // Who wrote it is read as everywhere: another name before the address is no other identity.
    const author = extract === null && headers[i]?.name === "from" ? parseMailboxes(value)[0] : undefined;
    const name =
      author === undefined ? extracted(displayText(value, MAX_VALUE), extract) : identityName(author);
    if (name !== null) return name;
  }
  return null;
}

/** The first group of the match that took part, the whole match when the expression has no group. */
function extracted(value: string, extract: Pattern | null): string | null {
  if (extract === null) return identityName(value);
  const found = extract.find(value);
  return found === null ? null : identityName(found);
}
