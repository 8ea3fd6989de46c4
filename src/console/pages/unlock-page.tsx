// The page behind the one-time link of a lock alert. Looking changes nothing, so that link scanners may; only the button unlocks.
// No login: the token is the right. Nothing on it may lead the address, which is the token, anywhere else.
import type { Lock, LockKey } from "../../outgoing/outgoing.ts";
import type { LinkState } from "../../store/one-time-links.ts";
import { audit } from "../actor.ts";
import { type ConsoleContext, clientIp } from "../console-env.ts";
import { isAutomatic, lockInForce, partyInWords, unlockParty } from "../lock-actions.ts";
import { plainPage } from "../parts/document.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Moment } from "../parts/moment.tsx";
import { Notice } from "../parts/notice.tsx";
import { Details } from "../parts/page-header.tsx";
import { forEveryone, type Route } from "../route.ts";
import { clientKey } from "../security/attempt-throttle.ts";

/** Tokens are 256 bits in base64url; anything else is never looked up. */
const TOKEN = /^[A-Za-z0-9_-]{20,100}$/;
const BY = "one-time unlock link";

interface Sentence {
  readonly title: string;
  readonly words: string;
}

/** What to say of a link that does not unlock (any more). */
const SPENT: Readonly<Record<Exclude<LinkState["state"], "valid">, Sentence>> = {
  used: {
    title: "This link was used",
    words:
      "It works once, and somebody pressed its button already. The console shows whether the lock is lifted.",
  },
  expired: {
    title: "This link has expired",
    words: "Its time is over. Unlock in the console, under Identities; the next lock brings a new link.",
  },
  unknown: {
    title: "This link is not known",
    words: "It is mistyped, cut off, or was made by another gateway. Copy it whole from the mail.",
  },
};

function firstUpper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function keyOf({ subject }: LinkState): LockKey | null {
  const sender = subject?.sender ?? "";
  if (sender === "") return null;
  const identity = subject?.identity ?? "";
  return { sender, identity: identity === "" ? null : identity };
}

/** The lock in force, and whether it is another one than the link was made for: a link of last week does not lift today's lock. */
function lockOf(
  c: ConsoleContext,
  key: LockKey,
  { subject }: LinkState,
): { readonly lock: Lock | null; readonly isLater: boolean } {
  const lock = lockInForce(c, key);
  return { lock, isLater: lock !== null && String(lock.since) !== subject?.since };
}

function say(
  c: ConsoleContext,
  { title, words }: Sentence,
  status: 200 | 403 | 404 | 410 | 429,
): Promise<Response> {
  return plainPage(
    c,
    { title, status },
    <>
      <h1>{title}</h1>
      <p>
        <Foreign text={words} max={600} />
      </p>
    </>,
  );
}

function sayState(c: ConsoleContext, state: keyof typeof SPENT): Promise<Response> {
  return say(c, SPENT[state], state === "unknown" ? 404 : 410);
}

/** The refusal of a client that tries too many links, or null. */
async function tooMany(c: ConsoleContext): Promise<Response | null> {
  if (c.get("gatekeeper").links.take(clientKey(clientIp(c)))) return null;
  const words = "Wait a minute, then open the link again. Nothing was changed.";
  return await say(c, { title: "Too many requests", words }, 429);
}

function tokenOf(c: ConsoleContext): string | null {
  const token = c.req.param("token") ?? "";
  return TOKEN.test(token) ? token : null;
}

function Question(props: { readonly url: string; readonly lock: Lock; readonly words: string }) {
  const { lock } = props;
  return (
    <>
      <h1>Unlock?</h1>
      <p>
        <strong>
          <Foreign text={props.words} max={400} />
        </strong>{" "}
        is locked and cannot send.
      </p>
      <Details
        rows={[
          ["Why", <Foreign text={lock.words} max={400} empty="no reason was given" />],
          ["Since", <Moment at={lock.since} style="full" />],
          ["By", <Foreign text={lock.by} max={100} />],
          ["Ends", lock.until === null ? "when a person unlocks" : <Moment at={lock.until} style="full" />],
        ]}
      />
      <Notice tone="warn">
        Unlock when the cause is gone: the password changed, the computer or the web form cleaned.
      </Notice>
      <form method="post" action={props.url} class="stacked">
        <button type="submit">Unlock</button>
      </form>
    </>
  );
}

async function getUnlock(c: ConsoleContext): Promise<Response> {
  const refusal = await tooMany(c);
  if (refusal !== null) return refusal;
  const token = tokenOf(c);
  if (token === null) return sayState(c, "unknown");
  const link = await c.get("services").links.look("unlock", token);
  if (link.state !== "valid") return sayState(c, link.state);
  const key = keyOf(link);
  if (key === null) return notLocked(c, key);
  const { lock, isLater } = lockOf(c, key, link);
  if (isLater) return lockedAnew(c, key);
  if (lock === null) return notLocked(c, key);
  if (!isAutomatic(lock)) return lockedByHand(c, key);
  return plainPage(
    c,
    { title: "Unlock" },
    <Question url={`/unlock/${token}`} lock={lock} words={firstUpper(partyInWords(key))} />,
  );
}

function notLocked(c: ConsoleContext, key: LockKey | null): Promise<Response> {
  const who = key === null ? "What it was made for" : firstUpper(partyInWords(key));
  return say(
    c,
    { title: "Not locked", words: `${who} is not locked any more. There is nothing to do.` },
    200,
  );
}

function lockedAnew(c: ConsoleContext, key: LockKey): Promise<Response> {
  const words = `The lock this link was made for is over, but ${partyInWords(key)} was locked again since. Use the link of the newer mail, or unlock in the console, under Identities.`;
  return say(c, { title: "Locked again since", words }, 410);
}

function lockedByHand(c: ConsoleContext, key: LockKey): Promise<Response> {
  const words = `${firstUpper(partyInWords(key))} was locked by hand. It is unlocked in the console, under Identities.`;
  return say(c, { title: "Locked by hand", words }, 403);
}

async function postUnlock(c: ConsoleContext): Promise<Response> {
  const refusal = await tooMany(c);
  if (refusal !== null) return refusal;
  const token = tokenOf(c);
  if (token === null) return sayState(c, "unknown");
  const link = await c.get("services").links.use("unlock", token);
  if (link.state !== "valid") return sayState(c, link.state);
  const key = keyOf(link);
  if (key === null) return notLocked(c, key);
  const { lock, isLater } = lockOf(c, key, link);
  if (isLater) return lockedAnew(c, key);
  if (lock !== null && !isAutomatic(lock)) return lockedByHand(c, key);
  // Nobody is logged in: where the button was pressed is all that is known of who it was.
  await audit(c, { action: "unlock link used", subject: partyInWords(key), actor: BY });
  if (!(await unlockParty(c, key, BY))) return notLocked(c, key);
  return say(
    c,
    { title: "Unlocked", words: `${firstUpper(partyInWords(key))} may send again at once.` },
    200,
  );
}

const everyone = forEveryone("the token in the address is the right to unlock what it was made for, once");

export const unlockRoutes: readonly Route[] = [
  everyone.get("/unlock/:token", getUnlock),
  everyone.post("/unlock/:token", postUnlock),
];
