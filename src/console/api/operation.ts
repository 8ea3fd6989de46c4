// Operations of the JSON API as values: each is a route and its own description at once, so that the two cannot drift apart.
import type { z } from "zod";
import type { ConsoleContext } from "../console-env.ts";
import type { Method, Route, TokenScope } from "../route.ts";
import { forToken } from "../route.ts";
import { problem } from "./problem.ts";

/** A schema with the name it has under `components/schemas`. */
export interface NamedSchema {
  readonly name: string;
  readonly schema: z.ZodType;
  /** `input`: as it may be written, defaults left out; `output`: as it is answered. */
  readonly io: "input" | "output";
}

export interface Operation {
  readonly method: Method;
  /** Below `/api/v1`, with `{name}` for parameters. */
  readonly path: string;
  readonly scope: TokenScope;
  /** `listDomains`. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  /** Which header fields of RFC 9110 §13.1 it minds: the answer's `ETag` is what they name. */
  readonly conditions?: readonly ("If-Match" | "If-None-Match")[];
  /** The answer has an `ETag`. */
  readonly tagged?: true;
  readonly body?: NamedSchema;
  readonly answer: NamedSchema | "message/rfc822" | "nothing";
  /** Refusals besides 401, 403, 413 and 500, with what they mean. */
  readonly refusals?: Readonly<Partial<Record<404 | 409 | 410 | 412 | 422, string>>>;
  readonly handle: (c: ConsoleContext) => Response | Promise<Response>;
}

export const API_BASE = "/api/v1";

/** The operation as a route. */
export function routeOf(operation: Operation): Route {
  const path = API_BASE + operation.path.replace(/\{([a-z]+)\}/g, ":$1");
  const maker = forToken(operation.scope);
  switch (operation.method) {
    case "GET":
      return maker.get(path, operation.handle);
    case "POST":
      return maker.post(path, operation.handle);
    case "PUT":
      return maker.put(path, operation.handle);
    case "DELETE":
      return maker.delete(path, operation.handle);
  }
}

export type JsonBody =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly refusal: Response };

/** The request's body as JSON, or the refusal to send. */
export function jsonBody(c: ConsoleContext): JsonBody {
  const type = c.req.header("Content-Type") ?? "";
  if (!/^application\/([a-z.+-]+\+)?json\b/i.test(type)) {
    const detail = `Send the body with Content-Type: application/json, not "${type.slice(0, 80)}".`;
    return { ok: false, refusal: problem(c, { status: 415, title: "The body is not JSON", detail }) };
  }
  try {
    return { ok: true, value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(c.get("body"))) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { ok: false, refusal: problem(c, { status: 400, title: "The body is not valid JSON", detail }) };
  }
}

export type QueryAnswer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Response };

/** The query parameters by their schema, or the refusal to send. */
export function queryOf<T extends z.ZodObject>(c: ConsoleContext, schema: T): QueryAnswer<z.output<T>> {
  const parsed = schema.safeParse(c.req.query());
  if (parsed.success) return { ok: true, value: parsed.data };
  const problems = parsed.error.issues.map((issue) => ({
    path: issue.path.join("."),
    message: issue.message,
  }));
  const refusal = problem(c, {
    status: 422,
    title: "A query parameter is wrong",
    detail: "See problems.",
    problems,
  });
  return { ok: false, refusal };
}

export function notFound(c: ConsoleContext, what: string): Response {
  return problem(c, {
    status: 404,
    title: `No such ${what}`,
    detail: `There is no ${what} of that name or id.`,
  });
}
