// The templates: texts of mails to people, with placeholders. The product's own lock notice is always there and can be replaced.
import { LOCK_NOTICE, lockNotice } from "../../notify/lock-notice.ts";
import type { NoticeTemplate } from "../../notify/notice-policy.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { FieldGroup } from "../forms/field.ts";
import { Badge } from "../parts/badge.tsx";
import { consolePage, zoneOf } from "../parts/document.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Card } from "../parts/page-header.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { counted } from "../words/amount.ts";
import { itemRoutes } from "./policy-item-pages.tsx";
import { SettingsHeader } from "./settings-tabs.tsx";

const BASE = "/settings/templates";

/** The placeholders `lockNotice` fills in. */
const PLACEHOLDERS: readonly (readonly [string, string])[] = [
  ["{identity}", "who is locked: an address, or what names a client"],
  ["{user}", "the address this mail goes to"],
  ["{sender}", "the sender: login, address range or @domain"],
  ["{domain}", "the sender’s domain"],
  ["{until}", "when the lock ends, or that a person must lift it"],
  ["{reason}", "what led to the lock"],
  ["{contact}", "whom to ask"],
  ["{hostname}", "the name of this gateway"],
];

const GROUPS: readonly FieldGroup[] = [
  {
    title: "Template",
    help: "A mail to somebody who was locked. Senders name it in their settings for the automatic lock.",
    fields: [
      {
        kind: "text",
        name: "name",
        label: "Name",
        placeholder: "lock-notice-sales",
        help: "Lower-case letters, digits, dot and dash. “lock-notice” replaces the one that comes with the product.",
      },
      { kind: "text", name: "subject", label: "Subject" },
      {
        kind: "area",
        name: "text",
        label: "Text",
        rows: 14,
        help: "Plain text. The placeholders are listed beside the form.",
      },
    ],
  },
];

/** The template filled in for somebody made up. */
function preview(
  c: ConsoleContext,
  template: NoticeTemplate,
): { readonly subject: string; readonly text: string } {
  const { settings, hostname, clock } = c.get("services");
  const { policy } = settings.current();
  const domain = policy.domain[0]?.name ?? "example.org";
  const at = clock.now();
  return lockNotice(
    template,
    {
      at,
      domain,
      sender: `alice@${domain}`,
      identity: `alice@${domain}`,
      until: at + 3_600_000,
      words: "5 spam messages within 10 minutes",
      template: template.name,
      user: `alice@${domain}`,
    },
    { user: `alice@${domain}`, hostname, contact: policy.settings.postmaster, timezone: zoneOf(c) },
  );
}

function Preview({ c, template }: { readonly c: ConsoleContext; readonly template: NoticeTemplate }) {
  const { subject, text } = preview(c, template);
  return (
    <>
      <p>
        <strong>
          <Foreign text={subject} max={300} empty="(no subject)" />
        </strong>
      </p>
      <pre class="message-text">{text}</pre>
    </>
  );
}

function typed(form: URLSearchParams): NoticeTemplate {
  return {
    name: "preview",
    subject: (form.get("subject") ?? "").slice(0, 200),
    text: (form.get("text") ?? "").slice(0, 20_000),
  };
}

/** What the form shows: what was typed, the stored template, or the product's own to start from. */
function shownTemplate(c: ConsoleContext): NoticeTemplate {
  if (c.req.method === "POST") return typed(c.get("form"));
  const key = c.req.param("key");
  const { template } = c.get("services").settings.current().policy;
  return template.find((one) => one.name === key) ?? LOCK_NOTICE;
}

function Aside({ c }: { readonly c: ConsoleContext }) {
  return (
    <>
      <Card title="Preview">
        <div
          id="preview"
          hx-post={`${BASE}/preview`}
          hx-trigger="input from:.policy-form delay:300ms"
          hx-include=".policy-form"
          hx-sync="this:replace"
          aria-live="polite"
        >
          <Preview c={c} template={shownTemplate(c)} />
        </div>
      </Card>
      <Card title="Placeholders">
        <dl class="details">
          {PLACEHOLDERS.map(([name, words]) => (
            <div>
              <dt>
                <code>{name}</code>
              </dt>
              <dd>{words}</dd>
            </div>
          ))}
        </dl>
      </Card>
    </>
  );
}

function TemplateCard(props: {
  readonly c: ConsoleContext;
  readonly template: NoticeTemplate;
  readonly shipped: boolean;
}) {
  const { c, template, shipped } = props;
  const { sender } = c.get("services").settings.current().policy;
  const users = sender.filter((one) => one.lock.template === template.name).length;
  return (
    <section class="card template" id={`template-${template.name}`}>
      <div class="template-head">
        <h2>{template.name}</h2>
        {shipped && <Badge tone="info">comes with Gatepost</Badge>}
        <span class="muted">{users === 0 ? "not in use" : `for ${counted(users, "sender")}`}</span>
        {shipped ? (
          <a class="button quiet small" href={`${BASE}/new?name=${LOCK_NOTICE.name}`}>
            <Icon name="pencil" size={15} /> Write your own
          </a>
        ) : (
          <RowLinks base={BASE} itemKey={template.name} />
        )}
      </div>
      <Preview c={c} template={template} />
    </section>
  );
}

function getTemplates(c: ConsoleContext): Promise<Response> {
  const { template } = c.get("services").settings.current().policy;
  const replaced = template.some((one) => one.name === LOCK_NOTICE.name);
  return consolePage(
    c,
    { title: "Templates", nav: "settings" },
    <>
      <SettingsHeader current={BASE} />
      <div class="tab-actions">
        <a class="button" href={`${BASE}/new`}>
          <Icon name="plus" /> Add template
        </a>
      </div>
      <p class="muted">Mails to people who were locked, shown as they would read for somebody made up.</p>
      {!replaced && <TemplateCard c={c} template={LOCK_NOTICE} shipped />}
      {template.map((one) => (
        <TemplateCard c={c} template={one} shipped={false} />
      ))}
    </>,
  );
}

export const templateRoutes: readonly Route[] = [
  forAdministrator.get(BASE, getTemplates),
  forAdministrator.post(`${BASE}/preview`, (c) => c.html(<Preview c={c} template={typed(c.get("form"))} />)),
  ...itemRoutes({
    section: "template",
    base: BASE,
    nav: "settings",
    noun: "template",
    listTitle: "Templates",
    groups: () => GROUPS,
    keyFields: ["name"],
    blank: (c) => ({
      ...LOCK_NOTICE,
      name: c.req.query("name") === LOCK_NOTICE.name ? LOCK_NOTICE.name : "",
    }),
    finish: (input) =>
      input.name === "none"
        ? [{ path: "name", message: "“none” stands for no mail at all; choose another name" }]
        : [],
    aside: (c) => <Aside c={c} />,
    removeWords: "Senders that name it get the notice that comes with the product.",
  }),
];
