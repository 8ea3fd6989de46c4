// How an alert leaves: as a mail, as signed JSON to a web hook, as a short message by a gateway's web address. Requests only, no I/O.
import { createHmac } from "node:crypto";
import type { WebHookRequest } from "../hooks/post-web-hook.ts";
import type { Alert } from "./alert.ts";
import type { AlertContacts } from "./notice-policy.ts";

/**
 * The JSON a web hook gets; `detail` of the alert stands beside these fields. `version` changes when a field changes its meaning;
 * new fields may come at any time.
 *
 * | event | further fields |
 * |---|---|
 * | lock | sender, identity (null: the whole sender), until (RFC 3339, null: until a person unlocks it), reason, unlock_url, further_at (RFC 3339: further locks are told together then, null: one by one) |
 * | locks | count, since, some [{sender, identity}]: locks beyond 20 in an hour, told together |
 * | threshold | kind (spam, virus, bulk), count, since, quiet_until, senders [{sender, identity, count}], last [{message_id, at, sender, identity, rule, reason, quarantined}] |
 * | undeliverable | count, since, quiet_until, last [{id, at, recipient, server, answer}]: accepted mail that no server takes |
 * | test | – |
 */
export interface WebHookPayload {
  readonly version: 1;
  /** The same on every try of one alert: a receiver that knows it already may ignore it. */
  readonly id: string;
  readonly event: Alert["event"];
  /** Seconds since 1970, of this try; also in `X-Gatepost-Timestamp`. A receiver refuses what is older than some minutes. */
  readonly timestamp: number;
  /** When the alert was made, RFC 3339. */
  readonly at: string;
  readonly gateway: string;
  readonly domain: string;
  /** One sentence for people. */
  readonly summary: string;
}

/** What of an alert does not change from try to try. */
export interface AlertStamp {
  readonly id: string;
  /** Milliseconds UTC. */
  readonly at: number;
  readonly hostname: string;
  readonly domain: string;
}

/**
 * The request to a web hook at `nowMs`. With a secret the header `X-Gatepost-Signature: sha256=HEX` has the HMAC-SHA-256 of the body
 * as sent; the body holds the timestamp, so that an old request cannot be signed anew by changing the header.
 */
export function webHookRequest(
  hook: NonNullable<AlertContacts["webhook"]>,
  alert: Alert,
  stamp: AlertStamp & { readonly nowMs: number },
): WebHookRequest {
  const timestamp = Math.floor(stamp.nowMs / 1000);
  const payload: WebHookPayload = {
    version: 1,
    id: stamp.id,
    event: alert.event,
    timestamp,
    at: new Date(stamp.at).toISOString(),
    gateway: stamp.hostname,
    domain: stamp.domain,
    summary: alert.summary,
  };
  const body = JSON.stringify({ ...payload, ...alert.detail });
  const headers = {
    "content-type": "application/json",
    "x-gatepost-event": alert.event,
    "x-gatepost-timestamp": String(timestamp),
    ...(hook.secret === undefined ? {} : { "x-gatepost-signature": signature(body, hook.secret) }),
  };
  return { url: hook.url, method: "POST", headers, body };
}

/** `sha256=` and the HMAC-SHA-256 of the body (UTF-8) under the secret, in lower-case hex. */
function signature(body: string, secret: string): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

/**
 * The request to a gateway for short messages: `{text}` and `{to}` in its address are filled in, percent-encoded.
 * POST has them in a form as well, as `to` and `text`.
 */
export function shortMessageRequest(sms: NonNullable<AlertContacts["sms"]>, alert: Alert): WebHookRequest {
  const values: Readonly<Record<string, string>> = { text: alert.short, to: sms.to };
  const url = sms.url.replace(/\{(text|to)\}/g, (_, name: string) =>
    encodeURIComponent((values[name] ?? "").toWellFormed()),
  );
  if (sms.method === "GET") return { url, method: "GET", headers: {}, body: null };
  const form = new URLSearchParams({ to: sms.to, text: alert.short });
  return {
    url,
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  };
}
