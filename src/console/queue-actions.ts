// What the console does with queued messages, for pages and API alike, and what the audit log gets.
import { actorOf, audit } from "./actor.ts";
import type { ConsoleContext } from "./console-env.ts";
import { counted } from "./words/amount.ts";

export type QueueAction = "retry" | "hold" | "drop";

/** A message id as it stands in addresses; anything else is no message of ours. */
export function isMessageId(text: string): boolean {
  return /^[0-9a-z]{1,40}$/.test(text);
}

/** Acts on every waiting recipient of a message; resolves to how many that were. */
export async function actOnQueue(c: ConsoleContext, action: QueueAction, messageId: string): Promise<number> {
  const queue = c.get("services").queue;
  const n = action === "drop" ? await queue.drop(messageId, actorOf(c).name) : await queue[action](messageId);
  if (n > 0)
    await audit(c, { action: `queue ${action}`, subject: messageId, detail: counted(n, "recipient") });
  return n;
}

/** Tries everything that waits now. */
export async function retryWholeQueue(c: ConsoleContext): Promise<number> {
  const n = await c.get("services").queue.retry(null);
  await audit(c, { action: "queue retry", subject: "everything", detail: counted(n, "recipient") });
  return n;
}
