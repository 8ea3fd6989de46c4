// The head of a page: its title, what it is for, and its main actions.
import type { Child } from "hono/jsx";
import { Icon } from "./icon.tsx";

export interface Crumb {
  readonly href: string;
  readonly label: string;
}

export function PageHeader(props: {
  readonly title: Child;
  readonly lead?: Child;
  readonly crumb?: Crumb;
  readonly children?: Child;
}) {
  return (
    <header class="page-header">
      <div class="page-heading">
        {props.crumb && (
          <a class="crumb" href={props.crumb.href}>
            <Icon name="left" size={14} /> {props.crumb.label}
          </a>
        )}
        <h1>{props.title}</h1>
        {props.lead && <p class="lead">{props.lead}</p>}
      </div>
      {props.children && <div class="page-actions">{props.children}</div>}
    </header>
  );
}

/** A surface with a heading. */
export function Card(props: {
  readonly title?: Child;
  readonly id?: string;
  readonly aside?: Child;
  readonly flush?: boolean;
  readonly children?: Child;
}) {
  return (
    <section class={props.flush ? "card flush" : "card"} id={props.id}>
      {props.title && (
        <div class="card-head">
          <h2>{props.title}</h2>
          {props.aside && <div class="card-aside">{props.aside}</div>}
        </div>
      )}
      {props.children}
    </section>
  );
}

/** Facts as label and value. */
export function Details({ rows }: { readonly rows: readonly (readonly [string, Child])[] }) {
  return (
    <dl class="details">
      {rows.map(([label, value]) => (
        <div>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
