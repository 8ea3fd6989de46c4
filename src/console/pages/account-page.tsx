// One's own account: who one is here, and a new password.
import { judgePassword } from "../../policy/password-strength.ts";
import { audit } from "../actor.ts";
import { accountOf, type ConsoleContext, clientIp } from "../console-env.ts";
import { consolePage } from "../parts/document.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, Details, PageHeader } from "../parts/page-header.tsx";
import { PasswordMeter } from "../parts/password-meter.tsx";
import { forAccounts, type Route } from "../route.ts";
import { clientKey } from "../security/attempt-throttle.ts";
import { span } from "../words/time.ts";
import { beginSession } from "./login-page.tsx";

type Problems = Readonly<Partial<Record<"current" | "new" | "again", string>>>;

const ROLES = {
  administrator: "Administrator: everything",
  "domain-administrator": "Domain administrator: own domains",
  user: "User: own address",
} as const;

function Field(props: {
  readonly id: "current" | "again";
  readonly label: string;
  readonly error: string | undefined;
}) {
  const { id, label, error } = props;
  return (
    <div class={error === undefined ? "field" : "field invalid"}>
      <label for={id}>{label}</label>
      <input
        id={id}
        name={id}
        type="password"
        autocomplete={id === "current" ? "current-password" : "new-password"}
        required
        aria-invalid={error === undefined ? undefined : "true"}
        aria-describedby={error === undefined ? undefined : `${id}-error`}
      />
      {error !== undefined && (
        <span class="field-error" id={`${id}-error`}>
          {error}
        </span>
      )}
    </div>
  );
}

function showAccount(
  c: ConsoleContext,
  problems: Problems,
  status: 200 | 422 | 429 = 200,
): Promise<Response> {
  const account = accountOf(c);
  return consolePage(
    c,
    { title: "My account", nav: "account", status },
    <>
      <PageHeader title="My account" />
      <div class="form-page narrow">
        <Card title="You">
          <Details
            rows={[
              ["Login", account.login],
              ["Role", ROLES[account.role]],
              ...(account.domains.length === 0 ? [] : [["Domains", account.domains.join(", ")] as const]),
            ]}
          />
        </Card>
        <Card title="Change password">
          {Object.keys(problems).length > 0 && (
            <Notice tone="bad">The password was not changed. Please look at the fields below.</Notice>
          )}
          <form method="post" action="/account/password" class="stacked">
            <Field id="current" label="Present password" error={problems.current} />
            <div class={problems.new === undefined ? "field" : "field invalid"}>
              <label for="new">New password</label>
              <PasswordMeter id="new" name="new" invalid={problems.new !== undefined} />
              {problems.new !== undefined && (
                <span class="field-error" id="new-error">
                  {problems.new}
                </span>
              )}
            </div>
            <Field id="again" label="New password again" error={problems.again} />
            <button type="submit">Change password</button>
          </form>
        </Card>
      </div>
    </>,
  );
}

async function postPassword(c: ConsoleContext): Promise<Response> {
  const account = accountOf(c);
  const services = c.get("services");
  const { logins, passwords } = c.get("gatekeeper");
  const form = c.get("form");
  const fresh = form.get("new") ?? "";
  const keys = [`account ${account.login.toLowerCase()}`, clientKey(clientIp(c))];
  const waitMs = logins.take(keys);
  if (waitMs > 0)
    return showAccount(
      c,
      { current: `Too many failed attempts. Wait ${span(Math.max(waitMs, 1000))}.` },
      429,
    );
  const known = await services.accounts.byLogin(account.login);
  const matches = await passwords.verify(
    (form.get("current") ?? "").slice(0, 1024),
    known?.passwordHash ?? null,
  );
  if (known === null || matches !== true) {
    await audit(c, { action: "password change failed", subject: account.login });
    return showAccount(c, { current: "This is not your present password." }, 422);
  }
  logins.succeeded(keys);
  const strength = judgePassword(fresh, [account.login, services.hostname]);
  const problems: Problems = {
    ...(strength.ok ? {} : { new: `This password ${strength.words}.` }),
    ...(fresh === form.get("again") ? {} : { again: "The two new passwords differ." }),
  };
  if (Object.keys(problems).length > 0) return showAccount(c, problems, 422);
  const proven = await passwords.hash(fresh);
  const isSet = await services.accounts.setPassword(account.id, proven, known.passwordHash);
  // An administrator who sets it anew, or removes the account, means that nobody who knows the old one goes on.
  if (!isSet || !(await beginSession(c, { id: account.id, proven }))) {
    leaveNotice(c, "bad", "Somebody else has set your password meanwhile: log in with that one.");
    return c.redirect("/login", 303);
  }
  await audit(c, { action: "password changed", subject: account.login });
  leaveNotice(c, "good", "Your password was changed.");
  return c.redirect("/account", 303);
}

export const accountRoutes: readonly Route[] = [
  forAccounts.get("/account", (c) => showAccount(c, {})),
  forAccounts.post("/account/password", postPassword),
];
