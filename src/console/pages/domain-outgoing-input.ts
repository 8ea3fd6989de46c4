// Between the form of a domain's outgoing control and `outgoing` of a [[domain]]. No markup, no requests.
import type { OutgoingSettings } from "../../policy/schema-outgoing.ts";
import { PARTS } from "./enterprise-parts.ts";

type Input = Record<string, unknown>;

/** What is not set yet is shown with the values it would get. */
const UNSET = { protocol: "imap", tls: "implicit", cache: "5m" } as const;

/** Fills in what is not a plain path of the settings. */
export function fillOutgoing(form: URLSearchParams, outgoing: OutgoingSettings): void {
  for (const { name } of PARTS) {
    const value = outgoing[name];
    form.set(`outgoing.${name}`, value === null ? "" : value ? "on" : "off");
  }
  if (outgoing.alerts.sms === null) form.set("outgoing.alerts.sms.method", "GET");
  if (outgoing.password_server !== null) return;
  for (const [name, value] of Object.entries(UNSET)) form.set(`outgoing.password_server.${name}`, value);
  form.set("outgoing.password_server.verify_certificate", "on");
}

function tableAt(input: Input, name: string): Input {
  const value = input[name];
  const table: Input = typeof value === "object" && value !== null ? { ...value } : {};
  input[name] = table;
  return table;
}

function filledIn(value: unknown): boolean {
  return value !== undefined && value !== "";
}

/**
 * Turns what was typed into `outgoing`: empty is "none", and what the form does not show stays as stored. The secret of the web
 * hook is never shown, so an empty field keeps it as long as the address is the same.
 */
export function finishOutgoing(
  input: Input,
  stored: OutgoingSettings,
  options: { readonly administrator: boolean },
): void {
  const outgoing = tableAt(input, "outgoing");
  for (const { name } of PARTS) {
    const value = outgoing[name];
    outgoing[name] = value === "on" ? true : value === "off" ? false : null;
  }
  outgoing.abuse_contact ??= null;
  outgoing.dkim_selector ??= null;
  const alerts = tableAt(outgoing, "alerts");
  const thresholds = tableAt(alerts, "thresholds");
  for (const kind of ["spam", "virus", "bulk", "program", "undeliverable"]) thresholds[kind] ??= null;
  const webhook = tableAt(alerts, "webhook");
  const kept = stored.alerts.webhook;
  if (!filledIn(webhook.url)) alerts.webhook = null;
  else if (webhook.secret === undefined && kept?.secret !== undefined && kept.url === webhook.url)
    webhook.secret = kept.secret;
  if (!filledIn(tableAt(alerts, "sms").url)) alerts.sms = null;
  const report = tableAt(outgoing, "report");
  report.hour = Number(report.hour);
  if (!options.administrator) {
    alerts.webhook = stored.alerts.webhook;
    alerts.sms = stored.alerts.sms;
    outgoing.barred = stored.barred;
    outgoing.password_server = stored.password_server;
  } else if (!filledIn(tableAt(outgoing, "password_server").host)) outgoing.password_server = null;
}
