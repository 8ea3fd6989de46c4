// A message for the console's viewer: text, sanitised HTML, list of attachments. Runs inside a scan worker; no I/O.
// The viewer shows the HTML in a sandboxed frame under its own CSP; what is done here is the inner of two fences.
import PostalMime, { type Email } from "postal-mime";
import sanitizeHtml from "sanitize-html";
import { headOf, type MessageBody } from "../message/body.ts";
import { displayText, eachField, rawValue, readHeaderBlock } from "../message/header-block.ts";
import { wholeBody } from "../store/body-file.ts";
import { savedName } from "./file-name.ts";
import type { MessageView } from "./message-view.ts";
import { walkMime } from "./mime-walk.ts";

/** Taking a message apart needs several times its size. */
const MAX_MESSAGE_BYTES = 16_777_216;
const MAX_HTML = 1_000_000;
const MAX_TEXT = 500_000;
const MAX_HEADERS = 200;
const MAX_HEADER_VALUE = 2000;
const MAX_ATTACHMENTS = 200;

/** Takes the message apart for people. Never throws for what is in it: `problem` says what could not be shown. */
export async function renderView(body: MessageBody): Promise<MessageView> {
  const headers = headersOf(headOf(body));
  const empty = { headers, text: "", html: "", attachments: [] };
  if (body.length > MAX_MESSAGE_BYTES) {
    return {
      ...empty,
      problem: `The message is larger than ${MAX_MESSAGE_BYTES / 1_048_576} MB; only its header is shown.`,
    };
  }
  const raw = await wholeBody(body);
  const { cut } = walkMime(raw);
  if (cut !== null) return { ...empty, problem: `The message has ${cut}; only its header is shown.` };
  try {
    const email = await new PostalMime({
      maxNestingDepth: 30,
      maxHeadersSize: 1_048_576,
      attachmentEncoding: "arraybuffer",
    }).parse(raw);
    return { headers, ...contentOf(email) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : "unknown";
    return {
      ...empty,
      problem: `The message could not be taken apart (${reason}); only its header is shown.`,
    };
  }
}

function contentOf(email: Email): Omit<MessageView, "headers"> {
  const html = email.html ?? "";
  const text = email.text ?? "";
  const problems: string[] = [];
  if (html.length > MAX_HTML)
    problems.push(`The HTML is longer than ${MAX_HTML} characters and is shown as text only.`);
  if (text.length > MAX_TEXT) problems.push(`The text is cut at ${MAX_TEXT} characters.`);
  return {
    text: text.slice(0, MAX_TEXT).toWellFormed(),
    html: html.length > MAX_HTML ? "" : cleanHtml(html),
    attachments: email.attachments.slice(0, MAX_ATTACHMENTS).map((attachment) => ({
      name: savedName(attachment.filename ?? "") || "unnamed",
      type: attachment.mimeType,
      size:
        typeof attachment.content === "string" ? attachment.content.length : attachment.content.byteLength,
    })),
    problem: problems.length === 0 ? null : problems.join(" "),
  };
}

function headersOf(raw: Uint8Array): MessageView["headers"] {
  const { text } = readHeaderBlock(raw);
  const headers: { name: string; value: string }[] = [];
  eachField(text, (field) => {
    const named = field.name !== "";
    const name = named ? displayText(text.slice(field.start, field.colon), MAX_HEADER_VALUE) : "";
    const value = named ? rawValue(text, field) : text.slice(field.start, field.end).replaceAll("\r\n", "");
    headers.push({ name, value: displayText(value, MAX_HEADER_VALUE) });
    return headers.length < MAX_HEADERS;
  });
  return headers;
}

const LENGTH = /^-?\d{1,4}(?:\.\d+)?(?:px|em|rem|pt|%)?$/;
const COLOUR = /^(?:#[0-9a-f]{3,8}|[a-z]{3,20}|rgba?\([\d\s.,%/]{1,40}\))$/i;
const WORD = /^[a-z-]{1,30}$/i;

/** Styles that cannot load anything, leave their place or cover something else. */
const STYLES = {
  color: [COLOUR],
  "background-color": [COLOUR],
  "text-align": [WORD],
  "font-weight": [/^(?:[a-z]{4,8}|[1-9]00)$/],
  "font-style": [WORD],
  "font-size": [LENGTH, WORD],
  "text-decoration": [WORD],
  "vertical-align": [WORD],
  width: [/^\d{1,4}(?:px|%)?$/],
  padding: [/^(?:\d{1,3}(?:px|em|pt)?\s*){1,4}$/],
  border: [/^[\w\s#]{1,40}$/],
  "border-collapse": [WORD],
};

/** Sanitised: no script, no remote loads (images become their alternative text), no forms, no style that escapes. Links open apart. */
export function cleanHtml(html: string): string {
  if (html === "") return "";
  return sanitizeHtml(html, {
    allowedTags: (
      "a abbr b blockquote br caption center cite code col colgroup dd del div dl dt em font h1 h2 h3 h4 h5 h6 hr i ins li ol p pre " +
      "q s small span strike strong sub sup table tbody td tfoot th thead tr tt u ul"
    ).split(" "),
    allowedAttributes: {
      "*": ["style", "align", "dir", "lang", "title"],
      a: ["href", "rel", "target"],
      td: ["colspan", "rowspan", "valign", "width"],
      th: ["colspan", "rowspan", "valign", "width"],
      table: ["width", "cellpadding", "cellspacing", "border"],
      font: ["color", "size"],
      ol: ["start", "type"],
    },
    allowedSchemes: ["http", "https", "mailto"],
    allowedSchemesAppliedToAttributes: ["href"],
    allowProtocolRelative: false,
    allowedStyles: { "*": STYLES },
    disallowedTagsMode: "discard",
    nonTextTags: [
      "script",
      "style",
      "textarea",
      "option",
      "noscript",
      "title",
      "xmp",
      "iframe",
      "template",
      "svg",
      "math",
    ],
    nestingLimit: 100,
    transformTags: {
      a: (_name, attributes) => ({
        tagName: "a",
        attribs: { ...attributes, rel: "noopener noreferrer nofollow", target: "_blank" },
      }),
      img: (_name, attributes) => ({
        tagName: "span",
        attribs: {},
        text: attributes.alt ? `[${attributes.alt}]` : "[image]",
      }),
    },
  });
}
