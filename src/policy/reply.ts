// SMTP replies as values. The enhanced code carries no class: the class comes from the reply code, so they cannot disagree.

/**
 * A reply to the client.
 * `enhanced` is the subject and detail of RFC 3463 without the class: `"7.1"` with code 550 is sent as `550 5.7.1`.
 * `text` is public and must say nothing an attacker can use; `cause` is for the log alone.
 */
export interface Reply {
  readonly code: number;
  readonly enhanced: string | null;
  readonly text: string;
  readonly cause?: string;
}

/** Makes a reply. */
export function reply(code: number, enhanced: string | null, text: string, cause?: string): Reply {
  return cause === undefined ? { code, enhanced, text } : { code, enhanced, text, cause };
}

/** The reply as it stands on the wire, without CRLF: `550 5.7.1 Relaying denied`. (RFC 5321 §4.2, RFC 2034) */
export function formatReply(r: Reply): string {
  const enhanced = r.enhanced === null ? "" : `${Math.floor(r.code / 100)}.${r.enhanced} `;
  return `${r.code} ${enhanced}${r.text}`;
}
