// Edit and remove at the end of a row.
import { Icon } from "./icon.tsx";

export function RowLinks({ base, itemKey }: { readonly base: string; readonly itemKey: string }) {
  const url = `${base}/${encodeURIComponent(itemKey)}`;
  return (
    <span class="row-actions">
      <a class="button quiet small" href={`${url}/edit`}>
        <Icon name="pencil" size={15} /> Edit<span class="visually-hidden"> {itemKey}</span>
      </a>
      <a class="button quiet small danger-text" href={`${url}/remove`}>
        <Icon name="trash" size={15} /> Remove…<span class="visually-hidden"> {itemKey}</span>
      </a>
    </span>
  );
}
