// The API reference for people, made from the same operations as the OpenAPI description.
import { API_OPERATIONS } from "../api/api-routes.ts";
import { API_BASE, type Operation } from "../api/operation.ts";
import type { ConsoleContext } from "../console-env.ts";
import { Badge } from "../parts/badge.tsx";
import { consolePage } from "../parts/document.tsx";
import { Icon } from "../parts/icon.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { forAdministrator, type Route } from "../route.ts";
import type { Tone } from "../words/state.ts";

const TONES: Readonly<Record<Operation["method"], Tone>> = {
  GET: "info",
  POST: "good",
  PUT: "warn",
  DELETE: "bad",
};

function OperationItem({ operation }: { readonly operation: Operation }) {
  const query = Object.keys(operation.query?.shape ?? {});
  return (
    <li class="operation">
      <span class="operation-head">
        <Badge tone={TONES[operation.method]}>{operation.method}</Badge>
        <code>
          {API_BASE}
          {operation.path}
        </code>
        {operation.scope === "write" && <span class="muted">write</span>}
      </span>
      <span class="operation-words">
        {operation.summary}
        {query.length > 0 && <span class="muted">. Query: {query.join(", ")}</span>}
        {operation.body && <span class="muted">. Body: {operation.body.name}</span>}
      </span>
    </li>
  );
}

function getApi(c: ConsoleContext): Promise<Response> {
  const { origin } = new URL(c.req.url);
  const groups = Map.groupBy(API_OPERATIONS, (operation) => operation.tag);
  return consolePage(
    c,
    { title: "API reference", nav: "tokens" },
    <>
      <PageHeader
        crumb={{ href: "/tokens", label: "API" }}
        title="API reference"
        lead="JSON over HTTPS. Send a token with every request; errors come as application/problem+json."
      >
        <a class="button quiet" href={`${API_BASE}/openapi.json`}>
          <Icon name="code" /> OpenAPI 3.1
        </a>
      </PageHeader>
      <Card title="First request">
        <pre class="example">{`curl -H "Authorization: Bearer gp_…" "${origin}${API_BASE}/messages?state=quarantined&limit=20"`}</pre>
        <p class="muted">
          Lists answer <code>{'{"items": […], "next": …}'}</code>. Pass <code>next</code> as{" "}
          <code>before</code> to get the next page. Times are milliseconds since 1970, UTC.
        </p>
      </Card>
      {[...groups].map(([tag, operations]) => (
        <Card title={tag} id={tag} flush>
          <ul class="operations">
            {operations.map((operation) => (
              <OperationItem operation={operation} />
            ))}
          </ul>
        </Card>
      ))}
    </>,
  );
}

export const apiPageRoutes: readonly Route[] = [forAdministrator.get("/api", getApi)];
