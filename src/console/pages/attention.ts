// What needs a person, gathered for the overview, most pressing first. Reads only what is at hand or given; asks no database.
import type { QuarantinedSender } from "../../store/quarantine-item.ts";
import type { UnseenUndeliverable } from "../../store/quarantine-undeliverable.ts";
import { UNDELIVERABLE_ALARM } from "../../vault/watch-undeliverable.ts";
import { type AlarmPlace, alarmPlaces } from "../alarm-places.ts";
import { clip } from "../parts/foreign-text.tsx";
import { alarmsBesideListeners, type ConsoleServices } from "../services.ts";
import { count, counted } from "../words/amount.ts";
import { span } from "../words/time.ts";

export interface Concern {
  readonly tone: "bad" | "warn" | "info";
  readonly title: string;
  readonly words: string;
  readonly href: string;
  readonly action: string;
  /** Other pages that mend it. */
  readonly also?: readonly AlarmPlace[];
}

const OLD_QUEUE_MS = 60 * 60_000;
const FRESH_MS = 24 * 60 * 60_000;

interface State {
  readonly services: ConsoleServices;
  readonly counts: {
    readonly queued: number;
    readonly held: number;
    readonly oldestReceivedAt: number | null;
  };
  readonly undeliverable: UnseenUndeliverable;
  /** Who has mail in the outgoing quarantine, the most first. */
  readonly stopped: readonly QuarantinedSender[];
  readonly now: number;
}

/** Alarms and broken listeners first, then what waits too long, then what is not set up yet. */
export function attentionOf(state: State): readonly Concern[] {
  return [...broken(state), ...returned(state), ...waiting(state), ...missing(state)];
}

/** Accepted mail that could not be delivered and that nobody has looked at; stands instead of its alarm, which leads nowhere. */
function returned({ undeliverable: { items, first }, now }: State): readonly Concern[] {
  if (first === null) return [];
  const said = first.server === "" ? first.answer : `${first.server} said “${first.answer}”`;
  return [
    {
      tone: "bad",
      title: `${counted(items, "message")} could not be delivered`,
      words: `Kept in the quarantine, and nobody has looked. The oldest, ${span(now - first.failedAt)} ago, is for ${clip(first.recipient, 120)}: ${clip(said, 300)}`,
      href: "/quarantine?class=undeliverable",
      action: "Look",
    },
  ];
}

function waysOut([first, ...also]: readonly [AlarmPlace, ...AlarmPlace[]]) {
  return { ...first, also };
}

function broken({ services, now }: State): readonly Concern[] {
  const others = alarmsBesideListeners(services).filter(({ name }) => name !== UNDELIVERABLE_ALARM);
  const alarms = others.map(
    (alarm): Concern => ({
      tone: "bad",
      title: alarm.words,
      words: `Alarm ${alarm.name}, for ${span(now - alarm.since)}.`,
      ...waysOut(alarmPlaces(alarm, services.settings.current().policy)),
    }),
  );
  const listeners = services
    .listeners()
    .filter((listener) => listener.state === "failed")
    .map(
      (listener): Concern => ({
        tone: "bad",
        title: `Listener ${listener.name} does not listen`,
        words: listener.words,
        href: `/listeners/${encodeURIComponent(listener.name)}/edit`,
        action: "Edit",
      }),
    );
  return [...alarms, ...listeners];
}

function endsOf(all: number, byHand: number): string {
  if (byHand === 0) return all === 1 ? "It ends by itself." : "All of them end by themselves.";
  if (byHand === all) return "Only a person unlocks.";
  return `${count(byHand)} of ${count(all)} only a person unlocks.`;
}

/** Locks that only a person lifts are waited on by somebody; those with a time-out are news. */
function locked({ services }: State): readonly Concern[] {
  const locks = services.outgoing.locks();
  const byHand = locks.filter(({ until }) => until === null).length;
  const [first] = locks.toSorted((a, b) => b.since - a.since);
  if (first === undefined) return [];
  const who = `${first.identity ?? first.sender}${locks.length > 1 ? ` and ${count(locks.length - 1)} more` : ""}`;
  return [
    {
      tone: byHand > 0 ? "bad" : "warn",
      title: `Locked: ${clip(who, 120)}`,
      words: `${clip(first.words, 200)}. ${endsOf(locks.length, byHand)}`,
      href: locks.some(({ identity }) => identity !== null) ? "/identities?locked=yes" : "/senders",
      action: locks.some(({ identity }) => identity !== null) ? "Identities" : "Senders",
    },
  ];
}

/** Outgoing mail that went to the quarantine lately; what has lain there for long was seen before. */
function stopped({ stopped: senders, now }: State): readonly Concern[] {
  const [first, ...others] = senders.filter(({ latestAt }) => now - latestAt < FRESH_MS);
  if (first === undefined) return [];
  const also = others.length === 0 ? "" : ` ${counted(others.length, "other sender")} too.`;
  return [
    {
      tone: "warn",
      title: `Outgoing mail stopped: ${clip(first.sender, 120)}`,
      words: `${counted(first.items, "message")} in quarantine, the last ${span(now - first.latestAt)} ago.${also}`,
      href: "/quarantine?direction=outgoing",
      action: "Quarantine",
    },
  ];
}

function waiting(state: State): readonly Concern[] {
  const { counts, now } = state;
  const concerns: Concern[] = [...locked(state), ...stopped(state)];
  if (counts.oldestReceivedAt !== null && now - counts.oldestReceivedAt > OLD_QUEUE_MS && counts.queued > 0) {
    concerns.push({
      tone: "warn",
      title: `Mail has waited for ${span(now - counts.oldestReceivedAt)}`,
      words: `${counted(counts.queued, "recipient")} in the queue. The queue says what the far servers answered.`,
      href: "/queue",
      action: "Queue",
    });
  }
  if (counts.held > 0) {
    concerns.push({
      tone: "warn",
      title: `${counted(counts.held, "recipient")} held`,
      words: "Held mail stays until someone lets it go on or drops it.",
      href: "/queue",
      action: "Queue",
    });
  }
  return concerns;
}

function missing({ services }: State): readonly Concern[] {
  const { policy } = services.settings.current();
  const concerns: Concern[] = [];
  if (policy.domain.length === 0) {
    concerns.push({
      tone: "info",
      title: "Add your first domain",
      words: "Until then every message from outside is refused: this gateway receives for nobody.",
      href: "/domains/new",
      action: "Add domain",
    });
  }
  const noRoute = policy.domain.filter((domain) => domain.enabled && domain.routes.length === 0);
  if (noRoute.length > 0) {
    concerns.push({
      tone: "warn",
      title: `${noRoute[0]?.name ?? ""}${noRoute.length > 1 ? ` and ${count(noRoute.length - 1)} more` : ""} has no mail server`,
      words:
        policy.delivery.smarthost === null
          ? "Without a route its mail goes where its MX points; where that is this very gateway, it waits here."
          : "Without a route what comes in for it waits here until its time is over.",
      href: `/domains/${encodeURIComponent(noRoute[0]?.name ?? "")}/edit`,
      action: "Add route",
    });
  }
  const { excepted } = policy.networks;
  if (excepted.length > 0) {
    concerns.push({
      tone: "warn",
      title: `${excepted[0] ?? ""}${excepted.length > 1 ? ` and ${count(excepted.length - 1)} more` : ""} is outside outgoing control`,
      words: "Mail from there is not counted, limited, locked or reported, whoever sends it.",
      href: "/settings",
      action: "Networks",
    });
  }
  if (policy.settings.postmaster === null) {
    concerns.push({
      tone: "info",
      title: "Name a postmaster",
      words: "Notices to the administrator need an address to go to.",
      href: "/settings/general",
      action: "Set",
    });
  }
  return concerns;
}
