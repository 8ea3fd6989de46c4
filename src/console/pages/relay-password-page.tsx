// The self-service page for relay passwords (requirement O13): address and challenge → mail with a link → new password twice → done.
// Open to everybody, so it never says whether an address exists. Looking at a link never uses it: mail scanners do that.
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { parseAddress } from "../../message/address.ts";
import { judgePassword } from "../../policy/password-strength.ts";
import type { ListenerSettings } from "../../policy/schema.ts";
import { type ConsoleContext, clientIp } from "../console-env.ts";
import { plainPage } from "../parts/document.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Details } from "../parts/page-header.tsx";
import { PasswordMeter, PasswordResult } from "../parts/password-meter.tsx";
import type { AskAnswer } from "../relay-passwords.ts";
import { forEveryone, type Route, type RouteAnswer } from "../route.ts";
import { errorPage } from "./error-page.tsx";

const HOME = "/smtp-password";
const MAX_ADDRESS = 320;

function FieldError({ id, text }: { readonly id: string; readonly text: string | undefined }) {
  return text === undefined ? null : (
    <span class="field-error" id={id}>
      {text}
    </span>
  );
}

function mark(id: string, text: string | undefined) {
  return {
    "aria-invalid": text === undefined ? undefined : "true",
    "aria-describedby": text === undefined ? undefined : `${id}-error`,
  };
}

const WIDGET = JSON.stringify({ hideFooter: true, hideLogo: true, humanInteractionSignature: false });

/** The widget fetches a challenge and solves it in a worker while the address is typed. */
function Challenge({ c }: { readonly c: ConsoleContext }) {
  const { challenge } = c.get("assets");
  return (
    <>
      <link rel="stylesheet" href={challenge.stylesheet.path} />
      <altcha-widget
        name="challenge"
        challenge={`${HOME}/challenge`}
        auto="onload"
        language="en"
        configuration={WIDGET}
        data-worker={challenge.worker.path}
      />
      <noscript>
        <p class="notice tone-warn">
          The check needs JavaScript in this browser. Without it, ask your administrator for a password.
        </p>
      </noscript>
      <script type="module" src={challenge.widget.path} />
      <script type="module" src={challenge.start.path} />
    </>
  );
}

interface AskForm {
  readonly address: string;
  readonly problems: Readonly<Partial<Record<"address" | "challenge", string>>>;
}

function showAsk(c: ConsoleContext, form: AskForm, status: ContentfulStatusCode = 200): Promise<Response> {
  const { address, problems } = form;
  return plainPage(
    c,
    { title: "Password for sending", status },
    <>
      <h1>Password for sending</h1>
      <p>
        Set the password your mail program sends with. You get a mail with a link; it works once, for half an
        hour.
      </p>
      {problems.challenge !== undefined && <Notice tone="bad">{problems.challenge}</Notice>}
      <form method="post" action={HOME} class="stacked">
        <label for="address">Your mail address</label>
        <input
          id="address"
          name="address"
          type="email"
          value={address}
          autocomplete="email"
          spellcheck={false}
          placeholder="you@example.org"
          required
          autofocus
          {...mark("address", problems.address)}
        />
        <FieldError id="address-error" text={problems.address} />
        <Challenge c={c} />
        <button type="submit">Send me the link</button>
      </form>
    </>,
  );
}

const AGAIN: Readonly<Record<Exclude<AskAnswer, "taken">, string>> = {
  unsolved: "The check was not done. Wait until it is ticked, then press the button again.",
  expired: "The check was used or too old. It is done anew now; then press the button again.",
  "too many": "Too many requests come from your network. Try again in an hour.",
};

async function postAsk(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const address = (form.get("address") ?? "").trim().slice(0, MAX_ADDRESS);
  const parsed = parseAddress(address);
  if (!parsed.ok)
    return showAsk(
      c,
      { address, problems: { address: "This is not a mail address; write it like you@example.org." } },
      422,
    );
  const answer = await c.get("gatekeeper").relayPasswords.ask({
    address: parsed.value,
    payload: form.get("challenge") ?? "",
    clientIp: clientIp(c),
  });
  if (answer === "taken") return c.redirect(`${HOME}/sent`, 303);
  return showAsk(c, { address, problems: { challenge: AGAIN[answer] } }, answer === "too many" ? 429 : 422);
}

function getSent(c: ConsoleContext): Promise<Response> {
  return plainPage(
    c,
    { title: "Look into your mail" },
    <>
      <h1>Look into your mail</h1>
      <p>
        If this address may set a password here, a mail with a link is on its way to it. The link works once,
        for half an hour.
      </p>
      <p>
        Nothing came after some minutes? Look among the spam. Some accounts send with the password of their
        mailbox and need none of their own; your administrator knows.
      </p>
      <p>
        <a href={HOME}>Ask once more</a>
      </p>
    </>,
  );
}

const ENDED = {
  used: {
    title: "This link was used already",
    words: "A password was set since it was sent. If that was not you, set a new one now.",
    status: 410,
  },
  expired: {
    title: "This link has expired",
    words: "A link works for half an hour. Ask for a new one.",
    status: 410,
  },
  unknown: {
    title: "This link is not known",
    words: "Perhaps a part of it is missing. Copy the whole address from the mail, or ask for a new one.",
    status: 404,
  },
} as const;

function showEnded(c: ConsoleContext, state: keyof typeof ENDED): Promise<Response> {
  const { title, words, status } = ENDED[state];
  return plainPage(
    c,
    { title, status },
    <>
      <h1>{title}</h1>
      <p>{words}</p>
      <p>
        <a class="button" href={HOME}>
          Get a new link
        </a>
      </p>
    </>,
  );
}

type PasswordProblems = Readonly<Partial<Record<"password" | "again", string>>>;

function showPassword(
  c: ConsoleContext,
  shown: { readonly login: string; readonly problems: PasswordProblems },
): Promise<Response> {
  const { login, problems } = shown;
  const url = `${HOME}/${encodeURIComponent(tokenOf(c))}`;
  const wrong = Object.keys(problems).length > 0;
  return plainPage(
    c,
    { title: "New password for sending", status: wrong ? 422 : 200 },
    <>
      <h1>New password for sending</h1>
      <p>
        For <strong>{login}</strong>. The present one stops working at once.
      </p>
      {wrong && <Notice tone="bad">Nothing was changed yet. Please look at the fields below.</Notice>}
      <form method="post" action={url} class="stacked">
        <input type="hidden" name="username" value={login} autocomplete="username" />
        <label for="password">New password</label>
        <PasswordMeter
          id="password"
          name="password"
          invalid={problems.password !== undefined}
          judgedAt={`${url}/strength`}
        />
        <FieldError id="password-error" text={problems.password} />
        <label for="again">New password again</label>
        <input
          id="again"
          name="again"
          type="password"
          autocomplete="new-password"
          required
          {...mark("again", problems.again)}
        />
        <FieldError id="again-error" text={problems.again} />
        <button type="submit">Set the password</button>
      </form>
    </>,
  );
}

function tokenOf(c: ConsoleContext): string {
  return c.req.param("token") ?? "";
}

async function getLink(c: ConsoleContext): Promise<Response> {
  const link = await c.get("gatekeeper").relayPasswords.look(tokenOf(c));
  return link.state === "valid"
    ? showPassword(c, { login: link.login, problems: {} })
    : showEnded(c, link.state);
}

async function postLink(c: ConsoleContext): Promise<Response> {
  const { relayPasswords } = c.get("gatekeeper");
  const token = tokenOf(c);
  const form = c.get("form");
  const password = form.get("password") ?? "";
  const link = await relayPasswords.look(token);
  if (link.state !== "valid") return showEnded(c, link.state);
  if (password !== form.get("again"))
    return showPassword(c, { login: link.login, problems: { again: "The two passwords differ." } });
  const changed = await relayPasswords.change({ token, password, clientIp: clientIp(c) });
  switch (changed.state) {
    case "done":
      leaveNotice(c, "good", "Your new password holds from now on.");
      return c.redirect(`${HOME}/done`, 303);
    case "refused":
      return showPassword(c, { login: link.login, problems: { password: changed.words } });
    default:
      return showEnded(c, changed.state);
  }
}

async function judgeTyped(c: ConsoleContext): Promise<Response> {
  const link = await c.get("gatekeeper").relayPasswords.look(tokenOf(c));
  // The page's last look at what was typed may come after the password was set.
  if (link.state !== "valid") return c.body(null, link.state === "unknown" ? 403 : ENDED[link.state].status);
  const password = c.get("form").get("password") ?? "";
  const strength = judgePassword(password, [link.login, c.get("services").hostname]);
  return c.html(<PasswordResult strength={password === "" ? null : strength} />);
}

const ENCRYPTION = {
  implicit: "SSL/TLS",
  "starttls-required": "STARTTLS",
  starttls: "STARTTLS",
  none: "none",
} as const satisfies Record<ListenerSettings["tls"], string>;
const ORDER: readonly ListenerSettings["tls"][] = ["implicit", "starttls-required", "starttls"];

/** The listeners one can send through with a password, the safest first; those without TLS are not offered. */
function submissionListeners(c: ConsoleContext): readonly ListenerSettings[] {
  return c
    .get("services")
    .settings.current()
    .policy.listener.filter((one) => one.enabled && one.auth !== "off" && ORDER.includes(one.tls))
    .toSorted(
      (a, b) =>
        ORDER.indexOf(a.tls) - ORDER.indexOf(b.tls) ||
        Number(a.auth !== "required") - Number(b.auth !== "required"),
    );
}

function portOf(listener: ListenerSettings): string {
  return listener.listen.slice(listener.listen.lastIndexOf(":") + 1);
}

function getDone(c: ConsoleContext): Promise<Response> {
  const [best, ...others] = submissionListeners(c);
  return plainPage(
    c,
    { title: "Settings for your mail program" },
    <>
      <h1>Settings for your mail program</h1>
      {best === undefined ? (
        <p>Ask your administrator which server and port to send through.</p>
      ) : (
        <>
          <p>For sending (SMTP). Receiving stays as it is.</p>
          <Details
            rows={[
              ["Server", <span class="mono">{c.get("services").hostname}</span>],
              ["Port", <span class="mono">{portOf(best)}</span>],
              ["Encryption", ENCRYPTION[best.tls]],
              ["User name", "your whole mail address"],
              ["Password", "the one you set here"],
            ]}
          />
          {others.length > 0 && (
            <p class="fine-print">
              Does that not work? Also:{" "}
              {others.map((one) => `port ${portOf(one)} with ${ENCRYPTION[one.tls]}`).join(", ")}.
            </p>
          )}
        </>
      )}
    </>,
  );
}

async function getChallenge(c: ConsoleContext): Promise<Response> {
  return c.json(await c.get("gatekeeper").relayPasswords.challenge.create());
}

/** Switched off, the pages are as if they did not exist. */
function whenOn(answer: RouteAnswer): RouteAnswer {
  return (c) =>
    c.get("gatekeeper").relayPasswords.isOn()
      ? answer(c)
      : errorPage(c, 404, "There is no such page", "The address is mistyped, or what it showed is gone.");
}

const open = forEveryone(
  "senders who set their own password have no account here; the mailed link stands in for one",
);

export const relayPasswordRoutes: readonly Route[] = [
  open.get(
    HOME,
    whenOn((c) => showAsk(c, { address: "", problems: {} })),
  ),
  open.post(HOME, whenOn(postAsk)),
  open.get(`${HOME}/challenge`, whenOn(getChallenge)),
  open.get(`${HOME}/sent`, whenOn(getSent)),
  open.get(`${HOME}/done`, whenOn(getDone)),
  open.get(`${HOME}/:token`, whenOn(getLink)),
  open.post(`${HOME}/:token`, whenOn(postLink)),
  open.post(`${HOME}/:token/strength`, whenOn(judgeTyped)),
];
