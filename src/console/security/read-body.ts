// Reads request bodies with a bound on size and time, so that a slow or endless client costs nothing.
import { problem } from "../api/problem.ts";
import type { ConsoleContext } from "../console-env.ts";
import { errorPage } from "../pages/error-page.tsx";

const MAX_FORM_BYTES = 256 * 1024;
/** A policy document of a large installation (thousands of domains) fits. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const MAX_FIELDS = 20_000;
const BODY_TIMEOUT_MS = 15_000;

type BodyResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly status: 408 | 413 };

/** Reads at most `maxBytes` within `timeoutMs`. */
export async function readBounded(
  request: Request,
  limits: { readonly maxBytes: number; readonly timeoutMs: number },
): Promise<BodyResult> {
  if (request.body === null) return { ok: true, bytes: new Uint8Array() };
  if (Number(request.headers.get("Content-Length") ?? 0) > limits.maxBytes) return { ok: false, status: 413 };
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<"late">((late) => {
    timer = setTimeout(() => late("late"), limits.timeoutMs);
  });
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), deadline]);
      if (read === "late") return { ok: false, status: 408 };
      if (read.done) return { ok: true, bytes: Buffer.concat(chunks) };
      size += read.value.length;
      if (size > limits.maxBytes) return { ok: false, status: 413 };
      chunks.push(read.value);
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => undefined);
  }
}

/** Fills `body` and `form`; returns the refusal when the body is too large or too slow. */
export async function readBody(c: ConsoleContext): Promise<Response | null> {
  if (c.req.method === "GET" || c.req.method === "HEAD") return null;
  const api = c.req.path.startsWith("/api/v1/");
  const result = await readBounded(c.req.raw, {
    maxBytes: api ? MAX_JSON_BYTES : MAX_FORM_BYTES,
    timeoutMs: BODY_TIMEOUT_MS,
  });
  if (!result.ok) {
    const title = result.status === 413 ? "The request is too large" : "The request came too slowly";
    const detail = "Nothing was changed. Send less at a time, or try again.";
    return api
      ? problem(c, { status: result.status, title, detail })
      : errorPage(c, result.status, title, detail);
  }
  c.set("body", result.bytes);
  const type = c.req.header("Content-Type");
  const isForm = type !== undefined && FORM_TYPE.test(type);
  // What is no form would be read as an empty one, and an empty form means something on many pages.
  if (!api && !isForm && (type !== undefined || result.bytes.length > 0))
    return errorPage(
      c,
      415,
      "This is not a form",
      "A page takes forms only (application/x-www-form-urlencoded). Nothing was changed.",
    );
  if (isForm) {
    const form = new URLSearchParams(new TextDecoder().decode(result.bytes));
    if (form.size > MAX_FIELDS)
      return errorPage(c, 413, "The form has too many fields", "Nothing was changed.");
    c.set("form", form);
  }
  return null;
}
