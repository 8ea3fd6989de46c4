// Partial updates by htmx. A live region asks for its own page again and takes only itself out of the answer.

/** Sent by regions that refresh themselves; such requests do not keep a session alive. */
export const LIVE_HEADER = "X-Live";

/** Attributes of a region that refreshes itself every few seconds while it is looked at. `id` is the region's own id. */
export function liveRegion(options: { readonly id: string; readonly url: string; readonly seconds: number }) {
  return {
    id: options.id,
    "data-live": "",
    "hx-get": options.url,
    "hx-trigger": `every ${options.seconds}s`,
    "hx-select": `#${options.id}`,
    "hx-swap": "outerMorph",
    "hx-headers": JSON.stringify({ [LIVE_HEADER]: "1" }),
    "hx-sync": "this:drop",
  };
}

/** Attributes of a form whose answer is the same page: only the content is swapped, the place on the page stays. */
export function inPlace(action: string) {
  return {
    method: "post" as const,
    action,
    "hx-post": action,
    "hx-target": "#content",
    "hx-select": "#content",
    "hx-swap": "outerMorph",
    "hx-indicator": "#progress",
  };
}
