// Between the form of a sender and its settings: identity headers, the CRAM-MD5 password, and what a domain administrator may not give.
import { parseAddress, parseDomain, parseNetwork } from "../../message/address.ts";
import { NO_PASSWORD } from "../../policy/sealed-password.ts";
import type { PolicyProblem } from "../../policy/settings.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type DomainScope, domainPart, inScope, ownDomains } from "../domain-scope.ts";
import { CRAM_REMOVE, IDENTITY_HEADERS, kindOf } from "./sender-fields.ts";

type Input = Record<string, unknown>;

function text(item: object | null, field: string): string {
  const value: unknown = item === null ? undefined : Reflect.get(item, field);
  return typeof value === "string" ? value : "";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Puts the identity headers of a stored sender into the rows of the form. */
export function fillSender(form: URLSearchParams, sender: object): void {
  const by: unknown = Reflect.get(sender, "identify_by");
  if (!isObject(by)) return;
  form.set("identify_by", "header");
  for (const [i, one] of (Array.isArray(by) ? by : [by]).filter(isObject).entries()) {
    const row = `${IDENTITY_HEADERS}[${i}]`;
    form.set(`${row}.header`, text(one, "header"));
    form.set(`${row}.extract`, text(one, "extract"));
    form.set(`${row}.remove`, Reflect.get(one, "remove") === true ? "remove" : "keep");
  }
}

/** The reverse, in the policy file's form; the problems are those only this page can see. */
export function finishSender(
  input: Input,
  c: ConsoleContext,
  stored: object | null,
): readonly PolicyProblem[] {
  input.kind = kindOf(c, stored);
  // The key must be the one the settings will use, whatever spelling was typed.
  normalise(input, "login", parseAddress);
  normalise(input, "domain", parseDomain);
  normalise(input, "range", parseNetwork);
  const problems = [...domainOfLogin(input, c), ...identityInput(input, stored)];
  if (input[CRAM_REMOVE] === true) input.cram_password = NO_PASSWORD;
  else if (input.cram_password === undefined && text(stored, "cram_password") !== "")
    input.cram_password = text(stored, "cram_password");
  else if (text(input, "cram_password").startsWith("sealed:"))
    problems.push({ path: "cram_password", message: "must not begin with sealed:" });
  delete input[CRAM_REMOVE];
  return [...problems, ...scopeProblems(ownDomains(c), input, stored)];
}

/** A user whose domain was not chosen belongs to that of the login, when it is one of ours. */
function domainOfLogin(input: Input, c: ConsoleContext): readonly PolicyProblem[] {
  if (input.kind !== "user" || text(input, "domain") !== "") return [];
  const name = domainPart(text(input, "login"));
  if (name === "") return [];
  input.domain = name;
  const { domain } = c.get("services").settings.current().policy;
  if (domain.some((one) => one.name === name)) return [];
  return [
    {
      path: "domain",
      message: `${name.slice(0, 80)} is not a domain of this gateway; choose the one this sender belongs to`,
    },
  ];
}

function normalise(
  input: Input,
  field: string,
  parse: (text: string) => { readonly ok: true; readonly value: string } | { readonly ok: false },
): void {
  const parsed = parse(text(input, field));
  if (parsed.ok) input[field] = parsed.value;
}

function identityInput(input: Input, stored: object | null): readonly PolicyProblem[] {
  const rows = input[IDENTITY_HEADERS];
  delete input[IDENTITY_HEADERS];
  if (input.identify_by !== "header") return [];
  const headers = (Array.isArray(rows) ? rows : []).filter(isObject).map((row) => ({
    header: text(row, "header"),
    ...(text(row, "extract") === "" ? {} : { extract: text(row, "extract") }),
    remove: text(row, "remove") === "remove",
  }));
  const [only] = headers;
  if (only === undefined)
    return [{ path: IDENTITY_HEADERS, message: "name at least one header line, like X-Client-ID" }];
  const wasList = stored !== null && Array.isArray(Reflect.get(stored, "identify_by"));
  input.identify_by = headers.length === 1 && !wasList ? only : headers;
  return [];
}

/**
 * What somebody with these domains may not give a sender. What an administrator has given it already may stay.
 * Requirements O1, O9: a domain administrator speaks for the own domains only.
 */
export function scopeProblems(
  scope: DomainScope,
  input: Readonly<Input>,
  stored: object | null,
): readonly PolicyProblem[] {
  if (scope === null) return [];
  const problems: PolicyProblem[] = [];
  const refuse = (path: string, message: string) => problems.push({ path, message });
  if (input.kind === "ip") refuse("range", "address ranges are added by an administrator of the gateway");
  if (!inScope(scope, text(input, "domain")))
    refuse("domain", "is not one of your domains; ask an administrator of the gateway");
  // A login that is a plain name has no domain but the sender's.
  const login = text(input, "login");
  if (input.kind === "user" && stored === null && login.includes("@") && !inScope(scope, domainPart(login)))
    refuse("login", "is not an address of one of your domains");
  const granted = stored === null ? [] : listOf(Reflect.get(stored, "send_as"));
  for (const [i, address] of listOf(input.send_as).entries())
    if (!granted.includes(address) && !inScope(scope, ownDomainPart(address)))
      refuse(
        `send_as[${i}]`,
        `"${address.slice(0, 80)}" is not of one of your domains; ask an administrator`,
      );
  const as = text(input, "reauthenticate_as");
  if (as !== "" && as !== text(stored, "reauthenticate_as") && !inScope(scope, domainPart(as)))
    refuse("reauthenticate_as", "is not a user of one of your domains; ask an administrator of the gateway");
  return problems;
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** The domain as the settings will spell it; "" when it is none. */
function ownDomainPart(address: string): string {
  const parsed = parseDomain(domainPart(address));
  return parsed.ok ? parsed.value : "";
}
