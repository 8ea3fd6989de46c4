// The rules: those that come with the product and one's own, each enforced, only observed, or off.
import { OWN_PRIORITY } from "../../policy/compile-rules.ts";
import type { Policy, RuleSettings } from "../../policy/schema.ts";
import { SHIPPED_RULES, type ShippedRule, shippedRule } from "../../rules/shipped-rules.ts";
import type { RuleAction } from "../../rules/verdict.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { ActionBadge, Badge } from "../parts/badge.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { inPlace } from "../parts/live.ts";
import { leaveNotice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { RowLinks } from "../parts/row-links.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { listed } from "../words/amount.ts";
import { errorPage } from "./error-page.tsx";
import { itemRoutes } from "./policy-item-pages.tsx";
import { ConditionHelp, finishRule, RULE_OBJECTS, ruleGroups } from "./rule-fields.tsx";

type Mode = RuleSettings["mode"];
const MODES: readonly { readonly mode: Mode; readonly label: string; readonly title: string }[] = [
  { mode: "enforce", label: "Enforce", title: "Does what it says" },
  { mode: "observe", label: "Observe", title: "Only notes in the log what it would do" },
  { mode: "off", label: "Off", title: "Is not looked at" },
];

function isMode(text: string | null): text is Mode {
  return MODES.some((one) => one.mode === text);
}

interface Shown {
  readonly name: string;
  readonly description: string;
  readonly mode: Mode;
  readonly priority: number;
  readonly conditions: readonly {
    readonly when: string;
    readonly action: RuleAction;
    readonly words: string;
  }[];
  readonly where: string;
  /** Set when a rule of the policy stands behind it: an own rule, or a change to a shipped one. */
  readonly stored: RuleSettings | null;
}

function shippedWhere(rule: ShippedRule, stored: RuleSettings | null, policy: Policy): string {
  if (rule.switchedOn === "always") return "always holds";
  const domains = policy.domain
    .filter((domain) =>
      domain.rules === null ? rule.switchedOn === "default" : domain.rules.includes(rule.name),
    )
    .map((domain) => domain.name);
  const scoped = stored?.scope.domains ?? [];
  const all = [...new Set([...domains, ...scoped])];
  if (all.length > 0) return `on for ${listed(all, 4)}`;
  return rule.switchedOn === "default" ? "on where a domain names no rules" : "not switched on anywhere";
}

function ownWhere(rule: RuleSettings): string {
  const { scope } = rule;
  const parts = [
    scope.directions.length === 0 ? "" : scope.directions.join(" and "),
    scope.domains.length === 0 ? "" : `for ${listed(scope.domains)}`,
    scope.addresses.length === 0 ? "" : `to ${listed(scope.addresses)}`,
    scope.senders.length === 0 ? "" : `from ${listed(scope.senders)}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "holds everywhere" : parts.join(", ");
}

function shownShipped(rule: ShippedRule, policy: Policy): Shown {
  const stored = policy.rule.find((one) => one.name === rule.name) ?? null;
  return {
    name: rule.name,
    description: stored?.description || rule.description,
    mode: stored?.mode ?? rule.mode,
    priority: stored === null || stored.priority === OWN_PRIORITY ? rule.priority : stored.priority,
    conditions: rule.parts.map((part) => ({
      when: part.when,
      action: stored?.action ?? part.action,
      words: [
        part.directions.join(", "),
        part.replyCode === 250 ? "" : String(part.replyCode),
        part.prefix ?? "",
      ]
        .filter((w) => w !== "")
        .join(" · "),
    })),
    where: shippedWhere(rule, stored, policy),
    stored,
  };
}

function shownOwn(rule: RuleSettings): Shown {
  const code = rule.code === undefined ? "" : String(rule.code);
  return {
    name: rule.name,
    description: rule.description,
    mode: rule.mode,
    priority: rule.priority,
    conditions: [{ when: rule.when ?? "", action: rule.action ?? "accept", words: code }],
    where: ownWhere(rule),
    stored: rule,
  };
}

function ModeSwitch({ rule }: { readonly rule: Shown }) {
  const action = `/rules/${encodeURIComponent(rule.name)}/mode`;
  return (
    <form {...inPlace(action)} class="segmented">
      {MODES.map(({ mode, label, title }) => (
        <button
          type="submit"
          id={`mode-${rule.name}-${mode}`}
          name="mode"
          value={mode}
          title={title}
          class={`mode-${mode}`}
          aria-pressed={rule.mode === mode ? "true" : "false"}
        >
          {label}
          <span class="visually-hidden"> {rule.name}</span>
        </button>
      ))}
    </form>
  );
}

const SHOWN_CONDITIONS = 3;

function Conditions({ rule }: { readonly rule: Shown }) {
  const line = (one: Shown["conditions"][number]) => (
    <li>
      <code class="condition">
        <Foreign text={one.when} max={300} />
      </code>
      <span class="condition-then">
        <Icon name="arrow" size={13} /> <ActionBadge action={one.action} />
        {one.words !== "" && <span class="muted">{one.words}</span>}
      </span>
    </li>
  );
  return (
    <>
      <ul class="conditions">{rule.conditions.slice(0, SHOWN_CONDITIONS).map(line)}</ul>
      {rule.conditions.length > SHOWN_CONDITIONS && (
        <details class="more-conditions">
          <summary>{rule.conditions.length - SHOWN_CONDITIONS} more conditions</summary>
          <ul class="conditions">{rule.conditions.slice(SHOWN_CONDITIONS).map(line)}</ul>
        </details>
      )}
    </>
  );
}

function RuleItem({ rule, own }: { readonly rule: Shown; readonly own: boolean }) {
  return (
    <li class={`rule mode-is-${rule.mode}`} id={`rule-${rule.name}`}>
      <div class="rule-head">
        <div class="rule-title">
          <h3>{rule.name}</h3>
          {!own && rule.stored !== null && <Badge tone="info">changed</Badge>}
          <span class="muted rule-where">
            {rule.where}, order {rule.priority}
          </span>
        </div>
        <div class="rule-actions">
          {own && <RowLinks base="/rules" itemKey={rule.name} />}
          {!own && rule.stored !== null && (
            <form {...inPlace(`/rules/${encodeURIComponent(rule.name)}/reset`)}>
              <button type="submit" class="quiet small">
                <Icon name="retry" size={15} /> Back to as shipped
              </button>
            </form>
          )}
          <ModeSwitch rule={rule} />
        </div>
      </div>
      {rule.description !== "" && (
        <p class="rule-words">
          <Foreign text={rule.description} max={500} />
        </p>
      )}
      <Conditions rule={rule} />
    </li>
  );
}

function getRules(c: ConsoleContext): Promise<Response> {
  const { policy } = c.get("services").settings.current();
  const shipped = SHIPPED_RULES.map((rule) => shownShipped(rule, policy)).toSorted(
    (a, b) => a.priority - b.priority,
  );
  const own = policy.rule
    .filter((rule) => shippedRule(rule.name) === null)
    .map(shownOwn)
    .toSorted((a, b) => a.priority - b.priority);
  return consolePage(
    c,
    { title: "Rules", nav: "rules" },
    <>
      <PageHeader
        title="Rules"
        lead="Checks find facts; rules decide on them, in order. The first that accepts, refuses or sets aside has the last word."
      >
        <a class="button" href="/rules/new">
          <Icon name="plus" /> Add rule
        </a>
      </PageHeader>
      <Card title="Your rules" flush>
        {own.length === 0 ? (
          <EmptyState
            icon="rule"
            title="No rule of your own yet"
            action={{ href: "/rules/new", label: "Write a rule" }}
          >
            Start one in “observe”: the message log then shows what it would have done, and nothing happens to
            mail.
          </EmptyState>
        ) : (
          <ul class="rules">
            {own.map((rule) => (
              <RuleItem rule={rule} own />
            ))}
          </ul>
        )}
      </Card>
      <Card title="Rules that come with Gatepost" flush>
        <ul class="rules">
          {shipped.map((rule) => (
            <RuleItem rule={rule} own={false} />
          ))}
        </ul>
      </Card>
    </>,
  );
}

async function postMode(c: ConsoleContext): Promise<Response> {
  const name = c.req.param("key") ?? "";
  const mode = c.get("form").get("mode");
  const { settings } = c.get("services");
  const stored = settings.current().policy.rule.find((rule) => rule.name === name);
  if (stored === undefined && shippedRule(name) === null)
    return errorPage(c, 404, "No such rule", `There is no rule “${name.slice(0, 80)}”.`);
  if (!isMode(mode)) return errorPage(c, 422, "Nothing was changed", "A rule is enforced, observed or off.");
  const result = await settings.change(
    { section: "rule", key: name },
    (now) => ({ ok: true, input: now === null ? { name, mode } : { ...now, mode } }),
    actorOf(c),
  );
  if (!result.ok)
    leaveNotice(c, "bad", result.problems.map((one) => `${one.path} ${one.message}`).join("; "));
  else {
    const warnings = result.warnings.filter((one) => one.startsWith(`rule ${name}`));
    const warning = warnings.length === 0 ? "" : ` Mind: ${warnings.join("; ")}.`;
    const words = { enforce: "is enforced", observe: "is only observed", off: "is off" }[mode];
    leaveNotice(
      c,
      warning === "" ? "good" : "warn",
      `Rule ${name} ${words} from the next message on.${warning}`,
    );
  }
  return c.redirect("/rules", 303);
}

async function postReset(c: ConsoleContext): Promise<Response> {
  const name = c.req.param("key") ?? "";
  if (shippedRule(name) === null)
    return errorPage(c, 404, "No such rule", "Only shipped rules can be put back.");
  const removed = await c.get("services").settings.remove("rule", name, actorOf(c));
  leaveNotice(
    c,
    removed ? "good" : "info",
    removed ? `Rule ${name} is as shipped again.` : "It was as shipped already.",
  );
  return c.redirect("/rules", 303);
}

export const ruleRoutes: readonly Route[] = [
  forAdministrator.get("/rules", getRules),
  forAdministrator.post("/rules/:key/mode", postMode),
  forAdministrator.post("/rules/:key/reset", postReset),
  ...itemRoutes({
    section: "rule",
    base: "/rules",
    nav: "rules",
    noun: "rule",
    listTitle: "Rules",
    groups: () => ruleGroups(),
    optionalObjects: RULE_OBJECTS,
    finish(input, _c, stored) {
      finishRule(input, stored);
      return [];
    },
    keyFields: ["name"],
    blank: () => ({ mode: "observe", priority: OWN_PRIORITY, action: "quarantine" }),
    aside: () => <ConditionHelp />,
    lead: (stored) =>
      stored === null
        ? "New rules start in “observe”, so that you can see in the log what they would do."
        : "",
    removeWords: "Messages it decided about keep its name in the log.",
  }),
];
