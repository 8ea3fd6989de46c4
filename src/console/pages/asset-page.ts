// Serves the embedded assets: their address carries their hash, so browsers keep them for good.
import type { ConsoleContext } from "../console-env.ts";
import { forEveryone, type Route } from "../route.ts";

function getAsset(c: ConsoleContext): Response {
  const asset = c.get("assets").byPath.get(c.req.path);
  if (asset === undefined) return c.text("No such file.", 404);
  c.header("Content-Type", asset.type);
  c.header("Cache-Control", "public, max-age=31536000, immutable");
  return c.body(asset.bytes);
}

export const assetRoutes: readonly Route[] = [
  forEveryone("style sheet, script and icon; the log-in page needs them too").get("/assets/:name", getAsset),
];
