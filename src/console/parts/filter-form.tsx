// The line above a list that searches and filters it: asks the page again while one types, without script as a form. What can be
// chosen besides the search is the page's.
import type { Child, PropsWithChildren } from "hono/jsx";
import { Icon } from "./icon.tsx";

/** The field to type into. */
interface SearchField {
  readonly name: string;
  readonly value: string;
  readonly placeholder: string;
  /** For those who do not see it. */
  readonly label: string;
}

/** `children` stand beside the search, `more` below. The answer of `action` has the list as `#results`. */
export function FilterForm({
  action,
  search,
  more,
  children,
}: PropsWithChildren<{ readonly action: string; readonly search: SearchField; readonly more?: Child }>) {
  const { name, value, placeholder, label } = search;
  return (
    <search>
      <form
        class="filters"
        method="get"
        action={action}
        hx-get={action}
        hx-trigger={`submit, change, input changed delay:350ms from:#${name}`}
        hx-target="#results"
        hx-select="#results"
        hx-swap="outerHTML"
        hx-replace-url="true"
        hx-indicator="#progress"
        hx-sync="this:replace"
      >
        <div class="filter-main">
          <div class="search-field">
            <Icon name="search" />
            <input
              id={name}
              name={name}
              type="search"
              value={value}
              placeholder={placeholder}
              aria-label={label}
              data-shortcut="/"
            />
          </div>
          {children}
        </div>
        {more}
      </form>
    </search>
  );
}
