// The part of a notice for machines: message/delivery-status. (RFC 3464, RFC 6533 for addresses beyond ASCII)
import { foldField } from "../message/encoded-word.ts";
import type { Notice, NoticeKind, NoticeRecipient } from "./delivery-notice.ts";
import { mailDate } from "./mime-text.ts";
import { oneLine, replyWords } from "./reply-words.ts";

const ACTIONS: Readonly<Record<NoticeKind, string>> = {
  failed: "failed",
  delayed: "delayed",
  relayed: "relayed",
};

/** The part with its header, CRLF line ends; ASCII only, so that it survives any way back. */
export function deliveryStatus(notice: Notice): string {
  const perMessage = [
    notice.envid === null ? "" : field("Original-Envelope-Id", ascii(notice.envid, 100)),
    field("Reporting-MTA", `dns; ${ascii(notice.hostname, 255)}`),
    field("Arrival-Date", mailDate(notice.arrivedAt)),
  ].join("");
  const perRecipient = notice.recipients.map((recipient) => recipientFields(notice, recipient));
  return `Content-Type: message/delivery-status\r\n\r\n${[perMessage, ...perRecipient].join("\r\n")}`;
}

function recipientFields(notice: Notice, recipient: NoticeRecipient): string {
  const { outcome } = recipient;
  const original = recipient.orcpt === null ? "" : originalRecipient(recipient.orcpt);
  const remote = outcome?.server ?? null;
  return [
    original,
    field("Final-Recipient", typedAddress(recipient.address)),
    field("Action", ACTIONS[notice.kind]),
    field("Status", statusOf(notice.kind, recipient)),
    remote === null ? "" : field("Remote-MTA", `dns; ${ascii(remote.split(" ")[0] ?? remote, 255)}`),
    // RFC 3464 §2.3.6: the reply itself; our own words are not one and stand in the text part only.
    outcome === null || outcome.code === null
      ? ""
      : field("Diagnostic-Code", `smtp; ${ascii(replyWords(outcome, 400), 420)}`),
    // Of a notice that no attempt has brought about the time of the last one is not known, and the field may be left out.
    notice.kind === "delayed" || outcome === null || outcome.result === "deferred"
      ? ""
      : field("Last-Attempt-Date", mailDate(notice.now)),
    notice.kind === "delayed" && notice.triedUntil !== null
      ? field("Will-Retry-Until", mailDate(notice.triedUntil))
      : "",
  ].join("");
}

/** RFC 3464 §2.3.4: the class must agree with the action. A delay that became a failure is 5.4.7 (RFC 3463). */
function statusOf(kind: NoticeKind, { outcome }: NoticeRecipient): string {
  const detail = /^[245]\.(\d{1,3}\.\d{1,3})$/.exec(outcome?.enhanced ?? "")?.[1];
  switch (kind) {
    case "relayed":
      return "2.0.0";
    case "delayed":
      return `4.${detail ?? (outcome?.code === null || outcome === null ? "4.1" : "0.0")}`;
    case "failed":
      if (outcome === null || outcome.result === "deferred") return "5.4.7";
      return `5.${detail ?? "0.0"}`;
  }
}

function originalRecipient(orcpt: string): string {
  const [, type, address] = /^([A-Za-z0-9-]{1,20});(.{1,500})$/s.exec(orcpt) ?? [];
  if (type === undefined || address === undefined) return "";
  return field(
    "Original-Recipient",
    `${type}; ${/^[\x20-\x7e]*$/.test(address) ? address : utf8Xtext(address)}`,
  );
}

function typedAddress(address: string): string {
  return /^[\x21-\x7e]*$/.test(address) ? `rfc822; ${address}` : `utf-8; ${utf8Xtext(address)}`;
}

/** utf-8-addr-xtext (RFC 6533 §3): characters beyond ASCII, and what could break the field, as `\x{HEX}`. */
function utf8Xtext(address: string): string {
  let out = "";
  for (const character of address) {
    const code = character.codePointAt(0) ?? 0;
    const plain = code > 32 && code < 127 && character !== "\\" && character !== "+" && character !== "=";
    out += plain ? character : `\\x{${code.toString(16).toUpperCase()}}`;
  }
  return out;
}

/** One line of printable ASCII; anything else becomes a question mark (it stands unharmed in the text part). */
function ascii(text: string, maxLength: number): string {
  return oneLine(text, maxLength).replace(/[^\x20-\x7e]/gu, "?");
}

function field(name: string, value: string): string {
  return foldField(`${name}: ${value}`);
}
