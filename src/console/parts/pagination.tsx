// Paging through lists that are newest first: towards older by cursor, back by the browser or to the newest.
import { counted } from "../words/amount.ts";
import { Icon } from "./icon.tsx";

export function Pagination(props: {
  readonly shown: number;
  /** One of them: `message`. */
  readonly noun: string;
  /** Address of the page with older lines, or null on the last one. */
  readonly older: string | null;
  /** Address of the first page, or null when this is it. */
  readonly newest: string | null;
}) {
  return (
    <nav class="pagination" aria-label="Pages">
      <span class="muted">{counted(props.shown, props.noun)} on this page</span>
      <span class="pagination-links">
        {props.newest !== null && (
          <a class="button quiet" href={props.newest}>
            <Icon name="left" /> Newest
          </a>
        )}
        {props.older !== null && (
          <a class="button quiet" href={props.older} rel="next">
            Older <Icon name="right" />
          </a>
        )}
      </span>
    </nav>
  );
}
