// One message: what became of it and why, in words first, then every fact, rule and attempt behind them.

import type { Child } from "hono/jsx";
import { bytesInWords } from "../../observe/size-words.ts";
import type { LockKey } from "../../outgoing/outgoing.ts";
import type { LogMessage } from "../../store/message-log.ts";
import type { ConsoleContext } from "../console-env.ts";
import { ownDomains } from "../domain-scope.ts";
import { visibleMessage } from "../message-scope.ts";
import { StateBadge } from "../parts/badge.tsx";
import { consolePage } from "../parts/document.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { Moment } from "../parts/moment.tsx";
import { Card, Details, PageHeader } from "../parts/page-header.tsx";
import { useView } from "../parts/view-context.tsx";
import { forRoles, type Route } from "../route.ts";
import {
  explainMessage,
  isOwnMail,
  letInBecause,
  noRuleInWords,
  recipientSummary,
  recipientsNow,
} from "../words/explain-message.ts";
import type { Tone } from "../words/state.ts";
import { errorPage } from "./error-page.tsx";
import { identityUrl } from "./identity-address.ts";
import { AttemptTimeline } from "./message-attempts.tsx";
import { FactsTable } from "./message-facts.tsx";
import { RecipientCards, releasesOf } from "./message-recipients.tsx";

const TONE_ICONS: Readonly<Record<Tone, IconName>> = {
  good: "good",
  warn: "quarantine",
  bad: "bad",
  info: "clock",
  held: "held",
  quiet: "quiet",
};

function Why({ message }: { readonly message: LogMessage }) {
  const { tone, sentence, rules } = explainMessage(message);
  return (
    <section class={`why tone-${tone}`} aria-label="Why">
      <span class="why-icon">
        <Icon name={TONE_ICONS[tone]} size={24} />
      </span>
      <div>
        <p class="why-sentence">
          <Foreign text={sentence} max={700} />
        </p>
        <p class="why-rule">
          {rules.length === 0 ? (
            <NoRule message={message} />
          ) : (
            <>
              Decided by{" "}
              {rules.map((rule, i) => (
                <>
                  {i > 0 && ", "}
                  <RuleLink name={rule} />
                </>
              ))}
            </>
          )}
        </p>
      </div>
    </section>
  );
}

function NoRule({ message }: { readonly message: LogMessage }) {
  const { sender, identity } = partyOf(message);
  const stopped = recipientsNow(message).every(({ state }) => state === "refused" || state === "put-off");
  return (
    <>
      {noRuleInWords(message)}
      {stopped && sender !== "" && (
        <>
          {" · "}
          <a href={identityUrl({ sender, identity: identity === "" ? null : identity })}>
            {identity === "" ? "limits and locks of the sender" : "limits and locks of the identity"}
          </a>
        </>
      )}
    </>
  );
}

function RuleLink({ name }: { readonly name: string }) {
  if (!useView().administrator) return <>{name}</>;
  return <a href={`/rules#rule-${encodeURIComponent(name)}`}>{name}</a>;
}

/** Mail of the gateway's own had no client, and nobody was answered. */
function OwnMailCard({ record }: Pick<LogMessage, "record">) {
  const words = record.reply.replace(/^\d{3} \d\.\d\.\d (?:Own mail: )?/, "");
  const about = /\b[0-9a-hjkmnp-tv-z]{20}\b/.exec(words)?.[0];
  return (
    <Card title="Where it comes from">
      <Details
        rows={[
          ["Written", <Moment at={record.envelope.receivedAt} style="full" />],
          ["By", "the gateway itself"],
          ["What it is", <Foreign text={words} max={300} empty="mail of the gateway" />],
          ...(about === undefined || about === record.id
            ? []
            : [["About", <a href={`/messages/${about}`}>message {about}</a>] as const]),
          ["Envelope from", <Address text={record.envelope.reversePath ?? ""} />],
          ["Header from", <Foreign text={record.headerFrom} empty="none" />],
          ["Size", bytesInWords(record.size)],
          ["Message-ID", <Foreign text={record.headerMessageId} max={120} empty="none" />],
          ["Id", <span class="mono">{record.id}</span>],
        ]}
      />
    </Card>
  );
}

function EnvelopeCard({ message }: { readonly message: LogMessage }) {
  const { record } = message;
  if (isOwnMail(record)) return <OwnMailCard record={record} />;
  const { client } = record.envelope;
  const tls = client.tls === null ? "no TLS" : `${client.tls.protocol}, ${client.tls.cipher}`;
  // A sender's recipient over a limit was granted nothing: not for want of a permission.
  const granted = record.recipients.filter(({ grant }) => grant !== null || partyOf(message).sender === "");
  const grants = [...new Set(granted.map(letInBecause))];
  return (
    <Card title="How it came in">
      <Details
        rows={[
          ["Received", <Moment at={record.envelope.receivedAt} style="full" />],
          ["Envelope from", <Address text={record.envelope.reversePath ?? ""} />],
          ["Header from", <Foreign text={record.headerFrom} empty="none" />],
          ...(record.fromFlaw === undefined ? [] : [["Read with care", `From ${record.fromFlaw}`] as const]),
          ["Listener", <span class="mono">{record.envelope.listener}</span>],
          ["Client", <ClientWords ip={client.ip} hostname={client.hostname} />],
          ["Said HELO", <Foreign text={client.helo} max={100} empty="nothing" />],
          ["Encryption", tls],
          ["Log-in", client.login === null ? "none" : <Address text={client.login} />],
          ...outgoingRows(message),
          ["Let in because", <Foreign text={grants.join(" ")} max={400} empty="it was not" />],
          ["Size", record.size === 0 ? "no message was sent" : bytesInWords(record.size)],
          ["Message-ID", <Foreign text={record.headerMessageId} max={120} empty="none" />],
          ["Answer to the client", <Foreign text={record.reply} max={300} />],
          ["Id", <span class="mono">{record.id}</span>],
        ]}
      />
    </Card>
  );
}

/** The sender and the identity behind outgoing mail; "" where there is none. */
function partyOf({ record }: LogMessage): { readonly sender: string; readonly identity: string } {
  const textOf = (fact: string): string => {
    const value = record.findings.find((finding) => finding.fact === fact)?.value;
    return typeof value === "string" ? value : "";
  };
  return { sender: textOf("identity.sender"), identity: textOf("identity.name") };
}

/** Who stands behind outgoing mail: the sender, the identity, and whom an address range was treated as. */
function outgoingRows(message: LogMessage): readonly (readonly [string, Child])[] {
  const { record } = message;
  const { sender, identity } = partyOf(message);
  if (sender === "") return [];
  const grant = record.recipients.map((one) => one.grant).find((one) => one?.by === "ip-sender");
  const as = grant?.by === "ip-sender" ? grant.as : undefined;
  return [
    ["Sender", <PartyLink sender={sender} identity={null} />],
    ...(grant?.by === "ip-sender" && as !== undefined
      ? [
          ["Came through", <PartyLink sender={grant.sender} identity={null} />] as const,
          ["Treated as", <Address text={as} />] as const,
        ]
      : []),
    ["Identity", identity === "" ? "none was found" : <PartyLink sender={sender} identity={identity} />],
  ];
}

function PartyLink(key: LockKey) {
  return (
    <a href={identityUrl(key)}>
      <Foreign text={key.identity ?? key.sender} max={100} />
    </a>
  );
}

function ClientWords({ ip, hostname }: { readonly ip: string; readonly hostname: string | null }) {
  return (
    <>
      <span class="mono">{ip}</span>
      {hostname !== null && (
        <span class="muted">
          {" "}
          (<Foreign text={hostname} max={100} />)
        </span>
      )}
    </>
  );
}

async function getMessage(c: ConsoleContext): Promise<Response> {
  const id = c.req.param("id") ?? "";
  const found = await c.get("services").messageLog.get(id);
  const message = found === null ? null : visibleMessage(ownDomains(c), found);
  if (message === null) {
    return errorPage(
      c,
      404,
      "No such message",
      `The log has no message ${id.slice(0, 40)}. It may be past its keeping time.`,
    );
  }
  const { record } = message;
  const releases = await releasesOf(c, message);
  const states = [...new Set(recipientsNow(message).map((recipient) => recipient.state))];
  return consolePage(
    c,
    { title: "Message", nav: "messages" },
    <>
      <PageHeader
        crumb={{ href: "/messages", label: "Message log" }}
        title={
          <Foreign
            text={record.subject}
            max={180}
            empty={record.size === 0 ? "(no message was sent)" : "(no subject)"}
          />
        }
        lead={
          <>
            <Address text={record.envelope.reversePath ?? ""} /> · {recipientSummary(recipientsNow(message))}
          </>
        }
      >
        <span class="badges">
          {states.map((state) => (
            <StateBadge state={state} />
          ))}
        </span>
      </PageHeader>
      <div {...liveRegion({ id: "message", url: `/messages/${encodeURIComponent(record.id)}`, seconds: 10 })}>
        <Why message={message} />
        <div class="message-grid">
          <div class="message-main">
            <RecipientCards message={message} releases={releases} />
            <AttemptTimeline message={message} />
            <FactsTable findings={record.findings} />
          </div>
          <div class="message-side">
            <EnvelopeCard message={message} />
          </div>
        </div>
      </div>
    </>,
  );
}

export const messageRoutes: readonly Route[] = [
  forRoles("administrator", "domain-administrator").get("/messages/:id", getMessage),
];
