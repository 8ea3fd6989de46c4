// One identity, or a whole sender: how much it sends, what of its limits is used, whether it is locked and why; lock and unlock.
import { addressKey } from "../../message/address.ts";
import type { IdentityDetail, LockEvent, LockKey } from "../../outgoing/outgoing.ts";
import { loginOf } from "../../policy/sender-index.ts";
import type { ConsoleContext } from "../console-env.ts";
import {
  isAutomatic,
  type KnownParty,
  lockParty,
  partyInWords,
  partyOf,
  refuseUnlock,
  unlockParty,
} from "../lock-actions.ts";
import { Badge } from "../parts/badge.tsx";
import { DayChart } from "../parts/day-chart.tsx";
import { consolePage } from "../parts/document.tsx";
import { clip, Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { UsageBars } from "../parts/usage-bar.tsx";
import { forRoles, type Route } from "../route.ts";
import { count } from "../words/amount.ts";
import { bulkInWords, lockEventWords } from "../words/lock-words.ts";
import { eachIdentityInWords } from "../words/sender-words.ts";
import type { Tone } from "../words/state.ts";
import { errorPage } from "./error-page.tsx";
import { About, Lead } from "./identity-about.tsx";
import { identityUrl, keyOf, keyQuery } from "./identity-address.ts";
import { SendingState } from "./identity-state.tsx";

const MAX_EVENTS = 50;

function KeyFields({ party }: { readonly party: KnownParty }) {
  return (
    <>
      {[...keyQuery(party.key)].map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
    </>
  );
}

function UnlockForm({ party, refused }: { readonly party: KnownParty; readonly refused: string | null }) {
  if (refused !== null)
    return (
      <Card title="Unlock" id="unlock">
        <p class="muted">{refused}</p>
      </Card>
    );
  return (
    <Card title="Unlock" id="unlock">
      <form method="post" action="/identity/unlock" class="stacked">
        <KeyFields party={party} />
        <p>It may send again at once. What was refused before is not sent by this.</p>
        <button type="submit">
          <Icon name="unlock" /> Unlock
        </button>
      </form>
    </Card>
  );
}

function LockForm({ party, again }: { readonly party: KnownParty; readonly again: boolean }) {
  const { sender, network } = party;
  const shared = party.key.identity === null && (sender === null ? network !== null : sender.kind !== "user");
  return (
    <Card title={again ? "Lock until a person unlocks" : "Lock"} id="lock">
      <form method="post" action="/identity/lock" class="stacked">
        <KeyFields party={party} />
        {shared && (
          <Notice tone="warn">
            Everybody behind this sender is locked with it. One identity can be locked alone.
          </Notice>
        )}
        <label for="reason">Reason</label>
        <input id="reason" name="reason" maxlength={300} autocomplete="off" placeholder="Password stolen" />
        <p class="field-help">
          Its mail is refused from then on, also on open connections, until a person unlocks.
        </p>
        <button type="submit" class="danger">
          <Icon name="lock" /> Lock
        </button>
      </form>
    </Card>
  );
}

interface LockFormsProps {
  readonly party: KnownParty;
  /** Why whoever looks may not unlock it. */
  readonly refused: string | null;
}

/** A lock that ends by itself can be made one that does not. */
function LockForms({ party, refused }: LockFormsProps) {
  const { lock } = party.detail;
  if (lock === null) return <LockForm party={party} again={false} />;
  return (
    <>
      <UnlockForm party={party} refused={refused} />
      {isAutomatic(lock) && lock.until !== null && <LockForm party={party} again />}
    </>
  );
}

const EVENT_TONES: Readonly<Record<LockEvent["what"], Tone>> = {
  locked: "bad",
  unlocked: "good",
  "timed-out": "info",
};

interface HistoryProps {
  readonly events: readonly LockEvent[];
  /** It has identities, whose locks are their own. */
  readonly isSender: boolean;
}

function History({ events, isSender }: HistoryProps) {
  return (
    <Card title="Locks so far" aside={<span class="muted">newest first</span>}>
      {events.length === 0 ? (
        <p class="muted">
          {isSender
            ? "The sender as a whole was never locked. The locks of one identity are on that identity’s own page."
            : "It was never locked."}
        </p>
      ) : (
        <ol class="timeline">
          {events.slice(0, MAX_EVENTS).map((event) => (
            <li class={`attempt tone-${EVENT_TONES[event.what]}`}>
              <div class="attempt-head">
                <Moment at={event.at} style="full" />
                <span class="muted">
                  <Foreign text={lockEventWords(event)} max={200} />
                </span>
              </div>
              <Foreign text={event.words} max={400} />
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function Bulk({ detail }: { readonly detail: IdentityDetail }) {
  const { tone, sentence, reasons, figures } = bulkInWords(detail.bulk);
  return (
    <Card title="Bulk mail" aside={<Badge tone={tone}>{sentence}</Badge>}>
      {reasons.length === 0 ? (
        <p>Nothing is unusual about its mail now.</p>
      ) : (
        <ul class="bullets">
          {reasons.map((reason) => (
            <li>
              <Foreign text={reason} max={300} />
            </li>
          ))}
        </ul>
      )}
      {figures.length > 0 && <p class="muted">{`${figures.join("; ")}.`}</p>}
    </Card>
  );
}

/** The log-ins of this person or program, the refused ones too. */
function LogIns({ c, party }: { readonly c: ConsoleContext; readonly party: KnownParty }) {
  const login = party.sender === null ? null : loginOf(party.sender);
  if (login === null || (party.key.identity !== null && party.key.identity !== login)) return null;
  const traces = c.get("services").logins.of(addressKey(login));
  return (
    <Card title="Log-ins" id="log-ins" aside={<span class="muted">by network, newest first</span>}>
      {traces.length === 0 ? (
        <p class="muted">Nobody has tried to log in as {login} lately.</p>
      ) : (
        <ul class="bullets">
          {traces.map((trace) => (
            <li>
              <strong class="mono">{trace.network}</strong>:{" "}
              {trace.takenAt > 0 ? (
                <>
                  logged in <Moment at={trace.takenAt} style="relative" /> ({count(trace.taken)} in all)
                </>
              ) : (
                "never logged in"
              )}
              {trace.refusedAt > 0 && (
                <>
                  ; last refused <Moment at={trace.refusedAt} style="relative" /> ({count(trace.refused)} in
                  all): <Foreign text={trace.cause} max={200} />
                </>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Figures({ detail }: { readonly detail: IdentityDetail }) {
  const figures: readonly (readonly [string, number, string, string])[] = [
    ["Messages", detail.messagesDay, "info", "in 24 hours"],
    ["Recipients", detail.recipientsDay, "info", "in 24 hours"],
    ["Spam or virus", detail.spamDay, detail.spamDay > 0 ? "bad" : "good", "in 24 hours"],
    [
      "Refused or put off",
      detail.refusedDay,
      detail.refusedDay > 0 ? "warn" : "good",
      "in 24 hours, besides spam and viruses",
    ],
  ];
  return (
    <div class="figures">
      {figures.map(([label, value, tone, span]) => (
        <div class={`figure edge-${tone}`}>
          <span class="figure-label">{label}</span>
          <span class="figure-value">{count(value)}</span>
          <span class="figure-words">{span}</span>
        </div>
      ))}
    </div>
  );
}

function Actions({ party }: { readonly party: KnownParty }) {
  const { key, sender } = party;
  return (
    <>
      <a
        class="button quiet"
        href={`/quarantine?${new URLSearchParams({ direction: "outgoing", sender: key.sender })}`}
      >
        <Icon name="quarantine" /> Quarantine
      </a>
      {key.identity === null && (
        <a class="button quiet" href={`/identities?${new URLSearchParams({ sender: key.sender })}`}>
          <Icon name="identity" /> Identities
        </a>
      )}
      {sender !== null && (
        <a class="button quiet" href={`/senders/${encodeURIComponent(key.sender)}/edit`}>
          <Icon name="pencil" /> {key.identity === null ? "Settings" : "Settings of the sender"}
        </a>
      )}
    </>
  );
}

function noSuchParty(c: ConsoleContext): Promise<Response> {
  return errorPage(
    c,
    404,
    "No such identity",
    "It has sent nothing that is remembered, or its sender is gone.",
  );
}

/** Mail was refused in the name of somebody who never sent any: the sender that name came from can be looked at. */
async function senderInstead(c: ConsoleContext, { sender, identity }: LockKey): Promise<Response> {
  const whole = { sender, identity: null };
  if (identity === null || (await partyOf(c, whole)) === null) return noSuchParty(c);
  leaveNotice(c, "info", `${clip(identity, 120)} has sent nothing that is remembered. This is the sender.`);
  return c.redirect(identityUrl(whole), 303);
}

async function getIdentity(c: ConsoleContext): Promise<Response> {
  const key = keyOf((name) => c.req.query(name));
  const party = key === null ? null : await partyOf(c, key);
  if (party === null) return key === null ? noSuchParty(c) : senderInstead(c, key);
  const { detail } = party;
  const whole = party.key.identity === null;
  const refused = await refuseUnlock(c, detail.lock);
  return consolePage(
    c,
    {
      title: `${whole ? "Sender" : "Identity"} ${clip(party.key.identity ?? party.key.sender, 60)}`,
      nav: whole ? "senders" : "identities",
    },
    <>
      <PageHeader
        crumb={whole ? { href: "/senders", label: "Senders" } : { href: "/identities", label: "Identities" }}
        title={<Foreign text={party.key.identity ?? party.key.sender} max={160} />}
        lead={<Lead party={party} />}
      >
        <Actions party={party} />
      </PageHeader>
      <div {...liveRegion({ id: "identity", url: identityUrl(party.key), seconds: 10 })}>
        <SendingState c={c} party={party} />
        <Figures detail={detail} />
        <div class="identity-grid">
          {detail.lock !== null && <LockForms party={party} refused={refused} />}
          <div class="message-main">
            <Card title="Messages by day" aside={<span class="muted">30 days, in UTC</span>}>
              <DayChart days={detail.days} spamIsTaken={party.sender?.quarantine_response === "accepted"} />
            </Card>
            <Card title="Limits">
              <UsageBars
                limits={detail.limits}
                each={whole && party.held !== null ? eachIdentityInWords(party.held.identity_limits) : ""}
              />
            </Card>
            {party.key.identity !== null && <Bulk detail={detail} />}
            <LogIns c={c} party={party} />
            <History events={detail.history} isSender={party.key.identity === null} />
          </div>
          {detail.lock === null && <LockForms party={party} refused={null} />}
          <About c={c} party={party} />
        </div>
      </div>
    </>,
  );
}

async function postLock(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const key = keyOf((name) => form.get(name));
  const party = key === null ? null : await partyOf(c, key);
  if (party === null) return noSuchParty(c);
  const locked = await lockParty(c, party, form.get("reason") ?? "");
  if (locked) leaveNotice(c, "good", `Locked: ${partyInWords(party.key)}. Its mail is refused from now on.`);
  else leaveNotice(c, "info", "It was locked already.");
  return c.redirect(identityUrl(party.key), 303);
}

async function postUnlock(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const key = keyOf((name) => form.get(name));
  const party = key === null ? null : await partyOf(c, key);
  if (party === null) return noSuchParty(c);
  const refused = await refuseUnlock(c, party.detail.lock);
  if (refused !== null) return errorPage(c, 403, "It stays locked", refused);
  const unlocked = await unlockParty(c, party.key);
  leaveNotice(
    c,
    unlocked ? "good" : "info",
    unlocked ? `Unlocked: ${partyInWords(party.key)}. It may send again.` : "It was not locked any more.",
  );
  return c.redirect(identityUrl(party.key), 303);
}

const keepers = forRoles("administrator", "domain-administrator");

export const identityRoutes: readonly Route[] = [
  keepers.get("/identity", getIdentity),
  keepers.post("/identity/lock", postLock),
  keepers.post("/identity/unlock", postUnlock),
];
