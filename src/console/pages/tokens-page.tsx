// API tokens: made here, shown once, stored as hashes, taken back here.
import type { TokenLine } from "../../store/accounts.ts";
import { audit } from "../actor.ts";
import { accountOf, type ConsoleContext } from "../console-env.ts";
import { Badge } from "../parts/badge.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { useView } from "../parts/view-context.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { hashToken, newToken } from "../security/sessions.ts";
import { errorPage } from "./error-page.tsx";

/** How long a new token may hold: the days by the name in the form. */
const ENDS: readonly { readonly value: string; readonly days: number | null; readonly label: string }[] = [
  { value: "1d", days: 1, label: "in a day" },
  { value: "30d", days: 30, label: "in 30 days" },
  { value: "365d", days: 365, label: "in a year" },
  { value: "never", days: null, label: "never by itself" },
];
const DAY_MS = 86_400_000;

function End({ token }: { readonly token: TokenLine }) {
  const { nowMs } = useView();
  if (token.expiresAt === null) return <span class="muted">never by itself</span>;
  if (token.expiresAt <= nowMs) return <Badge tone="bad">has ended</Badge>;
  return <Moment at={token.expiresAt} style="full" />;
}

const COLUMNS: readonly Column<TokenLine>[] = [
  { label: "Name", kind: "main", cell: (token) => <strong>{token.name}</strong> },
  {
    label: "May",
    kind: "tight",
    cell: (token) =>
      token.scope === "write" ? <Badge tone="warn">read and write</Badge> : <Badge tone="info">read</Badge>,
  },
  { label: "Made by", cell: (token) => <Foreign text={token.createdBy} max={80} /> },
  { label: "Made", kind: "tight", cell: (token) => <Moment at={token.createdAt} style="full" /> },
  { label: "Ends", kind: "tight", cell: (token) => <End token={token} /> },
  {
    label: "Actions",
    kind: "actions",
    cell: (token) => (
      <span class="row-actions">
        <a class="button quiet small danger-text" href={`/tokens/${encodeURIComponent(token.name)}/remove`}>
          <Icon name="trash" size={15} /> Remove…<span class="visually-hidden"> {token.name}</span>
        </a>
      </span>
    ),
  },
];

interface Shown {
  readonly made?: { readonly name: string; readonly token: string };
  readonly typed?: string;
  readonly problem?: string;
}

function NewToken({ token, origin }: { readonly token: string; readonly origin: string }) {
  return (
    <Notice tone="good" title="Here is the new token. Copy it now: it is not shown again.">
      <p>
        <code class="secret">{token}</code>
      </p>
      <p>
        <code>{`curl -H "Authorization: Bearer ${token}" ${origin}/api/v1/status`}</code>
      </p>
    </Notice>
  );
}

async function showTokens(c: ConsoleContext, shown: Shown = {}): Promise<Response> {
  const tokens = await c.get("services").accounts.tokens();
  const invalid = shown.problem !== undefined;
  return consolePage(
    c,
    { title: "API", nav: "tokens", status: invalid ? 422 : 200 },
    <>
      <PageHeader title="API" lead="Everything the console does, programs can do too, with a token.">
        <a class="button quiet" href="/api">
          <Icon name="code" /> API reference
        </a>
      </PageHeader>
      {shown.made && <NewToken token={shown.made.token} origin={new URL(c.req.url).origin} />}
      {tokens.length === 0 ? (
        <EmptyState icon="token" title="No token yet">
          Make one below for a script, a monitor or a ticket system. Give it no more than it needs. It ends
          with your account at the latest.
        </EmptyState>
      ) : (
        <DataTable
          caption="API tokens"
          columns={COLUMNS}
          rows={tokens}
          rowId={(token) => `t-${token.name}`}
        />
      )}
      <Card title="Make a token">
        <form method="post" action="/tokens" class="inline-form">
          <div class={invalid ? "field invalid" : "field"}>
            <label for="name">Name</label>
            <input
              id="name"
              name="name"
              value={shown.typed ?? ""}
              placeholder="monitoring"
              autocomplete="off"
              required
              aria-invalid={invalid ? "true" : undefined}
              aria-describedby={invalid ? "name-error" : undefined}
            />
            {invalid && (
              <span class="field-error" id="name-error">
                {shown.problem}
              </span>
            )}
          </div>
          <div class="field">
            <label for="scope">May</label>
            <select id="scope" name="scope">
              <option value="read">read</option>
              <option value="write">read and write</option>
            </select>
          </div>
          <div class="field">
            <label for="ends">Ends</label>
            <select id="ends" name="ends">
              {ENDS.map(({ value, label }) => (
                <option value={value} selected={value === "365d"}>
                  {label}
                </option>
              ))}
            </select>
          </div>
          <button type="submit">Make token</button>
        </form>
      </Card>
    </>,
  );
}

async function postToken(c: ConsoleContext): Promise<Response> {
  const form = c.get("form");
  const name = (form.get("name") ?? "").trim().slice(0, 100);
  const scope = form.get("scope") === "write" ? "write" : "read";
  const { accounts, clock } = c.get("services");
  const end = ENDS.find(({ value }) => value === (form.get("ends") ?? "never"));
  if (end === undefined) return showTokens(c, { typed: name, problem: "Choose when it ends." });
  const createdAt = clock.now();
  const expiresAt = end.days === null ? null : createdAt + end.days * DAY_MS;
  if (!/^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$/.test(name)) {
    return showTokens(c, { typed: name, problem: "Use 1 to 63 letters, digits, spaces, dots and dashes." });
  }
  if ((await accounts.tokens()).some((token) => token.name === name)) {
    return showTokens(c, { typed: name, problem: `There is a token “${name}” already; remove it first.` });
  }
  const token = `gp_${newToken()}`;
  await accounts.createToken({
    tokenHash: hashToken(token),
    name,
    scope,
    createdBy: accountOf(c).login,
    createdAt,
    accountId: accountOf(c).id,
    expiresAt,
  });
  await audit(c, { action: "api token created", subject: name, detail: `scope ${scope}, ends ${end.label}` });
  return showTokens(c, { made: { name, token } });
}

function askRemove(c: ConsoleContext): Promise<Response> {
  const name = c.req.param("name") ?? "";
  return confirmPage(c, {
    nav: "tokens",
    title: `Remove token ${name.slice(0, 80)}?`,
    words: <p>Programs that use it are refused from then on.</p>,
    action: `/tokens/${encodeURIComponent(name)}/remove`,
    submit: "Remove token",
    cancel: "/tokens",
  });
}

async function postRemove(c: ConsoleContext): Promise<Response> {
  const name = c.req.param("name") ?? "";
  if (!(await c.get("services").accounts.removeToken(name))) {
    return errorPage(c, 404, "No such token", `There is no token “${name.slice(0, 80)}”.`);
  }
  await audit(c, { action: "api token removed", subject: name });
  leaveNotice(c, "good", `The token ${name} was removed.`);
  return c.redirect("/tokens", 303);
}

export const tokenRoutes: readonly Route[] = [
  forAdministrator.get("/tokens", (c) => showTokens(c)),
  forAdministrator.post("/tokens", postToken),
  forAdministrator.get("/tokens/:name/remove", askRemove),
  forAdministrator.post("/tokens/:name/remove", postRemove),
];
