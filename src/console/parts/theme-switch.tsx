// Light, dark, or as the system has it: a form post that leaves a cookie, so it works without script.
import { Icon, type IconName } from "./icon.tsx";

export type Theme = "auto" | "light" | "dark";
export const THEME_COOKIE = "gatepost-theme";

const NEXT: Readonly<
  Record<Theme, { readonly next: Theme; readonly icon: IconName; readonly label: string }>
> = {
  auto: { next: "light", icon: "auto", label: "Colours: as the system" },
  light: { next: "dark", icon: "sun", label: "Colours: light" },
  dark: { next: "auto", icon: "moon", label: "Colours: dark" },
};

/** The theme a cookie or a form names; `auto` for anything else. */
export function themeOf(text: string | undefined | null): Theme {
  return text === "light" || text === "dark" ? text : "auto";
}

export function ThemeSwitch({ theme, here }: { readonly theme: Theme; readonly here: string }) {
  const { next, icon, label } = NEXT[theme];
  return (
    <form method="post" action="/theme" class="theme-switch">
      <input type="hidden" name="back" value={here} />
      <button type="submit" name="theme" value={next} class="nav-button" title={`Change to ${next}`}>
        <Icon name={icon} /> <span>{label}</span>
      </button>
    </form>
  );
}
