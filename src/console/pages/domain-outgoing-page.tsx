// What holds for all mail a domain sends (requirements O5, O6, O10–O14). Domain administrators see and change their own domains'
// pages, but neither a bar nor where passwords are sent to: these are the operator's.
import type { AlertChannel } from "../../notify/outgoing-notices.ts";
import { itemKey } from "../../policy/policy-document.ts";
import type { DomainSettings } from "../../policy/schema.ts";
import type { OutgoingSettings } from "../../policy/schema-outgoing.ts";
import { domainStop } from "../../policy/sends-as.ts";
import type { PolicyProblem } from "../../policy/settings.ts";
import { audit } from "../actor.ts";
import { alarmsOfDomain } from "../alarm-places.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { inScope, ownDomains } from "../domain-scope.ts";
import type { FieldGroup } from "../forms/field.ts";
import { formOf } from "../forms/form-input.ts";
import { PolicyForm } from "../forms/policy-form.tsx";
import { savePolicyForm } from "../forms/save-policy.ts";
import { AlarmNotices } from "../parts/alarm-state.tsx";
import { Badge } from "../parts/badge.tsx";
import { consolePage } from "../parts/document.tsx";
import { Icon } from "../parts/icon.tsx";
import { inPlace } from "../parts/live.ts";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { forRoles, type Route } from "../route.ts";
import { outgoingGroups } from "./domain-outgoing-fields.ts";
import { fillOutgoing, finishOutgoing } from "./domain-outgoing-input.ts";
import { partsInForce } from "./enterprise-parts.ts";
import { errorPage } from "./error-page.tsx";

function urlOf(domain: DomainSettings, rest = ""): string {
  return `/domains/${encodeURIComponent(domain.name)}/outgoing${rest}`;
}

/** The domain of the address, when it is one of those whoever asks may see. */
function domainOf(c: ConsoleContext): DomainSettings | null {
  const name = (c.req.param("key") ?? "").toLowerCase();
  const { domain } = c.get("services").settings.current().policy;
  return inScope(ownDomains(c), name) ? (domain.find((one) => one.name === name) ?? null) : null;
}

function isAdministrator(c: ConsoleContext): boolean {
  return accountOf(c).role === "administrator";
}

async function groupsOf(c: ConsoleContext, domain: DomainSettings): Promise<readonly FieldGroup[]> {
  const keys = await c.get("services").dkim.list(domain.name);
  return outgoingGroups(domain.outgoing, { keys, administrator: isAdministrator(c) });
}

/** Nothing is sent from it, whatever else is set on the page: asked as for each of its senders. */
function Stopped({
  domain,
  administrator,
}: {
  readonly domain: DomainSettings;
  readonly administrator: boolean;
}) {
  const stop = domainStop(domain);
  if (stop === null) return null;
  const why = stop === "domain-off" ? "switched off" : "barred";
  return (
    <Notice tone="warn">
      This domain is {why}: nothing may be sent from it.
      {!administrator && " Only an administrator can change that."}
    </Notice>
  );
}

function InForce({ outgoing }: { readonly outgoing: OutgoingSettings }) {
  return (
    <Card title="In force now">
      <ul class="in-force">
        {partsInForce(outgoing).map(({ part, on, why }) => (
          <li>
            <span>
              {part.label}
              <span class="under muted">{why}</span>
            </span>
            <Badge tone={on ? "good" : "quiet"}>{on ? "On" : "Off"}</Badge>
          </li>
        ))}
      </ul>
    </Card>
  );
}

const CHANNELS: readonly {
  readonly channel: AlertChannel;
  readonly label: string;
  readonly isSet: (alerts: OutgoingSettings["alerts"]) => boolean;
}[] = [
  { channel: "mail", label: "mail", isSet: (alerts) => alerts.mail.length > 0 },
  { channel: "webhook", label: "web hook", isSet: (alerts) => alerts.webhook !== null },
  { channel: "sms", label: "SMS", isSet: (alerts) => alerts.sms !== null },
];

/** Only the notice is taken from the answer: what was typed into the form meanwhile must stay. */
function testInPlace(action: string) {
  return {
    ...inPlace(action),
    "hx-target": "#notices",
    "hx-select": "#notices",
    "hx-swap": "outerHTML show:top",
  };
}

/** Tries what is saved, not what stands in the form. */
function TestAlerts({ domain }: { readonly domain: DomainSettings }) {
  const set = CHANNELS.filter((one) => one.isSet(domain.outgoing.alerts));
  return (
    <Card title="Test the alerts">
      {set.length === 0 ? (
        <p class="muted">No alert is set up yet. Save an address, a web hook or an SMS gateway first.</p>
      ) : (
        <>
          <p class="muted">Sends a trial alert by what is saved, and says what came of it.</p>
          <form {...testInPlace(urlOf(domain, "/test"))} class="page-actions">
            {set.map(({ channel, label }) => (
              <button type="submit" class="quiet" name="channel" value={channel} id={`test-${channel}`}>
                Test {label}
              </button>
            ))}
          </form>
        </>
      )}
    </Card>
  );
}

async function show(
  c: ConsoleContext,
  domain: DomainSettings,
  shown: { readonly form: URLSearchParams; readonly problems: readonly PolicyProblem[] },
): Promise<Response> {
  const name = encodeURIComponent(domain.name);
  return consolePage(
    c,
    {
      title: `Outgoing mail of ${domain.name}`,
      nav: "domains",
      status: shown.problems.length > 0 ? 422 : 200,
    },
    <>
      <PageHeader
        crumb={{ href: "/domains", label: "Domains" }}
        title={`Outgoing mail of ${domain.name}`}
        lead="What holds for all mail its people and servers send. Each sender’s own settings come on top."
      >
        <a class="button quiet" href={`/senders?${new URLSearchParams({ domain: domain.name })}`}>
          <Icon name="sender" /> Senders
        </a>
        <a class="button quiet" href={`/domains/${name}/dkim`}>
          <Icon name="token" /> DKIM keys
        </a>
      </PageHeader>
      <div class="form-page">
        <Stopped domain={domain} administrator={isAdministrator(c)} />
        <AlarmNotices
          alarms={alarmsOfDomain(c.get("services").alarms(), c.get("services").settings.current().policy, {
            domain: domain.name,
            part: "outgoing",
          })}
        />
        <PolicyForm
          action={urlOf(domain)}
          groups={await groupsOf(c, domain)}
          form={shown.form}
          problems={shown.problems}
          submit="Save changes"
          cancel="/domains"
        />
        <aside class="form-aside">
          <InForce outgoing={domain.outgoing} />
          <TestAlerts domain={domain} />
        </aside>
      </div>
    </>,
  );
}

function filled(groups: readonly FieldGroup[], domain: DomainSettings): URLSearchParams {
  const form = formOf(groups, domain);
  fillOutgoing(form, domain.outgoing);
  return form;
}

async function getOutgoing(c: ConsoleContext, domain: DomainSettings): Promise<Response> {
  return show(c, domain, { form: filled(await groupsOf(c, domain), domain), problems: [] });
}

async function postOutgoing(c: ConsoleContext, domain: DomainSettings): Promise<Response> {
  const groups = await groupsOf(c, domain);
  const asItIs = (): DomainSettings => domainOf(c) ?? domain;
  const result = await savePolicyForm(c, {
    section: "domain",
    key: itemKey("domain", domain),
    groups,
    filled: () => filled(groups, asItIs()),
    finish(input) {
      finishOutgoing(input, asItIs().outgoing, { administrator: isAdministrator(c) });
      return [];
    },
  });
  if (result.kind === "again") return show(c, domain, result);
  leaveNotice(c, result.notice.tone, result.notice.text);
  return c.redirect(urlOf(domain), 303);
}

async function postTest(c: ConsoleContext, domain: DomainSettings): Promise<Response> {
  const asked = c.get("form").get("channel");
  const found = CHANNELS.find((one) => one.channel === asked);
  if (found === undefined)
    return errorPage(c, 422, "Nothing was sent", "An alert goes by mail, web hook or SMS.");
  const { channel, label } = found;
  const { ok, words } = await c.get("services").notices.test(domain.name, channel);
  await audit(c, { action: `test alert by ${label}`, subject: domain.name, detail: words });
  leaveNotice(c, ok ? "good" : "bad", `Test by ${label}: ${words}`);
  return c.redirect(urlOf(domain), 303);
}

type OfDomain = (c: ConsoleContext, domain: DomainSettings) => Promise<Response>;

function withDomain(answer: OfDomain) {
  return (c: ConsoleContext): Promise<Response> => {
    const domain = domainOf(c);
    if (domain !== null) return answer(c, domain);
    const name = (c.req.param("key") ?? "").slice(0, 80);
    return errorPage(c, 404, "No such domain", `There is no domain “${name}”.`);
  };
}

const keepers = forRoles("administrator", "domain-administrator");

export const domainOutgoingRoutes: readonly Route[] = [
  keepers.get("/domains/:key/outgoing", withDomain(getOutgoing)),
  keepers.post("/domains/:key/outgoing", withDomain(postOutgoing)),
  keepers.post("/domains/:key/outgoing/test", withDomain(postTest)),
];
