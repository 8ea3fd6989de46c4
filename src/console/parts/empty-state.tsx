// What a page shows when there is nothing to show: why, and what to do next.
import type { Child } from "hono/jsx";
import { Icon, type IconName } from "./icon.tsx";

export function EmptyState(props: {
  readonly icon: IconName;
  readonly title: string;
  readonly children?: Child;
  readonly action?: { readonly href: string; readonly label: string };
}) {
  return (
    <div class="empty">
      <div class="empty-icon">
        <Icon name={props.icon} size={26} />
      </div>
      <p class="empty-title">{props.title}</p>
      <p class="empty-words">{props.children}</p>
      {props.action && (
        <a class="button" href={props.action.href}>
          {props.action.label}
        </a>
      )}
    </div>
  );
}
