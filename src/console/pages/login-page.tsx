// Logging in and out. The answer to a wrong login and to a wrong password is the same, in words and in time.
import { deleteCookie, setCookie } from "hono/cookie";
import { audit, auditFailedLogIn } from "../actor.ts";
import { type ConsoleContext, clientIp } from "../console-env.ts";
import { plainPage } from "../parts/document.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { forAccounts, forEveryone, type Route } from "../route.ts";
import { clientKey } from "../security/attempt-throttle.ts";
import { SESSION_COOKIE, SESSION_MS } from "../security/sessions.ts";
import { span } from "../words/time.ts";

const MAX_LOGIN = 320;
const MAX_PASSWORD = 1024;

interface LoginForm {
  readonly login: string;
  readonly next: string;
  readonly problem: string | null;
}

/** Only pages of this console may be the goal after logging in. */
export function safeNext(text: string): string {
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(text) ? text : "/";
}

function showLogin(
  c: ConsoleContext,
  form: LoginForm,
  status: 200 | 401 | 429 | 503 = 200,
): Promise<Response> {
  return plainPage(
    c,
    { title: "Log in", status },
    <>
      <h1>Log in</h1>
      {form.problem !== null && <Notice tone="bad">{form.problem}</Notice>}
      <form method="post" action="/login" class="stacked">
        <input type="hidden" name="next" value={form.next} />
        <label for="login">Login</label>
        <input
          id="login"
          name="login"
          value={form.login}
          autocomplete="username"
          spellcheck={false}
          required
          autofocus
        />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button type="submit">Log in</button>
      </form>
      <p class="fine-print">
        {c.get("services").setupCode() === null ? (
          <>
            Password lost? On the machine, run <code>gatepost admin reset</code>.
          </>
        ) : (
          <>
            Password lost? <a href="/setup">Use the set-up code</a>.
          </>
        )}
      </p>
    </>,
  );
}

async function getLogin(c: ConsoleContext): Promise<Response> {
  if (c.get("signedIn") !== null) return c.redirect("/", 303);
  // After `admin reset` there is a code as well, but those who have an account must still be able to log in.
  const { setupCode, accounts } = c.get("services");
  if (setupCode() !== null && (await accounts.count()) === 0) return c.redirect("/setup", 303);
  const next = safeNext(c.req.query("next") ?? "/");
  return showLogin(c, { login: "", next, problem: null });
}

/**
 * Starts a session for the account and sets its cookie; an older session of this browser ends. False: the password that was `proven` (its
 * hash) has been set anew meanwhile.
 */
export async function beginSession(
  c: ConsoleContext,
  account: { readonly id: string; readonly proven: string },
): Promise<boolean> {
  const gatekeeper = c.get("gatekeeper");
  const before = c.get("signedIn");
  if (before !== null) await gatekeeper.sessions.end(before.tokenHash);
  const token = await gatekeeper.sessions.start(account, clientIp(c));
  if (token === null) return false;
  const maxAge = SESSION_MS / 1000;
  setCookie(c, SESSION_COOKIE, token, { path: "/", secure: true, httpOnly: true, sameSite: "Lax", maxAge });
  return true;
}

async function postLogin(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const login = (form.get("login") ?? "").trim().slice(0, MAX_LOGIN);
  const password = (form.get("password") ?? "").slice(0, MAX_PASSWORD);
  const next = safeNext(form.get("next") ?? "/");
  const { logins, passwords } = c.get("gatekeeper");
  const services = c.get("services");
  const accountKey = `account ${login.toLowerCase()}`;
  const keys = [accountKey, clientKey(clientIp(c))];
  const waitMs = logins.take(keys);
  if (waitMs > 0) {
    c.header("Retry-After", String(Math.ceil(waitMs / 1000)));
    const problem = `Too many failed attempts. Wait ${span(Math.max(waitMs, 1000))}, then try again.`;
    return showLogin(c, { login, next, problem }, 429);
  }
  const account = login === "" ? null : await services.accounts.byLogin(login);
  const matches = await passwords.verify(password, account?.passwordHash ?? null);
  if (matches === "busy") {
    return showLogin(
      c,
      { login, next, problem: "Too many people are logging in. Try again in a moment." },
      503,
    );
  }
  if (account === null || !matches) {
    services.log.warn({ login, ip: clientIp(c) }, "console log-in failed");
    await auditFailedLogIn(c, login, { isAccount: account !== null });
    return showLogin(c, { login, next, problem: "This login and password do not belong together." }, 401);
  }
  logins.succeeded(keys);
  if (!(await beginSession(c, { id: account.id, proven: account.passwordHash }))) {
    const problem = "The password was set anew just now. Log in with the new one.";
    return showLogin(c, { login, next, problem }, 401);
  }
  await audit(c, { action: "log-in", subject: account.login, actor: account.login });
  return c.redirect(next, 303);
}

async function postLogout(c: ConsoleContext): Promise<Response> {
  const signedIn = c.get("signedIn");
  if (signedIn !== null) {
    await c.get("gatekeeper").sessions.end(signedIn.tokenHash);
    await audit(c, { action: "log-out", subject: signedIn.account.login });
  }
  deleteCookie(c, SESSION_COOKIE, { path: "/", secure: true });
  leaveNotice(c, "good", "You are logged out.");
  return c.redirect("/login", 303);
}

const open = forEveryone("one must be able to log in before being logged in");

export const loginRoutes: readonly Route[] = [
  open.get("/login", getLogin),
  open.post("/login", postLogin),
  forAccounts.post("/logout", postLogout),
];
