// The head of every settings page: its title and the tabs between them.
import { PageHeader } from "../parts/page-header.tsx";

const TABS = [
  { href: "/settings", label: "Networks" },
  { href: "/settings/delivery", label: "Delivery" },
  { href: "/settings/general", label: "General" },
  { href: "/settings/templates", label: "Templates" },
  { href: "/settings/hooks", label: "Hooks" },
] as const;

export type SettingsTab = (typeof TABS)[number]["href"];

export function SettingsHeader({ current }: { readonly current: SettingsTab }) {
  return (
    <>
      <PageHeader
        title="Settings"
        lead="What holds for the whole gateway. Changes hold at once and stand in the audit log."
      />
      <nav class="tabs" aria-label="Settings">
        {TABS.map((tab) => (
          <a href={tab.href} aria-current={tab.href === current ? "page" : undefined}>
            {tab.label}
          </a>
        ))}
      </nav>
    </>
  );
}
