// The set-up code makes an administrator: the first one at first run, another one after `gatepost admin reset`. It works once.
import { createHash, timingSafeEqual } from "node:crypto";
import { judgePassword } from "../../policy/password-strength.ts";
import { audit } from "../actor.ts";
import { type ConsoleContext, clientIp } from "../console-env.ts";
import { plainPage } from "../parts/document.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { PasswordMeter, PasswordResult } from "../parts/password-meter.tsx";
import { forEveryone, type Route } from "../route.ts";
import { clientKey } from "../security/attempt-throttle.ts";
import { span } from "../words/time.ts";
import { errorPage } from "./error-page.tsx";
import { beginSession } from "./login-page.tsx";

interface SetupForm {
  readonly code: string;
  readonly login: string;
  readonly problems: Readonly<Partial<Record<"code" | "login" | "password" | "again", string>>>;
}

function FieldError({ id, text }: { readonly id: string; readonly text: string | undefined }) {
  return text === undefined ? null : (
    <span class="field-error" id={id}>
      {text}
    </span>
  );
}

function showSetup(c: ConsoleContext, form: SetupForm, status: 200 | 422 | 429 = 200): Promise<Response> {
  const { problems } = form;
  const mark = (name: keyof SetupForm["problems"]) => ({
    "aria-invalid": problems[name] === undefined ? undefined : "true",
    "aria-describedby": problems[name] === undefined ? undefined : `${name}-error`,
  });
  return plainPage(
    c,
    { title: "Set up", status },
    <>
      <h1>Welcome. Let’s set up your gateway.</h1>
      <p>
        Make the first administrator. The set-up code was printed where Gatepost was started, below the
        console’s address.
      </p>
      {Object.keys(problems).length > 0 && (
        <Notice tone="bad">Nothing was saved yet. Please look at the fields below.</Notice>
      )}
      <form method="post" action="/setup" class="stacked">
        <label for="code">Set-up code</label>
        <input
          id="code"
          name="code"
          class="mono"
          value={form.code}
          autocomplete="off"
          spellcheck={false}
          required
          {...mark("code")}
        />
        <FieldError id="code-error" text={problems.code} />
        <label for="login">Login</label>
        <input
          id="login"
          name="login"
          value={form.login}
          autocomplete="username"
          spellcheck={false}
          placeholder="you@example.org"
          required
          {...mark("login")}
        />
        <FieldError id="login-error" text={problems.login} />
        <label for="password">Password</label>
        <PasswordMeter id="password" name="password" invalid={problems.password !== undefined} />
        <FieldError id="password-error" text={problems.password} />
        <label for="again">Password again</label>
        <input
          id="again"
          name="again"
          type="password"
          autocomplete="new-password"
          required
          {...mark("again")}
        />
        <FieldError id="again-error" text={problems.again} />
        <button type="submit">Create administrator</button>
      </form>
    </>,
  );
}

function sameCode(typed: string, code: string): boolean {
  const digest = (text: string) =>
    createHash("sha256").update(text.replace(/[\s-]/g, "").toLowerCase()).digest();
  return timingSafeEqual(digest(typed), digest(code));
}

/** A login is a mail address or a plain name. */
function loginProblem(login: string): string | null {
  if (/^[^\s\p{C}]{2,254}$/u.test(login)) return null;
  return "Use a mail address or a name of at least 2 characters, without spaces.";
}

function isOpen(c: ConsoleContext): boolean {
  return c.get("services").setupCode() !== null;
}

async function getSetup(c: ConsoleContext): Promise<Response> {
  if (!isOpen(c)) return c.redirect("/login", 303);
  return showSetup(c, { code: (c.req.query("code") ?? "").slice(0, 80), login: "", problems: {} });
}

async function postSetup(c: ConsoleContext): Promise<Response> {
  return c.get("gatekeeper").exclusively(() => setUp(c));
}

async function setUp(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  const gatekeeper = c.get("gatekeeper");
  const expected = services.setupCode();
  if (expected === null) {
    return errorPage(c, 403, "Set-up is already done", "An administrator exists. Log in with that account.");
  }
  const form = c.get("form");
  const code = (form.get("code") ?? "").slice(0, 80);
  const login = (form.get("login") ?? "").trim().slice(0, 254);
  const password = form.get("password") ?? "";
  const keys = [clientKey(clientIp(c))];
  const waitMs = gatekeeper.setupCodes.take(keys) || gatekeeper.allSetupCodes.take(["all"]);
  if (waitMs > 0) {
    c.header("Retry-After", String(Math.ceil(waitMs / 1000)));
    const words = `Too many wrong codes. Wait ${span(Math.max(waitMs, 1000))}, then try again.`;
    return showSetup(c, { code: "", login, problems: { code: words } }, 429);
  }
  if (!sameCode(code, expected)) {
    services.log.warn({ ip: clientIp(c) }, "wrong set-up code");
    const words = "This is not the code. It was printed where Gatepost was started.";
    return showSetup(c, { code: "", login, problems: { code: words } }, 422);
  }
  gatekeeper.setupCodes.succeeded(keys);
  gatekeeper.allSetupCodes.succeeded(["all"]);
  const strength = judgePassword(password, [login, services.hostname]);
  const taken = (await services.accounts.byLogin(login)) !== null;
  const loginWords = taken
    ? "There is an account with this login already; choose another one."
    : loginProblem(login);
  const problems: SetupForm["problems"] = {
    ...(loginWords === null ? {} : { login: loginWords }),
    ...(strength.ok ? {} : { password: `This password ${strength.words}.` }),
    ...(password === form.get("again") ? {} : { again: "The two passwords differ." }),
  };
  if (Object.keys(problems).length > 0) return showSetup(c, { code, login, problems }, 422);
  const passwordHash = await gatekeeper.passwords.hash(password);
  const account = await services.accounts.create({ login, role: "administrator", domains: [], passwordHash });
  await audit(c, { action: "administrator created with a set-up code", subject: login, actor: login });
  await beginSession(c, { id: account.id, proven: passwordHash });
  const { domain } = services.settings.current().policy;
  const next = domain.length === 0 ? "Next: add your first domain." : "Next: send a test message.";
  leaveNotice(c, "good", `You are the administrator. ${next}`);
  return c.redirect("/", 303);
}

async function judgeTyped(c: ConsoleContext): Promise<Response> {
  // Judged for nobody else. No error: the question typed last may be overtaken by the form that ends the set-up.
  if (c.get("signedIn") === null && !isOpen(c)) return c.body(null, 204);
  const form = c.get("form");
  const password = form.get("password") ?? form.get("new") ?? "";
  const strength = judgePassword(password, [form.get("login") ?? "", c.get("services").hostname]);
  return c.html(<PasswordResult strength={password === "" ? null : strength} />);
}

const open = forEveryone("who comes here cannot log in yet; the set-up code stands in for an account");

export const setupRoutes: readonly Route[] = [
  open.get("/setup", getSetup),
  open.post("/setup", postSetup),
  open.post("/password-strength", judgeTyped),
];
