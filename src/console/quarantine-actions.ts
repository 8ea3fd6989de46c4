// What the console does with quarantined messages, for pages and API alike: who may, and what the audit log gets.
import type { QuarantineFilter, QuarantineItem } from "../store/quarantine-item.ts";
import { actorOf, audit } from "./actor.ts";
import type { ConsoleContext } from "./console-env.ts";
import { domainPart, inScope, ownDomains } from "./domain-scope.ts";
import { type ReleaseQuestion, releaseQuestion } from "./release-terms.ts";
import { sourceStream } from "./source-stream.ts";

/**
 * May whoever asks see and handle the item? Domain administrators: what came for their domains and what their senders sent. What an
 * outsider’s envelope claims counts for nothing: `senderDomain` is empty for inbound mail.
 */
function mayHandle(c: ConsoleContext, item: QuarantineItem): boolean {
  const scope = ownDomains(c);
  return (
    inScope(scope, domainPart(item.recipient)) ||
    (item.direction !== "inbound" && item.senderDomain !== "" && inScope(scope, item.senderDomain))
  );
}

/** The item of that id, or null when there is none that whoever asks may see. */
export async function itemOf(c: ConsoleContext, id: string): Promise<QuarantineItem | null> {
  if (!/^[0-9a-z]{1,40}-\d{1,6}(?:-\d{1,4})?$/.test(id)) return null;
  const item = await c.get("services").quarantine.get(id);
  return item !== null && mayHandle(c, item) ? item : null;
}

/** Notes that somebody who may handle it has looked at what could not be delivered. */
export async function seeItem(c: ConsoleContext, item: QuarantineItem): Promise<void> {
  if (item.class !== "undeliverable" || item.seenAt !== null || item.state !== "kept") return;
  await c.get("services").quarantine.see(item.id);
  await audit(c, { action: "quarantine seen", subject: item.id, detail: `for ${item.recipient}` });
}

/** Hands the message out as a file. Whoever asks for the head alone has read nothing: no line in the audit log, no file opened. */
export async function sendSource(
  c: ConsoleContext,
  item: QuarantineItem,
  source: AsyncGenerator<Uint8Array>,
): Promise<Response> {
  c.header("Content-Type", "message/rfc822");
  c.header("Content-Disposition", `attachment; filename="${item.id}.eml"`);
  if (c.req.method === "HEAD") return c.body(null);
  await audit(c, { action: "quarantine download", subject: item.id, detail: `for ${item.recipient}` });
  return c.body(sourceStream(source));
}

/** A newer item of the same message and recipient, when this one was released and came back; or null. */
export async function newerItemOf(c: ConsoleContext, item: QuarantineItem): Promise<QuarantineItem | null> {
  if (item.state === "kept") return null;
  const id = await c.get("services").quarantine.newer(item.id);
  return id === null ? null : itemOf(c, id);
}

/** In words for people why it is kept. */
function keptBecause(item: QuarantineItem): string {
  return item.class === "undeliverable" ? "undeliverable" : `rule ${item.rule}`;
}

/** What came of a release; a question that was not answered, or a refusal, changes nothing. */
export type ReleaseResult =
  | "released"
  | "already"
  | "gone"
  | Exclude<ReleaseQuestion, { readonly kind: "free" }>;

/** Releases one item and says what came of it. `confirmed`: whoever asks has read what was found in it. */
export async function releaseItem(
  c: ConsoleContext,
  item: QuarantineItem,
  { confirmed }: { readonly confirmed: boolean },
): Promise<ReleaseResult> {
  const question = item.state === "kept" ? await releaseQuestion(c, item) : ({ kind: "free" } as const);
  if (question.kind === "refused" || (question.kind === "ask" && !confirmed)) return question;
  const found = question.kind === "ask" ? `, with ${question.found} in it` : "";
  const result = await c.get("services").quarantine.release(item.id, actorOf(c).name);
  if (result === "released")
    await audit(c, {
      action: "quarantine release",
      subject: item.id,
      detail: `for ${item.recipient}, ${keptBecause(item)}${found}`,
    });
  return result;
}

/** Deletes one item; false when it was gone already. */
export async function deleteItem(c: ConsoleContext, item: QuarantineItem): Promise<boolean> {
  const removed = await c.get("services").quarantine.remove(item.id, actorOf(c).name);
  if (removed)
    await audit(c, {
      action: "quarantine delete",
      subject: item.id,
      detail: `for ${item.recipient}, ${keptBecause(item)}`,
    });
  return removed;
}

/** A place in the list, newest first: `RECEIVED_AT,ID`. */
export function cursorText(item: { readonly receivedAt: number; readonly id: string }): string {
  return `${item.receivedAt},${item.id}`;
}

/** Reads a `cursorText`; undefined when it is not one. */
export function cursorOf(text: string): QuarantineFilter["before"] {
  const match = /^(\d{1,16}),([0-9a-z]{1,40}-\d{1,6}(?:-\d{1,4})?)$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : { receivedAt: Number(match[1]), id: match[2] };
}
