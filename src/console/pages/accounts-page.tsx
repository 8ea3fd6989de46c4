// Who may log in to this console: accounts with their role and domains. Added, changed and removed here; each change ends sessions.
import { parseDomain } from "../../message/address.ts";
import { judgePassword } from "../../policy/password-strength.ts";
import type { PolicyProblem } from "../../policy/settings.ts";
import type { Account, AccountLine } from "../../store/accounts.ts";
import { audit } from "../actor.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { type Field, type FieldGroup, fieldsOf } from "../forms/field.ts";
import { readForm } from "../forms/form-input.ts";
import { PolicyForm } from "../forms/policy-form.tsx";
import { Badge } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { counted, listed } from "../words/amount.ts";
import type { Tone } from "../words/state.ts";
import { errorPage } from "./error-page.tsx";

type Role = Account["role"];

const ROLES: Readonly<Record<Role, { readonly label: string; readonly tone: Tone; readonly words: string }>> =
  {
    administrator: { label: "Administrator", tone: "warn", words: "Administrator: everything" },
    "domain-administrator": {
      label: "Domain administrator",
      tone: "info",
      words: "Domain administrator: mail, senders and quarantine of the domains below",
    },
    user: { label: "User", tone: "quiet", words: "User: the own account" },
  };

const LOGIN: Field = {
  kind: "text",
  name: "login",
  label: "Login",
  placeholder: "alice@example.org",
  help: "A mail address or a plain name.",
};
const PASSWORD: Field = {
  kind: "password",
  name: "password",
  label: "Password",
  meter: true,
  help: "Kept as a hash; nobody can read it again. Its owner can change it under “My account”.",
};
const RIGHTS: readonly Field[] = [
  {
    kind: "choice",
    name: "role",
    label: "Role",
    options: Object.entries(ROLES).map(([value, { words }]) => ({ value, label: words })),
  },
  {
    kind: "lines",
    name: "domains",
    label: "Domains",
    placeholder: "example.org",
    help: "For domain administrators: one per line.",
  },
];

const NEW_GROUPS: readonly FieldGroup[] = [
  { title: "Who", fields: [LOGIN, PASSWORD] },
  { title: "May", fields: RIGHTS },
];
const RIGHTS_GROUPS: readonly FieldGroup[] = [{ title: "May", fields: RIGHTS }];
const PASSWORD_GROUPS: readonly FieldGroup[] = [
  { title: "New password", help: "Whoever is logged in with the old one is logged out.", fields: [PASSWORD] },
];

interface Rights {
  readonly role: Role;
  readonly domains: readonly string[];
}

function isRole(text: unknown): text is Role {
  return typeof text === "string" && Object.hasOwn(ROLES, text);
}

/** Role and domains as typed, checked against the domains of this gateway. */
function rightsOf(
  c: ConsoleContext,
  input: Readonly<Record<string, unknown>>,
): { readonly rights: Rights; readonly problems: readonly PolicyProblem[] } {
  const role = isRole(input.role) ? input.role : null;
  const problems: PolicyProblem[] = role === null ? [{ path: "role", message: "choose a role" }] : [];
  const typed: readonly unknown[] = Array.isArray(input.domains) ? input.domains : [];
  const known = new Set<string>(
    c
      .get("services")
      .settings.current()
      .policy.domain.map(({ name }) => name),
  );
  const domains = typed.map((text, i) => {
    const parsed = parseDomain(String(text));
    if (!parsed.ok) problems.push({ path: `domains[${i}]`, message: parsed.reason });
    else if (!known.has(parsed.value))
      problems.push({
        path: `domains[${i}]`,
        message: `${parsed.value} is not a domain of this gateway; add it under Domains first`,
      });
    return parsed.ok ? parsed.value : "";
  });
  if (role === "domain-administrator" && domains.length === 0)
    problems.push({ path: "domains", message: "name at least one domain" });
  if (role !== null && role !== "domain-administrator" && domains.length > 0)
    problems.push({ path: "domains", message: "are for domain administrators only; leave them out" });
  return { rights: { role: role ?? "user", domains: [...new Set(domains)] }, problems };
}

function passwordProblem(c: ConsoleContext, password: string, login: string): readonly PolicyProblem[] {
  const strength = judgePassword(password, [login, c.get("services").hostname]);
  return strength.ok ? [] : [{ path: "password", message: `This password ${strength.words}.` }];
}

function urlOf(account: Pick<Account, "id">, rest: string): string {
  return `/accounts/${encodeURIComponent(account.id)}/${rest}`;
}

function columns(own: string): readonly Column<AccountLine>[] {
  return [
    {
      label: "Login",
      kind: "main",
      cell: (account) => (
        <>
          <strong>
            <Foreign text={account.login} max={90} />
          </strong>
          {account.id === own && <span class="muted"> (you)</span>}
        </>
      ),
    },
    {
      label: "Role",
      kind: "tight",
      cell: ({ role }) => <Badge tone={ROLES[role].tone}>{ROLES[role].label}</Badge>,
    },
    { label: "Domains", cell: ({ domains }) => listed(domains, 4) },
    {
      label: "Logged in",
      kind: "tight",
      cell: ({ sessions }) =>
        sessions === 0 ? <span class="muted">no session</span> : counted(sessions, "session"),
    },
    {
      label: "Made",
      kind: "tight",
      extra: true,
      cell: (account) => <Moment at={account.createdAt} style="full" />,
    },
    { label: "Actions", kind: "actions", cell: (account) => <Actions account={account} own={own} /> },
  ];
}

function Actions({ account, own }: { readonly account: AccountLine; readonly own: string }) {
  if (account.id === own)
    return (
      <a class="button quiet small" href="/account">
        My account
      </a>
    );
  return (
    <span class="row-actions">
      <a class="button quiet small" href={urlOf(account, "edit")}>
        <Icon name="pencil" size={15} /> Rights<span class="visually-hidden"> of {account.login}</span>
      </a>
      <a class="button quiet small" href={urlOf(account, "password")}>
        <Icon name="token" size={15} /> Password<span class="visually-hidden"> of {account.login}</span>
      </a>
      <a class="button quiet small danger-text" href={urlOf(account, "remove")}>
        <Icon name="trash" size={15} /> Remove…<span class="visually-hidden"> {account.login}</span>
      </a>
    </span>
  );
}

async function getAccounts(c: ConsoleContext): Promise<Response> {
  const accounts = await c.get("services").accounts.list();
  return consolePage(
    c,
    { title: "Accounts", nav: "accounts" },
    <>
      <PageHeader title="Accounts" lead="Who may log in to this console, and to what.">
        <a class="button" href="/accounts/new">
          <Icon name="plus" /> Add account
        </a>
      </PageHeader>
      <DataTable
        caption="Accounts"
        columns={columns(accountOf(c).id)}
        rows={accounts}
        rowId={(account) => `a-${account.id}`}
      />
    </>,
  );
}

interface Shown {
  readonly title: string;
  readonly action: string;
  readonly groups: readonly FieldGroup[];
  readonly submit: string;
  readonly form: URLSearchParams;
  readonly problems: readonly PolicyProblem[];
}

function showForm(c: ConsoleContext, shown: Shown): Promise<Response> {
  const { title, ...form } = shown;
  return consolePage(
    c,
    { title: "Account", nav: "accounts", status: shown.problems.length > 0 ? 422 : 200 },
    <>
      <PageHeader
        crumb={{ href: "/accounts", label: "Accounts" }}
        title={<Foreign text={title} max={120} />}
      />
      <div class="form-page">
        <PolicyForm {...form} cancel="/accounts" />
      </div>
    </>,
  );
}

function newForm(c: ConsoleContext, form: URLSearchParams, problems: readonly PolicyProblem[]) {
  const action = "/accounts/new";
  return showForm(c, {
    title: "Add account",
    action,
    groups: NEW_GROUPS,
    submit: "Add account",
    form,
    problems,
  });
}

async function postNew(c: ConsoleContext): Promise<Response> {
  const { accounts } = c.get("services");
  const form = c.get("form");
  const { input } = readForm(NEW_GROUPS, form);
  const login = String(input.login ?? "");
  const password = typeof input.password === "string" ? input.password : "";
  const { rights, problems } = rightsOf(c, input);
  const all = [...loginProblem(login), ...passwordProblem(c, password, login), ...problems];
  if (all.length === 0 && (await accounts.byLogin(login)) !== null)
    all.push({ path: "login", message: "there is an account with this login already" });
  if (all.length > 0) return newForm(c, form, all);
  await accounts.create({
    login,
    ...rights,
    passwordHash: await c.get("gatekeeper").passwords.hash(password),
  });
  await audit(c, { action: "account added", subject: login, detail: rightsInWords(rights) });
  leaveNotice(c, "good", `The account ${login} was added.`);
  return c.redirect("/accounts", 303);
}

function loginProblem(login: string): readonly PolicyProblem[] {
  if (/^[^\s\p{C}]{2,254}$/u.test(login)) return [];
  return [
    { path: "login", message: "Use a mail address or a name of at least 2 characters, without spaces." },
  ];
}

function rightsInWords({ role, domains }: Rights): string {
  return domains.length === 0 ? role : `${role} of ${listed(domains, 10)}`;
}

/** The account of the address; never one's own: nobody takes away the own rights by mistake. */
function withAccount(work: (c: ConsoleContext, account: Account) => Promise<Response>) {
  return async (c: ConsoleContext): Promise<Response> => {
    const account = await c.get("services").accounts.byId((c.req.param("id") ?? "").slice(0, 80));
    if (account === null) return errorPage(c, 404, "No such account", "It may have been removed.");
    if (account.id !== accountOf(c).id) return work(c, account);
    const words = "Another administrator can change your account. Your password is under “My account”.";
    return errorPage(c, 422, "This is your own account", words);
  };
}

function rightsForm(
  c: ConsoleContext,
  account: Account,
  shown: { readonly form: URLSearchParams; readonly problems: readonly PolicyProblem[] },
): Promise<Response> {
  return showForm(c, {
    ...shown,
    title: account.login,
    action: urlOf(account, "edit"),
    groups: RIGHTS_GROUPS,
    submit: "Save changes",
  });
}

function getEdit(c: ConsoleContext, account: Account): Promise<Response> {
  const form = new URLSearchParams({ role: account.role, domains: account.domains.join("\n") });
  return rightsForm(c, account, { form, problems: [] });
}

const LAST = "This is the last administrator; make another one first.";

async function postEdit(c: ConsoleContext, account: Account): Promise<Response> {
  const form = c.get("form");
  const { rights, problems } = rightsOf(c, readForm(RIGHTS_GROUPS, form).input);
  if (problems.length > 0) return rightsForm(c, account, { form, problems });
  const result = await c.get("services").accounts.change(account.id, rights);
  if (result === "last-administrator")
    return rightsForm(c, account, { form, problems: [{ path: "role", message: LAST }] });
  if (result === "gone") return errorPage(c, 404, "No such account", "It was removed meanwhile.");
  const detail = `${rightsInWords(account)} → ${rightsInWords(rights)}`;
  await audit(c, { action: "account changed", subject: account.login, detail });
  leaveNotice(c, "good", `The account ${account.login} was changed; it must log in anew.`);
  return c.redirect("/accounts", 303);
}

function passwordForm(c: ConsoleContext, account: Account, problems: readonly PolicyProblem[]) {
  return showForm(c, {
    title: account.login,
    action: urlOf(account, "password"),
    groups: PASSWORD_GROUPS,
    submit: "Set password",
    form: new URLSearchParams(),
    problems,
  });
}

async function postPassword(c: ConsoleContext, account: Account): Promise<Response> {
  const password = c.get("form").get(fieldsOf(PASSWORD_GROUPS)[0]?.name ?? "") ?? "";
  const problems = passwordProblem(c, password, account.login);
  if (problems.length > 0) return passwordForm(c, account, problems);
  const hash = await c.get("gatekeeper").passwords.hash(password);
  await c.get("services").accounts.setPassword(account.id, hash);
  await audit(c, { action: "account password set", subject: account.login });
  leaveNotice(c, "good", `The password of ${account.login} was set; its sessions have ended.`);
  return c.redirect("/accounts", 303);
}

function askRemove(c: ConsoleContext, account: Account): Promise<Response> {
  return confirmPage(c, {
    nav: "accounts",
    title: `Remove account ${account.login.slice(0, 80)}?`,
    words: <p>It is logged out and can no longer log in. What it did stays in the audit log.</p>,
    action: urlOf(account, "remove"),
    submit: "Remove account",
    cancel: "/accounts",
  });
}

async function postRemove(c: ConsoleContext, account: Account): Promise<Response> {
  const result = await c.get("services").accounts.remove(account.id);
  if (result === "last-administrator") return errorPage(c, 422, "The account was not removed", LAST);
  if (result === "gone") return errorPage(c, 404, "No such account", "It was removed meanwhile.");
  await audit(c, { action: "account removed", subject: account.login, detail: rightsInWords(account) });
  leaveNotice(c, "good", `The account ${account.login} was removed.`);
  return c.redirect("/accounts", 303);
}

export const accountsRoutes: readonly Route[] = [
  forAdministrator.get("/accounts", getAccounts),
  forAdministrator.get("/accounts/new", (c) =>
    newForm(c, new URLSearchParams({ role: "domain-administrator" }), []),
  ),
  forAdministrator.post("/accounts/new", postNew),
  forAdministrator.get("/accounts/:id/edit", withAccount(getEdit)),
  forAdministrator.post("/accounts/:id/edit", withAccount(postEdit)),
  forAdministrator.get(
    "/accounts/:id/password",
    withAccount((c, account) => passwordForm(c, account, [])),
  ),
  forAdministrator.post("/accounts/:id/password", withAccount(postPassword)),
  forAdministrator.get("/accounts/:id/remove", withAccount(askRemove)),
  forAdministrator.post("/accounts/:id/remove", withAccount(postRemove)),
];
