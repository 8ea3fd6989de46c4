// Every operation of the JSON API, as routes, with their description at /api/v1/openapi.json.
import type { ConsoleContext } from "../console-env.ts";
import { forEveryone, type Route } from "../route.ts";
import { dkimOperations } from "./dkim-operations.ts";
import { mailOperations } from "./mail-operations.ts";
import { openApiDocument } from "./openapi.ts";
import { API_BASE, type Operation, routeOf } from "./operation.ts";
import { outgoingOperations } from "./outgoing-operations.ts";
import { policyOperations } from "./policy-operations.ts";

export const API_OPERATIONS: readonly Operation[] = [
  ...mailOperations,
  ...outgoingOperations,
  ...policyOperations,
  ...dkimOperations,
];

function getDescription(c: ConsoleContext): Response {
  return c.json(openApiDocument(API_OPERATIONS, c.get("services").version));
}

export const apiRoutes: readonly Route[] = [
  forEveryone("it describes the product, nothing of this installation").get(
    `${API_BASE}/openapi.json`,
    getDescription,
  ),
  ...API_OPERATIONS.map(routeOf),
];
