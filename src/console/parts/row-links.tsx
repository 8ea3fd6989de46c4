// Edit and remove at the end of a row, after links of the row's own kind.
import type { Child } from "hono/jsx";
import { Icon } from "./icon.tsx";

export function RowLinks(props: {
  readonly base: string;
  readonly itemKey: string;
  /** It can be looked at only. */
  readonly fixed?: boolean;
  readonly children?: Child;
}) {
  const { base, itemKey } = props;
  const url = `${base}/${encodeURIComponent(itemKey)}`;
  return (
    <span class="row-actions">
      {props.children}
      {props.fixed !== true && (
        <>
          <a class="button quiet small" href={`${url}/edit`}>
            <Icon name="pencil" size={15} /> Edit<span class="visually-hidden"> {itemKey}</span>
          </a>
          <a class="button quiet small danger-text" href={`${url}/remove`}>
            <Icon name="trash" size={15} /> Remove…<span class="visually-hidden"> {itemKey}</span>
          </a>
        </>
      )}
    </span>
  );
}
