// The API's description (OpenAPI 3.1), made from the operations and their zod schemas.
import { z } from "zod";
import { API_BASE, type NamedSchema, type Operation } from "./operation.ts";

type Json = Readonly<Record<string, unknown>>;

const PROBLEM_SCHEMA: NamedSchema = {
  name: "Problem",
  io: "output",
  schema: z.object({
    type: z.string(),
    status: z.number().int(),
    title: z.string(),
    detail: z.string(),
    problems: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe("Field by field, when an input was refused"),
  }),
};

function jsonSchema(named: NamedSchema): Json {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(named.schema, {
    io: named.io,
    unrepresentable: "any",
  });
  return schema;
}

function refTo(named: NamedSchema): Json {
  return { $ref: `#/components/schemas/${named.name}` };
}

const CONDITIONS: Readonly<Record<NonNullable<Operation["conditions"]>[number], string>> = {
  "If-Match":
    'Carried out only when what is stored has one of these entity tags (the `ETag` of the GET); "*": when there is any.',
  "If-None-Match": '"*": carried out only when there is none yet.',
};

const ETAG = { ETag: { description: "For `If-Match`.", schema: { type: "string" } } };

function answer(description: string, named: NamedSchema): Json {
  return { description, content: { "application/json": { schema: refTo(named) } } };
}

function refusal(description: string): Json {
  return { description, content: { "application/problem+json": { schema: refTo(PROBLEM_SCHEMA) } } };
}

function success(operation: Operation): Json {
  if (operation.answer === "nothing") return { 204: { description: "Done." } };
  if (operation.answer === "message/rfc822") {
    return {
      200: { description: operation.summary, content: { "message/rfc822": { schema: { type: "string" } } } },
    };
  }
  const body = answer(operation.summary, operation.answer);
  return { 200: operation.tagged === true ? { ...body, headers: ETAG } : body };
}

function responses(operation: Operation): Json {
  const refusals = Object.entries(operation.refusals ?? {}).map(([status, words]) => [
    status,
    refusal(words),
  ]);
  return {
    ...success(operation),
    401: refusal("No API token was sent, or it is not known."),
    ...(operation.scope === "write" ? { 403: refusal("The token may only read.") } : {}),
    ...Object.fromEntries(refusals),
  };
}

function parameters(operation: Operation): readonly Json[] {
  const inPath = [...operation.path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inHeader = (operation.conditions ?? []).map((name) => ({
    name,
    in: "header",
    required: false,
    schema: { type: "string" },
    description: CONDITIONS[name],
  }));
  if (operation.query === undefined) return [...inPath, ...inHeader];
  const schema = z.toJSONSchema(operation.query, { io: "input", unrepresentable: "any" });
  const inQuery = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = typeof property === "object" ? property : {};
    return {
      name,
      in: "query",
      required: false,
      schema: rest,
      ...(description === undefined ? {} : { description }),
    };
  });
  return [...inPath, ...inHeader, ...inQuery];
}

function describe(operation: Operation): Json {
  const { body } = operation;
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    description: `Needs a token with the scope ${operation.scope}.`,
    parameters: parameters(operation),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: refTo(body) } } } }),
    responses: responses(operation),
  };
}

function namedSchemas(operations: readonly Operation[]): readonly NamedSchema[] {
  const all = operations.flatMap((operation) => [
    ...(operation.body === undefined ? [] : [operation.body]),
    ...(typeof operation.answer === "string" ? [] : [operation.answer]),
  ]);
  return [PROBLEM_SCHEMA, ...new Map(all.map((named) => [named.name, named])).values()];
}

/** The whole description. */
export function openApiDocument(operations: readonly Operation[], version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {};
    const path = paths[operation.path];
    if (path !== undefined) path[operation.method.toLowerCase()] = describe(operation);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Gatepost",
      version,
      description: "The gateway's settings, message log, quarantine and queue. Errors are RFC 9457 problems.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: API_BASE }],
    security: [{ token: [] }],
    tags: [...new Set(operations.map((operation) => operation.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "Made in the console under API." },
      },
      schemas: Object.fromEntries(namedSchemas(operations).map((named) => [named.name, jsonSchema(named)])),
    },
  };
}
