// The overview: how mail flows now, what needs a person, and what came lately.
import type { Child } from "hono/jsx";
import { bytesInWords } from "../../observe/size-words.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { Badge } from "../parts/badge.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { LogTable } from "../parts/log-table.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { SERIES, VolumeChart, type VolumePoint } from "../parts/volume-chart.tsx";
import { forAccounts, type Route } from "../route.ts";
import type { ListenerStatus } from "../services.ts";
import { count } from "../words/amount.ts";
import { span } from "../words/time.ts";
import { attentionOf, type Concern } from "./attention.ts";

const HOUR_MS = 3_600_000;
const RECENT_LINES = 8;
const STOPPED_SENDERS = 20;

const RANGES = {
  "24h": { label: "24 hours", lengthMs: 24 * HOUR_MS, bucketMs: HOUR_MS },
  "7d": { label: "7 days", lengthMs: 7 * 24 * HOUR_MS, bucketMs: 6 * HOUR_MS },
  "30d": { label: "30 days", lengthMs: 30 * 24 * HOUR_MS, bucketMs: 24 * HOUR_MS },
} as const;
type RangeName = keyof typeof RANGES;

function rangeName(text: string | undefined): RangeName {
  return text === "7d" || text === "30d" ? text : "24h";
}

function Figure(props: {
  readonly label: string;
  readonly value: string;
  readonly tone: string;
  readonly words: Child;
  readonly href: string;
}) {
  return (
    <a class={`figure edge-${props.tone}`} href={props.href}>
      <span class="figure-label">{props.label}</span>
      <span class="figure-value">{props.value}</span>
      <span class="figure-words">{props.words}</span>
    </a>
  );
}

function totals(points: readonly VolumePoint[]): readonly number[] {
  return SERIES.map((series) =>
    points
      .filter((point) => series.states.includes(point.state))
      .reduce((sum, point) => sum + point.count, 0),
  );
}

function share(part: number, whole: number): string {
  if (whole === 0) return "nothing yet";
  const percent = (part / whole) * 100;
  return `${percent > 0 && percent < 1 ? "under 1" : Math.round(percent)} % of all`;
}

function RangeSwitch({ current }: { readonly current: RangeName }) {
  return (
    <nav class="segmented" aria-label="Time range">
      {Object.entries(RANGES).map(([name, range]) => (
        <a href={`/?range=${name}`} aria-current={name === current ? "true" : undefined}>
          {range.label}
        </a>
      ))}
    </nav>
  );
}

const CONCERN_ICONS: Readonly<Record<Concern["tone"], IconName>> = { bad: "bad", warn: "warn", info: "info" };

function Attention({ concerns }: { readonly concerns: readonly Concern[] }) {
  if (concerns.length === 0)
    return (
      <div class="all-well">
        <Icon name="good" size={20} /> Nothing needs you. Mail is flowing.
      </div>
    );
  return (
    <ul class="concerns">
      {concerns.map((concern) => (
        <li class={`concern tone-${concern.tone}`}>
          <Icon name={CONCERN_ICONS[concern.tone]} size={18} />
          <div>
            <strong>{concern.title}</strong>
            <p>{concern.words}</p>
          </div>
          {[concern, ...(concern.also ?? [])].map(({ href, action }) => (
            <a class="button quiet" href={href}>
              {action}
            </a>
          ))}
        </li>
      ))}
    </ul>
  );
}

const LISTENER_STATES: Readonly<
  Record<ListenerStatus["state"], { tone: "good" | "bad" | "quiet"; label: string }>
> = {
  listening: { tone: "good", label: "Listening" },
  failed: { tone: "bad", label: "Failed" },
  off: { tone: "quiet", label: "Off" },
};

function Listeners({ listeners }: { readonly listeners: readonly ListenerStatus[] }) {
  return (
    <ul class="listener-list">
      {listeners.map((listener) => (
        <li>
          <span>
            <strong>{listener.name}</strong> <span class="mono muted">{listener.listen}</span>
          </span>
          <span class="listener-state">
            {listener.state === "listening" && <span class="muted">{count(listener.connections)} open</span>}
            <Badge tone={LISTENER_STATES[listener.state].tone}>{LISTENER_STATES[listener.state].label}</Badge>
          </span>
        </li>
      ))}
    </ul>
  );
}

async function getOverview(c: ConsoleContext): Promise<Response> {
  const role = accountOf(c).role;
  if (role !== "administrator") return c.redirect(role === "user" ? "/account" : "/quarantine", 303);
  const services = c.get("services");
  const now = services.clock.now();
  const name = rangeName(c.req.query("range"));
  const { lengthMs, bucketMs } = RANGES[name];
  const sinceMs = Math.floor((now - lengthMs) / bucketMs + 1) * bucketMs;
  const [points, counts, lines, stopped, undeliverable] = await Promise.all([
    services.messageLog.volume({ sinceMs, bucketMs }),
    services.queue.counts(),
    services.messageLog.search({ limit: RECENT_LINES }),
    services.quarantine.senders({ limit: STOPPED_SENDERS }),
    services.quarantine.undeliverable(),
  ]);
  const sums = totals(points);
  const all = sums.reduce((sum, n) => sum + n, 0);
  const [delivered = 0, , quarantined = 0, refused = 0, putOff = 0] = sums;
  const figures = services.figures();
  const hasDomain = services.settings.current().policy.domain.length > 0;
  const concerns = attentionOf({ services, counts, stopped, undeliverable, now });
  const oldest =
    counts.oldestReceivedAt === null ? "nothing waits" : `oldest ${span(now - counts.oldestReceivedAt)}`;
  const range = RANGES[name].label;
  return consolePage(
    c,
    { title: "Overview", nav: "overview" },
    <>
      <PageHeader title="Overview" lead={`What happened to mail at ${services.hostname}.`}>
        <RangeSwitch current={name} />
      </PageHeader>
      <div {...liveRegion({ id: "overview", url: `/?range=${name}`, seconds: 10 })}>
        <div class="figures">
          <Figure
            label="Delivered"
            value={count(delivered)}
            tone="good"
            words={share(delivered, all)}
            href="/messages?state=delivered"
          />
          <Figure
            label="Quarantined"
            value={count(quarantined)}
            tone="warn"
            words={share(quarantined, all)}
            href="/quarantine"
          />
          <Figure
            label="Refused or failed"
            value={count(refused)}
            tone="bad"
            words={share(refused, all)}
            href="/messages?state=refused"
          />
          {putOff > 0 && (
            <Figure
              label="Put off"
              value={count(putOff)}
              tone="held"
              words={`${share(putOff, all)}; asked to come again`}
              href="/messages?state=put-off"
            />
          )}
          <Figure
            label="In the queue"
            value={count(counts.queued + counts.held)}
            tone={counts.held > 0 ? "held" : "info"}
            words={counts.held > 0 ? `${count(counts.held)} held, ${oldest}` : oldest}
            href="/queue"
          />
        </div>
        <div class="overview-grid">
          <Card
            title={`Recipients in the last ${range}`}
            aside={<span class="muted">{count(all)} in all</span>}
          >
            <VolumeChart points={points} range={{ sinceMs, untilMs: now, bucketMs }} />
          </Card>
          <Card title="Needs attention" flush>
            <Attention concerns={concerns} />
          </Card>
        </div>
        <div class="overview-grid start">
          <Card
            title="Latest messages"
            flush
            aside={
              <a href="/messages">
                Message log <Icon name="arrow" size={14} />
              </a>
            }
          >
            {lines.length === 0 ? (
              <EmptyState
                icon="mail"
                title="No mail yet"
                {...(hasDomain ? {} : { action: { href: "/domains/new", label: "Add a domain" } })}
              >
                Messages appear here as soon as the first one arrives.
              </EmptyState>
            ) : (
              <LogTable lines={lines} brief />
            )}
          </Card>
          <Card
            title="Listeners"
            flush
            aside={
              <a href="/listeners">
                Edit <Icon name="arrow" size={14} />
              </a>
            }
          >
            <Listeners listeners={services.listeners()} />
            <p class="card-foot muted">
              Up {span(now - figures.startedAt)} · {count(figures.connections)} connections ·{" "}
              {bytesInWords(figures.memoryBytes)} memory
            </p>
          </Card>
        </div>
      </div>
    </>,
  );
}

export const overviewRoutes: readonly Route[] = [forAccounts.get("/", getOverview)];
