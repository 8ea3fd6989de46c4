// When a domain was registered, asked of an RDAP service (RFC 9082, RFC 9083). One question at a time is asked here; who asks keeps answers.

/** `unknown`: the service knows no date. `failed`: it gave no usable answer, so nothing is known. Words are for people. */
export type RdapAnswer =
  /** Milliseconds UTC. */
  | { readonly kind: "registered"; readonly at: number }
  | { readonly kind: "unknown"; readonly words: string }
  | { readonly kind: "failed"; readonly words: string };

const TIMEOUT_MS = 5000;
/** A service such as rdap.org sends on to the registry, which may send on once more. */
const MAX_REDIRECTS = 5;
const MAX_BYTES = 1_048_576;

/** Asks `{base}domain/{domain}`. `domain` is in ASCII. Never rejects; answers within 5 s. */
export async function askRdap(
  base: string,
  domain: string,
  options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): Promise<RdapAnswer> {
  const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  try {
    const url = new URL(`domain/${encodeURIComponent(domain)}`, base.endsWith("/") ? base : `${base}/`);
    const response = await follow(url, signal);
    if (response.status === 404) {
      await response.body?.cancel();
      return { kind: "unknown", words: `${url.host} knows no domain ${domain}` };
    }
    if (!response.ok) {
      await response.body?.cancel();
      return failed(base, `it answered ${response.status}`);
    }
    const at = registrationOf(JSON.parse(await boundedText(response)));
    return at === null
      ? { kind: "unknown", words: `${url.host} does not say when ${domain} was registered` }
      : { kind: "registered", at };
  } catch (error) {
    if (deadline.aborted) return failed(base, `no answer within ${options.timeoutMs ?? TIMEOUT_MS} ms`);
    return failed(base, error instanceof Error ? error.message : String(error));
  }
}

function failed(base: string, why: string): RdapAnswer {
  return {
    kind: "failed",
    words: `the RDAP service ${base.slice(0, 100)} cannot be asked: ${why.slice(0, 200)}`,
  };
}

async function follow(start: URL, signal: AbortSignal): Promise<Response> {
  let url = start;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await fetch(url, {
      signal,
      redirect: "manual",
      headers: { Accept: "application/rdap+json, application/json;q=0.5" },
    });
    const location = response.headers.get("Location");
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, url);
    // What was asked in private is not repeated in the open.
    const allowed = next.protocol === "https:" || (next.protocol === "http:" && url.protocol === "http:");
    if (!allowed) throw new Error(`it sends on to ${next.protocol}//${next.host}`);
    url = next;
  }
  throw new Error(`it sends on more than ${MAX_REDIRECTS} times`);
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body) {
    bytes += piece.byteLength;
    // Leaving the loop cancels the rest.
    if (bytes > MAX_BYTES) throw new Error(`its answer is longer than ${MAX_BYTES} octets`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** The date of the event "registration" (RFC 9083 §4.5), or null. */
function registrationOf(answer: unknown): number | null {
  if (typeof answer !== "object" || answer === null || !("events" in answer)) return null;
  if (!Array.isArray(answer.events)) return null;
  for (const event of answer.events as unknown[]) {
    if (typeof event !== "object" || event === null) continue;
    const { eventAction, eventDate } = event as Record<string, unknown>;
    if (eventAction !== "registration" || typeof eventDate !== "string") continue;
    const at = Date.parse(eventDate);
    if (Number.isFinite(at)) return at;
  }
  return null;
}
