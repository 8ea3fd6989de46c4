// One quarantined message: why it is kept, what is in it, shown so that nothing in it can act; release, delete, download.
import { raw } from "hono/html";
import { bytesInWords } from "../../observe/size-words.ts";
import type { QuarantineItem } from "../../store/quarantine-item.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { Badge, RuleName } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { consolePage } from "../parts/document.tsx";
import { Address, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, Details, PageHeader } from "../parts/page-header.tsx";
import { deleteItem, itemOf, newerItemOf, releaseItem, seeItem, sendSource } from "../quarantine-actions.ts";
import { releaseQuestion } from "../release-terms.ts";
import { forAdministrator, forRoles, type Route } from "../route.ts";
import { MESSAGE_POLICY } from "../security/response-headers.ts";
import type { MessageView } from "../services.ts";
import { counted } from "../words/amount.ts";
import { errorPage } from "./error-page.tsx";
import { identityUrl } from "./identity-address.ts";
import { ITEM_STATES } from "./quarantine-filter.tsx";

const MAX_HEADERS = 200;
const MAX_TEXT = 200_000;

function idOf(c: ConsoleContext): string {
  return c.req.param("id") ?? "";
}

function noSuchItem(c: ConsoleContext): Promise<Response> {
  return errorPage(c, 404, "No such message in quarantine", "It may have been deleted, or its time was up.");
}

function urlOf(item: QuarantineItem, rest = ""): string {
  return `/quarantine/${encodeURIComponent(item.id)}${rest}`;
}

function Headers({ view }: { readonly view: MessageView }) {
  return (
    <Card title="Header" flush>
      <details class="card-details">
        <summary>{counted(view.headers.length, "line")}</summary>
        <dl class="message-headers">
          {view.headers.slice(0, MAX_HEADERS).map((header) => (
            <div>
              <dt>
                <Foreign text={header.name} max={80} />
              </dt>
              <dd>
                <Foreign text={header.value} max={1000} />
              </dd>
            </div>
          ))}
        </dl>
      </details>
    </Card>
  );
}

function Attachments({ view }: { readonly view: MessageView }) {
  if (view.attachments.length === 0) return null;
  return (
    <Card title="Attachments" flush>
      <ul class="attachments">
        {view.attachments.slice(0, 100).map((attachment) => (
          <li>
            <Icon name="paperclip" />
            <strong>
              <Foreign text={attachment.name} max={120} empty="(no name)" />
            </strong>
            <span class="muted">
              <Foreign text={attachment.type} max={80} />, {bytesInWords(attachment.size)}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Content({ item, view }: { readonly item: QuarantineItem; readonly view: MessageView }) {
  const text = view.text.length > MAX_TEXT ? `${view.text.slice(0, MAX_TEXT)}\n…` : view.text;
  return (
    <Card
      title="Message"
      flush
      aside={<span class="muted">shown without scripts, remote images or links that work</span>}
    >
      {view.problem !== null && (
        <Notice tone="warn">
          <Foreign text={view.problem} max={400} />
        </Notice>
      )}
      {view.html !== "" && (
        <iframe
          class="message-frame"
          title="The message as HTML, made harmless"
          sandbox=""
          referrerpolicy="no-referrer"
          loading="lazy"
          src={urlOf(item, "/html")}
        />
      )}
      {view.html === "" ? (
        <pre class="message-text" dir="auto">
          {text === "" ? "(The message has no text.)" : text}
        </pre>
      ) : (
        text !== "" && (
          <details class="card-details">
            <summary>As plain text</summary>
            <pre class="message-text" dir="auto">
              {text}
            </pre>
          </details>
        )
      )}
    </Card>
  );
}

function SenderLinks({ item }: { readonly item: QuarantineItem }) {
  return (
    <>
      <a href={identityUrl({ sender: item.sender, identity: null })}>
        <Address text={item.sender} />
      </a>
      {item.identity !== "" && item.identity !== item.sender && (
        <span class="under">
          identity{" "}
          <a href={identityUrl({ sender: item.sender, identity: item.identity })}>
            <Foreign text={item.identity} max={100} />
          </a>
        </span>
      )}
    </>
  );
}

function Actions({
  item,
  administrator,
  releasable,
}: {
  readonly item: QuarantineItem;
  readonly administrator: boolean;
  readonly releasable: boolean;
}) {
  return (
    <>
      {administrator && item.state === "kept" && (
        <a class="button quiet" href={urlOf(item, "/message.eml")} download>
          <Icon name="download" /> Download
        </a>
      )}
      {item.state === "kept" && (
        <>
          <a class="button quiet danger-text" href={urlOf(item, "/delete")}>
            <Icon name="trash" /> Delete…
          </a>
          {releasable && (
            <form method="post" action={urlOf(item, "/release")}>
              <button type="submit">
                <Icon name="release" /> Release
              </button>
            </form>
          )}
        </>
      )}
    </>
  );
}

/** Why it is here; what could not be delivered with the way out. */
function Why({ item }: { readonly item: QuarantineItem }) {
  const all = <a href={`/messages/${encodeURIComponent(item.messageId)}`}>everything known of it</a>;
  return (
    <section class={`why tone-${item.class === "undeliverable" ? "bad" : "warn"}`} aria-label="Why">
      <span class="why-icon">
        <Icon name="quarantine" size={24} />
      </span>
      <div>
        <p class="why-sentence">
          <Foreign text={item.words} max={700} empty="A rule set it aside." />
        </p>
        {item.class === "undeliverable" ? (
          <p class="why-rule">
            Accepted, and no server takes it. Put right what the answer names, then release it: it is tried
            again at the present route. Or forward it in another way, and delete it. · {all}
          </p>
        ) : (
          <p class="why-rule">
            Decided by <RuleName name={item.rule} /> · {all}
          </p>
        )}
      </div>
    </section>
  );
}

async function getItem(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  if (item === null) return noSuchItem(c);
  const newer = await newerItemOf(c, item);
  if (newer !== null) return c.redirect(urlOf(newer), 303);
  await seeItem(c, item);
  const services = c.get("services");
  const administrator = accountOf(c).role === "administrator";
  const question = item.state === "kept" ? await releaseQuestion(c, item) : null;
  const barred = question?.kind === "refused" ? question.words : null;
  const body = item.state === "kept" ? await services.quarantine.body(item.id) : null;
  const view = body === null ? null : await services.view(body);
  return consolePage(
    c,
    { title: "Quarantined message", nav: "quarantine" },
    <>
      <PageHeader
        crumb={{ href: "/quarantine", label: "Quarantine" }}
        title={<Foreign text={item.subject} max={180} empty="(no subject)" />}
      >
        <Actions item={item} administrator={administrator} releasable={barred === null} />
      </PageHeader>
      {barred !== null && (
        <Notice tone="info">
          You cannot release it. <Foreign text={barred} max={400} />
        </Notice>
      )}
      <Why item={item} />
      <div class="message-grid">
        <div class="message-main">
          {view === null ? (
            <Card title="Message">
              <p>The message itself is no longer kept here.</p>
            </Card>
          ) : (
            <>
              <Content item={item} view={view} />
              <Attachments view={view} />
              <Headers view={view} />
            </>
          )}
        </div>
        <div class="message-side">
          <Card title="Envelope">
            <Details
              rows={[
                ["State", <Badge tone={ITEM_STATES[item.state].tone}>{ITEM_STATES[item.state].label}</Badge>],
                ["Recipient", <Address text={item.recipient} />],
                ["Envelope from", <Address text={item.reversePath} />],
                ["Header from", <Foreign text={item.headerFrom} empty="none" />],
                ["Direction", item.direction],
                ...(item.sender === "" ? [] : [["Sender", <SenderLinks item={item} />] as const]),
                ["Received", <Moment at={item.receivedAt} style="full" />],
                ...(item.class === "undeliverable"
                  ? [
                      [
                        "Refused by",
                        <Foreign text={item.server} max={300} empty="no server was reached" />,
                      ] as const,
                      ["Its answer", <Foreign text={item.answer} max={500} empty="none" />] as const,
                      ["Given up", <Moment at={item.failedAt ?? item.receivedAt} style="full" />] as const,
                    ]
                  : []),
                ["Kept until", <Moment at={item.expiresAt} style="full" />],
                ["Size", bytesInWords(item.size)],
                ["Id", <span class="mono">{item.id}</span>],
              ]}
            />
          </Card>
        </div>
      </div>
    </>,
  );
}

const FRAME_STYLE =
  "body{margin:16px 18px;font:14px/1.5 system-ui,sans-serif;color:#14212b;background:#fff;overflow-wrap:anywhere}";

/** `html` is the only markup the console passes on unread: it comes cleaned, and its frame lets it do nothing. */
function MessageFrame({ html }: { readonly html: string }) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>Message</title>
        <style>{FRAME_STYLE}</style>
      </head>
      <body>{raw(html)}</body>
    </html>
  );
}

/** HTML out of the message, cleaned in a scan worker and locked in by its own policy (T6, T13). */
async function getItemHtml(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  const services = c.get("services");
  const body = item === null || item.state !== "kept" ? null : await services.quarantine.body(item.id);
  c.header("Content-Security-Policy", MESSAGE_POLICY);
  if (body === null) return c.text("The message is no longer kept here.", 404);
  const view = await services.view(body);
  return c.html(<MessageFrame html={view.html} />);
}

async function getItemSource(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  const source =
    item === null || item.state !== "kept" ? null : await c.get("services").quarantine.source(item.id);
  if (item === null || source === null) return noSuchItem(c);
  return sendSource(c, item, source);
}

async function postRelease(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  if (item === null) return noSuchItem(c);
  const confirmed = c.get("form").get("confirmed") === "yes";
  const result = await releaseItem(c, item, { confirmed });
  if (typeof result === "object")
    return result.kind === "ask"
      ? askRelease(c, item, result.found)
      : errorPage(c, 403, "The message stays in quarantine", result.words);
  switch (result) {
    case "released":
      leaveNotice(c, "good", `Released: the message is on its way to ${item.recipient}.`);
      break;
    case "already":
      leaveNotice(c, "warn", "It had been released before; it is not sent twice.");
      break;
    case "gone":
      leaveNotice(c, "bad", "It is no longer kept: it was deleted or its time was up.");
  }
  return c.redirect("/quarantine", 303);
}

/** Before malware goes out: what was found stands in the question, so that nobody releases it by a slip. */
function askRelease(c: ConsoleContext, item: QuarantineItem, found: string): Promise<Response> {
  return confirmPage(c, {
    nav: "quarantine",
    title: "Release this message with malware?",
    words: (
      <p>
        <strong>
          <Foreign text={found} max={300} />
        </strong>{" "}
        was found in “
        <Foreign text={item.subject} max={150} empty="(no subject)" />” for <Address text={item.recipient} />.
        It is delivered as it is, and whoever opens it may be harmed. The sender was told when it came whether
        it was taken.
      </p>
    ),
    action: urlOf(item, "/release"),
    submit: "Release the malware",
    cancel: urlOf(item),
    hidden: [["confirmed", "yes"]],
  });
}

async function askDelete(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  if (item === null) return noSuchItem(c);
  return confirmPage(c, {
    nav: "quarantine",
    title: "Delete this message?",
    words: (
      <p>
        <strong>
          <Foreign text={item.subject} max={150} empty="(no subject)" />
        </strong>{" "}
        for <Address text={item.recipient} />. It cannot be brought back, and nobody is told.
      </p>
    ),
    action: urlOf(item, "/delete"),
    submit: "Delete message",
    cancel: urlOf(item),
  });
}

async function postDelete(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, idOf(c));
  if (item === null) return noSuchItem(c);
  const removed = await deleteItem(c, item);
  leaveNotice(c, removed ? "good" : "warn", removed ? "The message was deleted." : "It was gone already.");
  return c.redirect("/quarantine", 303);
}

const keepers = forRoles("administrator", "domain-administrator");

export const quarantineItemRoutes: readonly Route[] = [
  keepers.get("/quarantine/:id", getItem),
  keepers.get("/quarantine/:id/html", getItemHtml),
  forAdministrator.get("/quarantine/:id/message.eml", getItemSource),
  keepers.post("/quarantine/:id/release", postRelease),
  keepers.get("/quarantine/:id/delete", askDelete),
  keepers.post("/quarantine/:id/delete", postDelete),
];
