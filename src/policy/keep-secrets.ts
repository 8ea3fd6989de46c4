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

/** The port a smart host has when its input names none. */
const SUBMISSION_PORT = 587;

type Smarthost = NonNullable<Policy["delivery"]["smarthost"]>;

function isGiven(password: unknown): boolean {
  return password !== undefined && password !== HIDDEN && password !== "" && password !== null;
}

/** Is it the server and the log-in that the stored password was given for? */
function isSameServer(given: Table, stored: Smarthost): boolean {
  const { host, port = SUBMISSION_PORT, user } = given;
  return stored.host === host && stored.port === port && stored.user === user;
}

/** The stored smart-host password, when the document names the same host, port and user: never sent to another one. */
export function keepSmarthostPassword(input: unknown, current: Policy): unknown {
  if (!isTable(input) || !isTable(input.smarthost)) return input;
  const { password, ...rest } = input.smarthost;
  if (isGiven(password)) return input;
  const stored = current.delivery.smarthost;
  const keeps = stored?.password !== undefined && isSameServer(rest, stored);
  return { ...input, smarthost: keeps ? { ...rest, password: stored.password } : rest };
}

/** Does the document log in at another server with a password that only was given for the old one? */
export function lacksSmarthostPassword(input: unknown, current: Policy): boolean {
  if (!isTable(input) || !isTable(input.smarthost)) return false;
  const { password, ...rest } = input.smarthost;
  const stored = current.delivery.smarthost;
  if (isGiven(password) || stored?.password === undefined || isSameServer(rest, stored)) return false;
  return password === HIDDEN || (typeof rest.user === "string" && rest.user !== "");
}

/** What that is answered with. */
export const GIVE_AGAIN = {
  path: "delivery.smarthost.password",
  message:
    "must be given again: the stored one was given for another host, port or user, and goes nowhere else",
} as const;

function keepWebhook(given: Table, stored: Alerts | undefined): Table {
  const { secret, ...webhook } = given;
  // A form sends an empty field back for "none".
  if (secret !== HIDDEN && secret !== "" && secret !== null) return given;
  // What is signed for one address is not signed for another: whoever sets a new one gives the secret for it.
  const kept = secret === HIDDEN && stored?.webhook?.url === given.url ? stored?.webhook?.secret : undefined;
  return kept === undefined ? webhook : { ...webhook, secret: kept };
}
