// Remembers the reader's choice of colours.
import { setCookie } from "hono/cookie";
import type { ConsoleContext } from "../console-env.ts";
import { THEME_COOKIE, themeOf } from "../parts/theme-switch.tsx";
import { forEveryone, type Route } from "../route.ts";
import { safeNext } from "./login-page.tsx";

const YEAR_S = 31_536_000;

function postTheme(c: ConsoleContext): Response {
  const form = c.get("form");
  const theme = themeOf(form.get("theme"));
  setCookie(c, THEME_COOKIE, theme, { path: "/", secure: true, sameSite: "Lax", maxAge: YEAR_S });
  return c.redirect(safeNext(form.get("back") ?? "/"), 303);
}

export const themeRoutes: readonly Route[] = [
  forEveryone("it sets the colours of one browser and nothing else").post("/theme", postTheme),
];
