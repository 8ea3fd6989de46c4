// The icons in use, embedded from lucide-static and taken apart into shapes, so that no markup is passed through unread.

import arrowSvg from "lucide-static/icons/arrow-right.svg" with { type: "text" };
import banSvg from "lucide-static/icons/ban.svg" with { type: "text" };
import codeSvg from "lucide-static/icons/braces.svg" with { type: "text" };
import checkSvg from "lucide-static/icons/check.svg" with { type: "text" };
import leftSvg from "lucide-static/icons/chevron-left.svg" with { type: "text" };
import rightSvg from "lucide-static/icons/chevron-right.svg" with { type: "text" };
import goodSvg from "lucide-static/icons/circle-check.svg" with { type: "text" };
import heldSvg from "lucide-static/icons/circle-pause.svg" with { type: "text" };
import quietSvg from "lucide-static/icons/circle-slash.svg" with { type: "text" };
import clockSvg from "lucide-static/icons/clock.svg" with { type: "text" };
import downloadSvg from "lucide-static/icons/download.svg" with { type: "text" };
import eyeSvg from "lucide-static/icons/eye.svg" with { type: "text" };
import fileSvg from "lucide-static/icons/file-text.svg" with { type: "text" };
import identitySvg from "lucide-static/icons/fingerprint.svg" with { type: "text" };
import domainSvg from "lucide-static/icons/globe.svg" with { type: "text" };
import auditSvg from "lucide-static/icons/history.svg" with { type: "text" };
import infoSvg from "lucide-static/icons/info.svg" with { type: "text" };
import tokenSvg from "lucide-static/icons/key-round.svg" with { type: "text" };
import overviewSvg from "lucide-static/icons/layout-dashboard.svg" with { type: "text" };
import queueSvg from "lucide-static/icons/list-restart.svg" with { type: "text" };
import lockSvg from "lucide-static/icons/lock.svg" with { type: "text" };
import unlockSvg from "lucide-static/icons/lock-open.svg" with { type: "text" };
import logoutSvg from "lucide-static/icons/log-out.svg" with { type: "text" };
import mailSvg from "lucide-static/icons/mail.svg" with { type: "text" };
import releaseSvg from "lucide-static/icons/mail-check.svg" with { type: "text" };
import menuSvg from "lucide-static/icons/menu.svg" with { type: "text" };
import moonSvg from "lucide-static/icons/moon.svg" with { type: "text" };
import badSvg from "lucide-static/icons/octagon-x.svg" with { type: "text" };
import paperclipSvg from "lucide-static/icons/paperclip.svg" with { type: "text" };
import holdSvg from "lucide-static/icons/pause.svg" with { type: "text" };
import pencilSvg from "lucide-static/icons/pencil.svg" with { type: "text" };
import listenerSvg from "lucide-static/icons/plug-zap.svg" with { type: "text" };
import plusSvg from "lucide-static/icons/plus.svg" with { type: "text" };
import retrySvg from "lucide-static/icons/rotate-cw.svg" with { type: "text" };
import ruleSvg from "lucide-static/icons/scale.svg" with { type: "text" };
import logSvg from "lucide-static/icons/scroll-text.svg" with { type: "text" };
import searchSvg from "lucide-static/icons/search.svg" with { type: "text" };
import quarantineSvg from "lucide-static/icons/shield-alert.svg" with { type: "text" };
import accountsSvg from "lucide-static/icons/shield-user.svg" with { type: "text" };
import settingsSvg from "lucide-static/icons/sliders-horizontal.svg" with { type: "text" };
import sunSvg from "lucide-static/icons/sun.svg" with { type: "text" };
import autoSvg from "lucide-static/icons/sun-moon.svg" with { type: "text" };
import trashSvg from "lucide-static/icons/trash.svg" with { type: "text" };
import warnSvg from "lucide-static/icons/triangle-alert.svg" with { type: "text" };
import deliverySvg from "lucide-static/icons/truck.svg" with { type: "text" };
import accountSvg from "lucide-static/icons/user-round.svg" with { type: "text" };
import senderSvg from "lucide-static/icons/users-round.svg" with { type: "text" };
import hookSvg from "lucide-static/icons/webhook.svg" with { type: "text" };
import closeSvg from "lucide-static/icons/x.svg" with { type: "text" };

const SVG_TEXTS = {
  overview: overviewSvg,
  log: logSvg,
  quarantine: quarantineSvg,
  queue: queueSvg,
  domain: domainSvg,
  sender: senderSvg,
  rule: ruleSvg,
  listener: listenerSvg,
  settings: settingsSvg,
  audit: auditSvg,
  token: tokenSvg,
  account: accountSvg,
  logout: logoutSvg,
  moon: moonSvg,
  sun: sunSvg,
  auto: autoSvg,
  menu: menuSvg,
  close: closeSvg,
  good: goodSvg,
  bad: badSvg,
  warn: warnSvg,
  info: infoSvg,
  search: searchSvg,
  right: rightSvg,
  left: leftSvg,
  retry: retrySvg,
  hold: holdSvg,
  trash: trashSvg,
  download: downloadSvg,
  eye: eyeSvg,
  plus: plusSvg,
  pencil: pencilSvg,
  mail: mailSvg,
  lock: lockSvg,
  unlock: unlockSvg,
  paperclip: paperclipSvg,
  hook: hookSvg,
  code: codeSvg,
  held: heldSvg,
  clock: clockSvg,
  quiet: quietSvg,
  delivery: deliverySvg,
  release: releaseSvg,
  file: fileSvg,
  arrow: arrowSvg,
  check: checkSvg,
  ban: banSvg,
  identity: identitySvg,
  accounts: accountsSvg,
} as const;

export type IconName = keyof typeof SVG_TEXTS;

interface Shape {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const SHAPE_TAGS = new Set(["path", "circle", "ellipse", "line", "polyline", "polygon", "rect"]);
const SHAPE_ATTRIBUTES = new Set([
  "d",
  "cx",
  "cy",
  "r",
  "rx",
  "ry",
  "x",
  "y",
  "x1",
  "y1",
  "x2",
  "y2",
  "width",
  "height",
  "points",
]);

/** The shapes of an icon file; anything but plain shapes with plain attributes is an error at start. */
function shapesOf(name: string, svg: string): readonly Shape[] {
  const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.indexOf("</svg>"));
  return [...body.matchAll(/<([a-z]+)\s([^>]*?)\/>/g)].map(([, tag = "", text = ""]) => {
    const attributes = Object.fromEntries(
      [...text.matchAll(/([a-z0-9-]+)="([^"<>&]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
    );
    const odd = Object.keys(attributes).find((key) => !SHAPE_ATTRIBUTES.has(key) && key !== "fill");
    if (!SHAPE_TAGS.has(tag) || odd !== undefined)
      throw new Error(`icon ${name} has an unknown <${tag} ${odd ?? ""}>`);
    return { tag, attributes };
  });
}

const SHAPES: ReadonlyMap<string, readonly Shape[]> = new Map(
  Object.entries(SVG_TEXTS).map(([name, svg]) => [name, shapesOf(name, svg)]),
);

/** An icon beside a word. It is decoration: the word says it all. */
export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      class="icon"
      xmlns="http://www.w3.org/2000/svg"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {(SHAPES.get(name) ?? []).map(({ tag: Tag, attributes }) => (
        <Tag {...attributes} />
      ))}
    </svg>
  );
}
