// Secrets a document names as `***`: the ones that are stored take their place, so that an export can be applied again. No I/O.
import { parseDomain } from "../message/address.ts";
import { HIDDEN } from "./policy-document.ts";
import type { Policy } from "./schema.ts";
import type { PolicyProblem } from "./settings.ts";

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Alerts = Policy["domain"][number]["outgoing"]["alerts"];

/** What `***` is answered with where nothing is stored that it could stand for. */
export const NOTHING_HIDDEN =
  'is "***", which keeps what is stored, and this gateway has nothing stored for it; give it in clear, or use an export made with --secrets';

/** What a new address of a known web hook is answered with. */
const SIGN_ANEW =
  "must be given again: the stored one was given for another address, and signs nothing for a new one";

export interface KeptSecrets {
  readonly input: unknown;
  /** Paths within the item. */
  readonly problems: readonly PolicyProblem[];
}

/** Puts the stored secrets of a [[domain]]'s alerts where its input says `***`. */
export function keepAlertSecrets(input: unknown, current: Policy): KeptSecrets {
  const same = { input, problems: [] };
  if (!isTable(input) || typeof input.name !== "string" || !isTable(input.outgoing)) return same;
  const { outgoing } = input;
  if (!isTable(outgoing.alerts)) return same;
  const name = parseDomain(input.name);
  const stored = current.domain.find((domain) => name.ok && domain.name === name.value)?.outgoing.alerts;
  const { webhook, sms } = outgoing.alerts;
  const problems: PolicyProblem[] = [];
  const refuse = (field: string, message: string) =>
    problems.push({ path: `outgoing.alerts.${field}`, message });
  if (isTable(webhook) && webhook.secret === HIDDEN) {
    const known = stored?.webhook?.secret !== undefined;
    if (!known) refuse("webhook.secret", NOTHING_HIDDEN);
    else if (stored?.webhook?.url !== webhook.url) refuse("webhook.secret", SIGN_ANEW);
  }
  const hiddenSms = isTable(sms) && sms.url === HIDDEN;
  if (hiddenSms && stored?.sms?.url === undefined) refuse("sms.url", NOTHING_HIDDEN);
  const alerts = {
    ...outgoing.alerts,
    ...(isTable(webhook) ? { webhook: keepWebhook(webhook, stored) } : {}),
    ...(hiddenSms ? { sms: { ...sms, url: stored?.sms?.url ?? HIDDEN } } : {}),
  };
  return { input: { ...input, outgoing: { ...outgoing, alerts } }, problems };
}

/** The port a smart host has when its input names none. */
const SUBMISSION_PORT = 587;

type Smarthost = NonNullable<Policy["delivery"]["smarthost"]>;

/** Is it a secret, and not what stands for the stored one or for none? */
export function isGiven(password: unknown): boolean {
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

/** Why the document lacks the smart host's password; null: it does not. It must be given for the server it goes to. */
export function lacksSmarthostPassword(input: unknown, current: Policy): PolicyProblem | null {
  if (!isTable(input) || !isTable(input.smarthost)) return null;
  const { password, ...rest } = input.smarthost;
  const stored = current.delivery.smarthost;
  if (isGiven(password)) return null;
  if (stored?.password === undefined)
    return password === HIDDEN ? { path: SMARTHOST_PASSWORD, message: NOTHING_HIDDEN } : null;
  if (isSameServer(rest, stored)) return null;
  const wanted = password === HIDDEN || (typeof rest.user === "string" && rest.user !== "");
  return wanted ? { path: SMARTHOST_PASSWORD, message: GIVE_AGAIN } : null;
}

const SMARTHOST_PASSWORD = "delivery.smarthost.password";
const GIVE_AGAIN =
  "must be given again: the stored one was given for another host, port or user, and goes nowhere else";

function keepWebhook(given: Table, stored: Alerts | undefined): Table {
  const { secret, ...webhook } = given;
  // A form sends an empty field back for "none".
  if (secret !== HIDDEN && secret !== "" && secret !== null) return given;
  const kept = secret === HIDDEN ? stored?.webhook?.secret : undefined;
  return kept === undefined ? webhook : { ...webhook, secret: kept };
}
