// The static files of the console, embedded in the binary and served under addresses that carry their hash.
// Owns their addresses and caching; knows nothing of pages.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import picoText from "@picocss/pico/css/pico.min.css" with { type: "text" };
import altchaStyleText from "altcha/altcha.css" with { type: "text" };
import altchaText from "altcha/external" with { type: "text" };
import altchaWorkerText from "altcha/workers/pbkdf2" with { type: "text" };
import htmxText from "htmx.org/dist/htmx.min.js" with { type: "text" };
import challengeText from "./challenge.client.js" with { type: "text" };
import challengeStyleText from "./challenge.css" with { type: "text" };
import componentsText from "./components.css" with { type: "text" };
import clientText from "./console.client.js" with { type: "text" };
import fontsText from "./fonts.css" with { type: "text" };
import formsText from "./forms.css" with { type: "text" };
import interPath from "./inter-latin.woff2" with { type: "file" };
import monoPath from "./jetbrains-mono-latin.woff2" with { type: "file" };
import layoutText from "./layout.css" with { type: "text" };
import markText from "./mark.svg" with { type: "text" };
import outgoingText from "./outgoing.css" with { type: "text" };
import pagesText from "./pages.css" with { type: "text" };
import policyPagesText from "./policy-pages.css" with { type: "text" };
import tablesText from "./tables.css" with { type: "text" };
import tokensText from "./tokens.css" with { type: "text" };

export interface Asset {
  /** `/assets/console-1a2b3c4d5e6f.css`. */
  readonly path: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface ConsoleAssets {
  readonly stylesheet: Asset;
  readonly htmx: Asset;
  readonly client: Asset;
  readonly mark: Asset;
  /** The challenge widget, only for the pages that have one: its code, what starts it, its worker, its looks. */
  readonly challenge: {
    readonly widget: Asset;
    readonly start: Asset;
    readonly worker: Asset;
    readonly stylesheet: Asset;
  };
  /** Every asset by its path. */
  readonly byPath: ReadonlyMap<string, Asset>;
}

function asset(name: string, type: string, content: string | Uint8Array): Asset {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const dot = name.lastIndexOf(".");
  return { path: `/assets/${name.slice(0, dot)}-${hash}${name.slice(dot)}`, type, bytes };
}

const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

function challengeAssets(): ConsoleAssets["challenge"] {
  return {
    widget: asset("challenge-widget.js", SCRIPT, altchaText),
    start: asset("challenge.js", SCRIPT, challengeText),
    worker: asset("challenge-worker.js", SCRIPT, altchaWorkerText),
    stylesheet: asset("challenge.css", STYLE, `${altchaStyleText}\n${challengeStyleText}`),
  };
}

/** Reads every asset once. Throws when the binary lacks one: the console must not start half dressed. */
export function loadAssets(): ConsoleAssets {
  const inter = asset("inter.woff2", "font/woff2", readFileSync(interPath));
  const mono = asset("mono.woff2", "font/woff2", readFileSync(monoPath));
  const fonts = fontsText.replace("INTER_PATH", inter.path).replace("MONO_PATH", mono.path);
  const sheets = [
    picoText,
    fonts,
    tokensText,
    layoutText,
    componentsText,
    tablesText,
    formsText,
    pagesText,
    outgoingText,
    policyPagesText,
  ];
  const stylesheet = asset("console.css", STYLE, sheets.join("\n"));
  const htmx = asset("htmx.js", SCRIPT, htmxText);
  const client = asset("console.js", SCRIPT, clientText);
  const mark = asset("mark.svg", "image/svg+xml", markText);
  const challenge = challengeAssets();
  const all = [inter, mono, stylesheet, htmx, client, mark, ...Object.values(challenge)];
  return { stylesheet, htmx, client, mark, challenge, byPath: new Map(all.map((one) => [one.path, one])) };
}
