// What of a message somebody with certain domains may see: all of what their people sent, and their own recipients of what came in. Pure.
import type { LogMessage } from "../store/message-log.ts";
import { type DomainScope, domainPart, inScope } from "./domain-scope.ts";

/** Did somebody of these domains send it? What an outsider claims counts for nothing. */
function isOwn(scope: DomainScope, { record }: LogMessage): boolean {
  const [first] = record.recipients;
  const known = record.findings.some(({ fact }) => fact === "identity.sender");
  const refused = record.envelope.client.login !== null || known;
  const ours = first === undefined ? refused : first.direction !== "inbound";
  const { login } = record.envelope.client;
  const path = record.envelope.reversePath;
  return (
    ours &&
    ((path !== null && inScope(scope, domainPart(path))) ||
      (login !== null && inScope(scope, domainPart(login))))
  );
}

/** The message with the recipients that may be seen, or null when none of it may. */
export function visibleMessage(scope: DomainScope, message: LogMessage): LogMessage | null {
  if (scope === null || isOwn(scope, message)) return message;
  const recipients = message.record.recipients.filter((one) => inScope(scope, domainPart(one.address)));
  if (recipients.length === 0) return null;
  const shown = new Set(recipients.map(({ n }) => n));
  return {
    record: { ...message.record, recipients },
    states: message.states.filter(({ n }) => shown.has(n)),
    attempts: message.attempts
      .map((attempt) => ({ ...attempt, outcomes: attempt.outcomes.filter(({ n }) => shown.has(n)) }))
      .filter(({ outcomes }) => outcomes.length > 0),
  };
}
