// The delivery attempts of a message as a timeline: which server, which encryption, what it answered.
import type { Outcome } from "../../delivery/outcome.ts";
import type { AttemptRecord } from "../../store/log-record.ts";
import type { LogMessage } from "../../store/message-log.ts";
import { Badge } from "../parts/badge.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { Card } from "../parts/page-header.tsx";
import { destinationInWords } from "../words/destination.ts";
import type { Tone } from "../words/state.ts";
import { span } from "../words/time.ts";

const MAX_ATTEMPTS = 60;
const MAX_OUTCOMES = 30;

const RESULTS: Readonly<Record<Outcome["result"], { readonly tone: Tone; readonly label: string }>> = {
  delivered: { tone: "good", label: "Delivered" },
  deferred: { tone: "info", label: "Deferred" },
  failed: { tone: "bad", label: "Failed" },
};

function worst(attempt: AttemptRecord): Tone {
  const results = attempt.outcomes.map((outcome) => outcome.result);
  if (results.includes("failed")) return "bad";
  return results.includes("deferred") || results.length === 0 ? "info" : "good";
}

function OutcomeLine({ outcome, address }: { readonly outcome: Outcome; readonly address: string }) {
  const { tone, label } = RESULTS[outcome.result];
  return (
    <li class="attempt-outcome">
      <span class="attempt-who">
        <Badge tone={tone}>{label}</Badge> <Address text={address} />
      </span>
      <code class="reply">
        <Foreign text={outcome.text} max={500} empty="no answer" />
      </code>
      <span class="attempt-server">
        {outcome.server !== null && (
          <>
            <span class="mono">
              <Foreign text={outcome.server} max={120} />
            </span>
            {outcome.tls === null ? (
              <span class="tls none">
                <Icon name="unlock" size={13} /> not encrypted
              </span>
            ) : (
              <span class="tls" title={outcome.tls.cipher}>
                <Icon name="lock" size={13} /> {outcome.tls.protocol}
              </span>
            )}
          </>
        )}
      </span>
    </li>
  );
}

function Attempt({ attempt, message }: { readonly attempt: AttemptRecord; readonly message: LogMessage }) {
  const addressOf = (n: number) =>
    message.record.recipients.find((one) => one.n === n)?.address ?? `recipient ${n}`;
  return (
    <li class={`attempt tone-${worst(attempt)}`}>
      <div class="attempt-head">
        <Moment at={attempt.startedAt} style="full" />
        <span class="muted">
          took {span(attempt.endedAt - attempt.startedAt)}, by{" "}
          <Foreign text={destinationInWords(attempt.destination)} max={100} />
        </span>
      </div>
      <ul>
        {attempt.outcomes.slice(0, MAX_OUTCOMES).map((outcome) => (
          <OutcomeLine outcome={outcome} address={addressOf(outcome.n)} />
        ))}
      </ul>
    </li>
  );
}

export function AttemptTimeline({ message }: { readonly message: LogMessage }) {
  const attempts = message.attempts.slice(-MAX_ATTEMPTS).toReversed();
  if (attempts.length === 0) return null;
  return (
    <Card title="Delivery" aside={<span class="muted">newest first</span>}>
      <ol class="timeline">
        {attempts.map((attempt) => (
          <Attempt attempt={attempt} message={message} />
        ))}
      </ol>
    </Card>
  );
}
