// Errors of the JSON API. (RFC 9457)
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { PolicyProblem } from "../../policy/settings.ts";
import type { ConsoleContext } from "../console-env.ts";

export interface Problem {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly detail: string;
  /** Field by field, when an input was refused. */
  readonly problems?: readonly PolicyProblem[];
}

/** An `application/problem+json` answer. */
export function problem(c: ConsoleContext, one: Problem): Response {
  c.header("Content-Type", "application/problem+json");
  return c.body(JSON.stringify({ type: "about:blank", ...one }), one.status);
}
