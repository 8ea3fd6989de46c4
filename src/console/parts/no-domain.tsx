// What an administrator of domains sees who has none: every list of theirs is empty for that one reason.
import { EmptyState } from "./empty-state.tsx";

export function NoDomain() {
  return (
    <EmptyState icon="domain" title="No domain yet">
      An administrator has not given you one, or it is no longer on this gateway. Nothing is shown here until
      an administrator gives you one.
    </EmptyState>
  );
}
