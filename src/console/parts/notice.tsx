// Notices: what was done, what went wrong. Kept for one page across a redirect in a cookie the browser cannot read.
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Child } from "hono/jsx";
import { z } from "zod";
import type { ConsoleContext } from "../console-env.ts";
import { clip } from "./foreign-text.tsx";
import { Icon } from "./icon.tsx";

const FLASH_COOKIE = "__Host-gatepost-notice";
const flashSchema = z.object({ tone: z.enum(["good", "warn", "bad", "info"]), text: z.string().max(600) });

export type Flash = z.output<typeof flashSchema>;

/** Shows the notice on the next page this browser opens. */
export function leaveNotice(c: ConsoleContext, tone: Flash["tone"], text: string): void {
  const value = JSON.stringify({ tone, text: clip(text, 500) });
  setCookie(c, FLASH_COOKIE, value, { path: "/", secure: true, httpOnly: true, sameSite: "Lax", maxAge: 60 });
}

/** Takes the notice left by the request before, if there is one. */
export function takeNotice(c: ConsoleContext): Flash | null {
  const value = getCookie(c, FLASH_COOKIE);
  if (value === undefined) return null;
  deleteCookie(c, FLASH_COOKIE, { path: "/", secure: true });
  try {
    return flashSchema.parse(JSON.parse(value));
  } catch {
    return null;
  }
}

/** A notice on the page. Bad ones are announced at once by screen readers. */
export function Notice(props: {
  readonly tone: Flash["tone"];
  readonly title?: string;
  readonly children?: Child;
}) {
  return (
    <div class={`notice tone-${props.tone}`} role={props.tone === "bad" ? "alert" : "status"}>
      <Icon name={props.tone} size={18} />
      <div class="notice-words">
        {props.title && <strong>{props.title}</strong>}
        <div>{props.children}</div>
      </div>
    </div>
  );
}
