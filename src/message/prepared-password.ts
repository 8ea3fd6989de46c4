// A password in the one form in which it is hashed, compared and passed on, whatever keyboard it was written with.

/**
 * RFC 8265 §4.2, OpaqueString, which follows SASLprep: every space is U+0020, letters and their marks are one character. What one keyboard
 * writes as ü and another as u and two dots is the same password.
 */
export function preparePassword(password: string): string {
  return /^[\x00-\x7f]*$/.test(password)
    ? password
    : password.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, " ").normalize("NFC");
}
