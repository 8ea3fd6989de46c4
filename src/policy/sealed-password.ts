// Recoverable passwords of senders (CRAM-MD5): given in clear by a form or file, kept sealed under the appliance key. No I/O.

import { preparePassword } from "../message/prepared-password.ts";
import type { ApplianceKey } from "../vault/appliance-key.ts";
import { refuseWeakPassword } from "./password-strength.ts";

/** What a password sealed for CRAM-MD5 opens for. */
export const CRAM_PURPOSE = "cram-md5";
/** Written for a password, it takes the kept one away. */
export const NO_PASSWORD = "none";

export type SealedPassword =
  | { readonly ok: true; readonly sealed: string | undefined }
  | { readonly ok: false; readonly message: string };

export interface PasswordToSeal {
  /** As written: in clear, `sealed:…` from an export of this gateway, or `none`. */
  readonly given: string;
  /** The one kept now. */
  readonly stored: string | undefined;
  readonly login: string;
  /** Further names the password must not be made of. */
  readonly near: readonly string[];
}

/** The form to store. The password kept already stays as it is, so that giving it again changes nothing. */
export function sealPassword(
  { given, stored, login, near }: PasswordToSeal,
  key: Pick<ApplianceKey, "seal" | "open"> | null,
): SealedPassword {
  if (given === NO_PASSWORD) return { ok: true, sealed: undefined };
  if (given === stored) return { ok: true, sealed: stored };
  if (key === null)
    return { ok: false, message: "cannot be kept: there is no appliance key; ask the running gateway" };
  if (given.startsWith("sealed:")) {
    return key.open(given, CRAM_PURPOSE) === null
      ? { ok: false, message: "was sealed by another gateway's key; give the password itself" }
      : { ok: true, sealed: given };
  }
  if (stored !== undefined && key.open(stored, CRAM_PURPOSE) === preparePassword(given))
    return { ok: true, sealed: stored };
  const weak = refuseWeakPassword(given, login, near);
  return weak === null
    ? { ok: true, sealed: key.seal(preparePassword(given), CRAM_PURPOSE) }
    : { ok: false, message: weak };
}
