// The question before something that cannot be undone. A page of its own: works without script, by keyboard, and can be left.
import type { Child } from "hono/jsx";
import type { ConsoleContext } from "../console-env.ts";
import { consolePage } from "./document.tsx";
import type { PageName } from "./navigation.tsx";
import { PageHeader } from "./page-header.tsx";

export function confirmPage(
  c: ConsoleContext,
  question: {
    readonly nav: PageName;
    readonly title: string;
    readonly words: Child;
    readonly action: string;
    readonly submit: string;
    readonly cancel: string;
    readonly hidden?: readonly (readonly [string, string])[];
  },
): Promise<Response> {
  return consolePage(
    c,
    { title: question.title, nav: question.nav },
    <>
      <PageHeader title={question.title} />
      <form method="post" action={question.action} class="card confirm">
        <div class="confirm-words">{question.words}</div>
        {(question.hidden ?? []).map(([name, value]) => (
          <input type="hidden" name={name} value={value} />
        ))}
        <div class="form-actions">
          <button type="submit" class="danger">
            {question.submit}
          </button>
          <a class="button quiet" href={question.cancel}>
            Cancel
          </a>
        </div>
      </form>
    </>,
  );
}
