// Secrets a document names as `***`: the ones that are stored take their place, so that an export can be applied again. No I/O.
import { parseDomain } from "../message/address.ts";
import { HIDDEN } from "./policy-document.ts";
import type { Policy } from "./schema.ts";

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Alerts = Policy["domain"][number]["outgoing"]["alerts"];

/**
 * Puts the stored secrets of a [[domain]]'s alerts where its input says `***`. Without a stored one the secret of a web hook falls
 * away; the address of an SMS gateway stays `***`, which is none.
 */
export function keepAlertSecrets(input: unknown, current: Policy): unknown {
  if (!isTable(input) || typeof input.name !== "string" || !isTable(input.outgoing)) return input;
  const { outgoing } = input;
  if (!isTable(outgoing.alerts)) return input;
  const name = parseDomain(input.name);
  const stored = current.domain.find((domain) => name.ok && domain.name === name.value)?.outgoing.alerts;
  const { webhook, sms } = outgoing.alerts;
  const alerts = {
    ...outgoing.alerts,
    ...(isTable(webhook) ? { webhook: keepWebhook(webhook, stored) } : {}),
    ...(isTable(sms) && sms.url === HIDDEN ? { sms: { ...sms, url: stored?.sms?.url ?? HIDDEN } } : {}),
  };
  return { ...input, outgoing: { ...outgoing, alerts } };
}

function keepWebhook(given: Table, stored: Alerts | undefined): Table {
  const { secret, ...webhook } = given;
  // A form sends an empty field back for "none".
  if (secret !== HIDDEN && secret !== "" && secret !== null) return given;
  const kept = secret === HIDDEN ? stored?.webhook?.secret : undefined;
  return kept === undefined ? webhook : { ...webhook, secret: kept };
}
