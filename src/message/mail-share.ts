// For whom mail counts where the places at a server are shared: a sender (a network, a log-in, a sender of ours) and, where several stand
// behind it, which of them. One text, as it is kept with the mail. Pure.

/** Between the two; everything of one sender stands together in the order of texts, before `SENDER_END`. */
const BEHIND = "\n";
const SENDER_END = "\u000b";

/** `behind` is one of those behind the sender; null: there are none to be told apart. */
export function mailShare(sender: string, behind: string | null): string {
  const name = sender.replaceAll(BEHIND, " ");
  return behind === null ? name : `${name}${BEHIND}${behind}`;
}

/** The sender of it. */
export function senderOfShare(share: string): string {
  const at = share.indexOf(BEHIND);
  return at < 0 ? share : share.slice(0, at);
}

/** Everything of the sender comes before this text, everything of the next behind it. */
export function endOfSender(sender: string): string {
  return `${sender}${SENDER_END}`;
}
