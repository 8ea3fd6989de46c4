// A notice to vary, and Python's mail parser as an independent judge of what we write.
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { Notice } from "../../src/notify/delivery-notice.ts";

export const ORIGINAL = new TextEncoder().encode(
  "From: Alice <alice@example.test>\r\nTo: <bob@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <m1@example.test>\r\n\r\nHello Bob.\r\n",
);

export const REFUSAL: Outcome = {
  n: 1,
  result: "failed",
  code: 550,
  enhanced: "5.1.1",
  text: "550 5.1.1 <bob@example.org>: no such user",
  server: "mx1.example.org [192.0.2.7]:25",
  tls: null,
};

/** A notice of a refused recipient, with what a test changes. */
export function notice(changes: Partial<Notice> = {}): Notice {
  return {
    kind: "failed",
    hostname: "gate.example.test",
    id: "0notice",
    now: Date.UTC(2026, 10, 21, 12),
    sender: "alice@example.test",
    originalId: "0original",
    arrivedAt: Date.UTC(2026, 10, 21, 11),
    envid: null,
    ret: null,
    original: ORIGINAL,
    originalSize: ORIGINAL.length,
    recipients: [{ address: "bob@example.org", orcpt: null, outcome: REFUSAL }],
    triedUntil: null,
    ...changes,
  };
}

export interface Parsed {
  readonly headers: readonly (readonly [string, string])[];
  readonly type: string;
  readonly reportType: string | null;
  readonly defects: readonly string[];
  readonly parts: readonly {
    readonly type: string;
    readonly text: string;
    readonly defects: readonly string[];
  }[];
  /** The groups of message/delivery-status: first about the message, then one for each recipient. */
  readonly status: readonly (readonly (readonly [string, string])[])[];
}

const PYTHON = `
import sys, json, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.compat32)
parts, status = [], []
for p in (m.get_payload() if m.is_multipart() else []):
    if p.get_content_type() == "message/delivery-status":
        status = [[(k, " ".join(v.split())) for k, v in g.items()] for g in p.get_payload()]
        text = ""
    elif p.get_content_type() == "message/rfc822":
        text = p.get_payload()[0].as_string()
    else:
        text = (p.get_payload(decode=True) or b"").decode("utf-8", "replace")
    parts.append({"type": p.get_content_type(), "text": text, "defects": [type(d).__name__ for d in p.defects]})
print(json.dumps({"headers": [(k, str(v)) for k, v in m.items()], "type": m.get_content_type(),
  "reportType": m.get_param("report-type"), "defects": [type(d).__name__ for d in m.defects],
  "parts": parts, "status": status}))
`;

export const hasPython = Bun.which("python3") !== null;

/** Parses a message with Python's email package. */
export async function parseWithPython(message: Uint8Array): Promise<Parsed> {
  const python = Bun.spawn(["python3", "-c", PYTHON], { stdin: message, stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(python.stdout).text(),
    new Response(python.stderr).text(),
    python.exited,
  ]);
  if (code !== 0) throw new Error(`python3 could not parse the notice: ${err}`);
  return JSON.parse(out);
}
