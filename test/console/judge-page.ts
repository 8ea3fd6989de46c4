// Judges a page in a browser with axe. Within the page itself: by default axe opens a second page for each judgement and loads itself
// there once more, which costs more than judging and is only of use with frames of other sites. The console has none.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "playwright-core";

export type Scheme = "light" | "dark";

/** What a page does wrong, in words. Light is judged by every rule; dark differs from it in colours only. */
export async function violationsOf(page: Page, scheme: Scheme): Promise<readonly string[]> {
  const axe = new AxeBuilder({ page })
    .setLegacyMode()
    .options({ resultTypes: ["violations"] })
    .exclude("iframe");
  const { violations } = await (scheme === "dark" ? axe.withRules(["color-contrast"]) : axe).analyze();
  return violations.map(
    (one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
  );
}
