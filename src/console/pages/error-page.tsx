// What people see when a page cannot be shown: what happened and where to go from here.
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ConsoleContext } from "../console-env.ts";
import { plainPage } from "../parts/document.tsx";

/** A page that says why not. Nothing private: guests see it too. */
export function errorPage(
  c: ConsoleContext,
  status: ContentfulStatusCode,
  title: string,
  words: string,
): Promise<Response> {
  const guest = c.get("signedIn") === null;
  return plainPage(
    c,
    { title, status },
    <>
      <h1>{title}</h1>
      <p>{words}</p>
      <p>
        <a class="button" href={guest ? "/login" : "/"}>
          {guest ? "Log in" : "Back to the console"}
        </a>
      </p>
    </>,
  );
}
