// The recipients of a message: where each stands, what the rules said of its copy, observed ones included.

import type { HeaderEdit } from "../../message/header-edit.ts";
import type { RuleOutcome, Verdict } from "../../rules/verdict.ts";
import type { RecipientRecord } from "../../store/log-record.ts";
import type { LogMessage } from "../../store/message-log.ts";
import type { ConsoleContext } from "../console-env.ts";
import { ActionBadge, Badge, RuleName, StateBadge } from "../parts/badge.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { Card } from "../parts/page-header.tsx";
import { isOwnMail } from "../words/explain-message.ts";
import { ACTION_WORDS, RECIPIENT_STATES } from "../words/state.ts";

const MAX_RECIPIENTS = 100;

function Outcome({ outcome }: { readonly outcome: RuleOutcome }) {
  const observed = outcome.mode === "observe";
  return (
    <li class={outcome.applied ? "outcome" : "outcome unapplied"}>
      <span class="outcome-head">
        <RuleName name={outcome.rule} />
        <ActionBadge action={outcome.action} />
        {observed && <Badge tone="quiet">observed only</Badge>}
        {!observed && !outcome.applied && <Badge tone="quiet">after the decision</Badge>}
      </span>
      <span class="outcome-words">
        <Foreign text={outcome.words.replace(/\.$/, "")} max={400} />.
        {observed && ` It would have ${ACTION_WORDS[outcome.action]}.`}
      </span>
    </li>
  );
}

function editInWords(edit: HeaderEdit): string {
  switch (edit.kind) {
    case "add":
      return `header ${edit.name}: ${edit.value}`;
    case "subject":
      return `subject “${edit.prefix}…${edit.suffix}”`;
    case "remove":
      return `header ${edit.name} taken out`;
  }
}

function Changes({ verdict }: { readonly verdict: Verdict }) {
  const changes = [
    ...(verdict.redirectTo === null ? [] : [`redirected to ${verdict.redirectTo}`]),
    ...verdict.copyTo.map((address) => `copy to ${address}`),
    ...verdict.edits.map(editInWords),
  ];
  if (changes.length === 0) return null;
  return (
    <p class="recipient-changes">
      <Icon name="pencil" size={14} /> <Foreign text={changes.join("; ")} max={400} />
    </p>
  );
}

/** A recipient that was accepted and then refused with the whole message was answered at the end of it. */
function lastReply({ reply, verdict, state }: RecipientRecord, { record }: LogMessage): string {
  // Kept, and the sender was told that it was refused.
  const toldNo = verdict !== null && verdict.action === "quarantine" && verdict.replyCode >= 500;
  const refused = (state === "refused" || state === "put-off") && /^[45]/.test(record.reply);
  return (refused || (toldNo && record.reply.startsWith("5"))) && reply.startsWith("2")
    ? record.reply
    : reply;
}

/** Who let a recipient's copy out of the quarantine, and when. */
export type Releases = ReadonlyMap<number, { readonly by: string; readonly at: number }>;

function Recipient({
  recipient,
  message,
  releases,
}: {
  readonly recipient: RecipientRecord;
  readonly message: LogMessage;
  readonly releases: Releases;
}) {
  const release = releases.get(recipient.n);
  const now = message.states.find((state) => state.n === recipient.n);
  const state = now?.state ?? recipient.state;
  const outcomes = recipient.verdict?.outcomes ?? [];
  const reply = lastReply(recipient, message);
  const words = now?.words || recipient.verdict?.words || "";
  return (
    <li class="recipient">
      <div class="recipient-head">
        <strong>
          <Address text={recipient.address} />
        </strong>
        <StateBadge state={state} />
      </div>
      <p class="recipient-words">
        <Foreign
          text={
            words === "" || words === recipient.reply
              ? `The message ${RECIPIENT_STATES[state].words}.`
              : words
          }
          max={400}
        />
        {now?.nextAttemptAt != null && (
          <>
            {" "}
            Next attempt <Moment at={now.nextAttemptAt} style="relative" />.
          </>
        )}
      </p>
      {release !== undefined && (
        <p class="recipient-words">
          Released by <Foreign text={release.by} max={100} /> at <Moment at={release.at} style="full" />.
          {reply.startsWith("5") &&
            " The sender had been told that it was refused, and was not told of the release."}
        </p>
      )}
      {recipient.verdict !== null && <Changes verdict={recipient.verdict} />}
      {!isOwnMail(message.record) && (
        <p class="recipient-reply">
          <span class="muted">We answered</span>{" "}
          <code>
            <Foreign text={reply} max={200} empty="nothing" />
          </code>
        </p>
      )}
      {outcomes.length > 0 && (
        <ul class="outcomes" aria-label="Rules that matched">
          {outcomes.map((outcome) => (
            <Outcome outcome={outcome} />
          ))}
        </ul>
      )}
      {state === "quarantined" && (
        <p>
          <a
            class="button quiet"
            href={`/quarantine/${encodeURIComponent(`${message.record.id}-${recipient.n}`)}`}
          >
            <Icon name="eye" /> Open in quarantine
          </a>
        </p>
      )}
    </li>
  );
}

/** The releases of a message's recipients, as far as the quarantine remembers them. */
export async function releasesOf(c: ConsoleContext, { record }: LogMessage): Promise<Releases> {
  const releases = new Map<number, { readonly by: string; readonly at: number }>();
  for (const { n } of record.recipients.slice(0, MAX_RECIPIENTS)) {
    const release = await c.get("services").quarantine.releaseOf(`${record.id}-${n}`);
    if (release !== null) releases.set(n, release);
  }
  return releases;
}

export function RecipientCards({
  message,
  releases,
}: {
  readonly message: LogMessage;
  readonly releases: Releases;
}) {
  const { recipients } = message.record;
  if (recipients.length === 0) return null;
  return (
    <Card title={recipients.length === 1 ? "Recipient" : `${recipients.length} recipients`} flush>
      <ul class="recipients">
        {recipients.slice(0, MAX_RECIPIENTS).map((recipient) => (
          <Recipient recipient={recipient} message={message} releases={releases} />
        ))}
      </ul>
      {recipients.length > MAX_RECIPIENTS && (
        <p class="card-foot muted">
          and {recipients.length - MAX_RECIPIENTS} more recipients; the API lists all of them.
        </p>
      )}
    </Card>
  );
}
