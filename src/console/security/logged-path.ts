// What of a request's address may stand in the log: the tokens of one-time links are secrets while they are valid.

/** The path with every token (43 characters of base64url) cut out. */
export function loggedPath(path: string): string {
  return path.replace(/[A-Za-z0-9_-]{43,}/g, "…");
}
