// Paging through lists: onward by cursor or number, back by the browser or to the first page.
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
  /** For lists that are not in order of time: other words for the two links. */
  readonly labels?: { readonly first: string; readonly next: string };
}) {
  const { first, next } = props.labels ?? { first: "Newest", next: "Older" };
  return (
    <nav class="pagination" aria-label="Pages">
      <span class="muted">{counted(props.shown, props.noun)} on this page</span>
      <span class="pagination-links">
        {props.newest !== null && (
          <a class="button quiet" href={props.newest}>
            <Icon name="left" /> {first}
          </a>
        )}
        {props.older !== null && (
          <a class="button quiet" href={props.older} rel="next">
            {next} <Icon name="right" />
          </a>
        )}
      </span>
    </nav>
  );
}
