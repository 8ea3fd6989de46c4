// One request to somebody else's web address: an alert's web hook or a gateway for short messages. It says in words what came of it.
// It follows no redirects: a signed alert, and what it names, goes where an administrator sent it and nowhere else.

/** A request to make. */
export interface WebHookRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** What came of it. `retry`: it may work later. */
export interface WebHookAnswer {
  /** The answer was 2xx. */
  readonly ok: boolean;
  /** null: there was no answer. */
  readonly status: number | null;
  readonly words: string;
  readonly retry: boolean;
}

export type PostWebHook = (request: WebHookRequest) => Promise<WebHookAnswer>;

const TIMEOUT_MS = 10_000;
/** Nothing in an answer is of use; so much is read so that the connection can be used again. */
const MAX_ANSWER_BYTES = 65_536;
/** 4xx that a later try may change: time-out, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);

/** Makes the request, within 10 seconds as a whole. Never rejects. */
export async function postWebHook(
  request: WebHookRequest,
  { timeoutMs = TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<WebHookAnswer> {
  const where = placeOf(request.url);
  if (where === null) {
    const words = `"${request.url.slice(0, 120)}" is not a web address; write it like https://example.org/path`;
    return { ok: false, status: null, retry: false, words };
  }
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: { "user-agent": "Gatepost", "accept-encoding": "identity", ...request.headers },
      body: request.body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      // An answer of a few octets must not become gigabytes.
      decompress: false,
    });
    await readAway(response);
    return answerOf(response.status, where);
  } catch (error) {
    return { ok: false, status: null, retry: true, words: `${where} ${whyNot(error, timeoutMs)}` };
  }
}

/** Scheme, host and port: the path and the query may hold a key, and this goes to logs and alarms. */
function placeOf(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { protocol, origin } = new URL(url);
  return protocol === "https:" || protocol === "http:" ? origin : null;
}

/** The status stands whatever becomes of the body. */
async function readAway(response: Response): Promise<void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (let read = 0; read <= MAX_ANSWER_BYTES; ) {
      const { done, value } = await reader.read();
      if (done) return;
      read += value.length;
    }
    await reader.cancel();
  } catch {
    // Broken off by the other side or by our time limit; what it said is in the status line.
  }
}

function answerOf(status: number, where: string): WebHookAnswer {
  if (status >= 200 && status < 300)
    return { ok: true, status, retry: false, words: `${where} answered ${status}` };
  if (status >= 300 && status < 400) {
    const words = `${where} answered ${status}, a redirect, which is not followed; set the address it leads to`;
    return { ok: false, status, retry: false, words };
  }
  const retry = status >= 500 || PASSING.has(status);
  return {
    ok: false,
    status,
    retry,
    words: `${where} answered ${status}${retry ? "" : "; look at the address and at what it expects"}`,
  };
}

function whyNot(error: unknown, timeoutMs: number): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const name = error instanceof Error ? error.name : "";
  if (name === "TimeoutError") return `gave no answer within ${timeoutMs / 1000} seconds`;
  switch (code) {
    case "ConnectionRefused":
    case "ECONNREFUSED":
    case "FailedToOpenSocket":
      return "cannot be reached (connection refused or no such host); is the address right, and does it run?";
    case "ENOTFOUND":
    case "DNSResolveFailed":
      return "cannot be reached: its name is not known to the DNS; is the address right?";
    case "ECONNRESET":
    case "ConnectionClosed":
      return "closed the connection without an answer";
    default:
      if (/CERT|TLS|SSL|SELF_SIGNED/i.test(code)) {
        return `has a certificate that is not trusted (${code}); renew it or have it signed by a known authority`;
      }
      return `cannot be asked (${code || (error instanceof Error ? error.message : String(error))})`;
  }
}
