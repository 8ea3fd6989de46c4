// A message taken apart for people: what the console's viewer shows. Plain data; made by a scan worker.

export interface MessageView {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
  /** Sanitised: no script, no remote loads, no forms. Empty when the message has no HTML. */
  readonly html: string;
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly size: number }[];
  /** Set when the message could not be taken apart whole; says why. */
  readonly problem: string | null;
}
