// What of the quarantine somebody asks to see: the filter as typed, bounded by who asks, as a question to the store and as a form.

import type { QuarantineFilter, QuarantineItem } from "../../store/quarantine-item.ts";
import type { ConsoleContext } from "../console-env.ts";
import { chosenDomain, ownDomains } from "../domain-scope.ts";
import { FilterForm } from "../parts/filter-form.tsx";
import { cursorText } from "../quarantine-actions.ts";
import type { Tone } from "../words/state.ts";

export const PAGE_ITEMS = 50;
const MAX_TEXT = 254;

type ItemState = QuarantineItem["state"];

export const ITEM_STATES: Readonly<Record<ItemState, { readonly label: string; readonly tone: Tone }>> = {
  kept: { label: "Kept", tone: "warn" },
  released: { label: "Released", tone: "good" },
  deleted: { label: "Deleted", tone: "quiet" },
  expired: { label: "Expired", tone: "quiet" },
};

const ITEM_CLASSES: readonly { readonly name: QuarantineItem["class"]; readonly label: string }[] = [
  { name: "rule", label: "By a rule" },
  { name: "undeliverable", label: "Undeliverable" },
];

function isItemState(text: string): text is ItemState {
  return Object.hasOwn(ITEM_STATES, text);
}

export interface QuarantineAsked {
  readonly recipient: string;
  /** "" where all domains are meant; null where there is none to show. */
  readonly domain: string | null;
  readonly direction: "" | "incoming" | "outgoing";
  readonly sender: string;
  readonly rule: string;
  readonly state: string;
  readonly class: "" | QuarantineItem["class"];
}

export function askedOf(c: ConsoleContext): QuarantineAsked {
  const read = (name: string) => (c.req.query(name) ?? "").trim().slice(0, MAX_TEXT);
  const scope = ownDomains(c);
  // A domain administrator always looks at one of the own domains, in one direction, whatever the address bar says.
  const domain = chosenDomain(scope, read("domain"));
  const asked = read("direction");
  const all = scope === null ? "" : "incoming";
  return {
    recipient: read("recipient"),
    domain: domain === undefined ? "" : domain,
    direction: asked === "incoming" || asked === "outgoing" ? asked : all,
    sender: read("sender"),
    rule: read("rule"),
    state: c.req.query("state") === undefined ? "kept" : read("state"),
    class: ITEM_CLASSES.find(({ name }) => name === read("class"))?.name ?? "",
  };
}

export function filterOf(
  typed: QuarantineAsked,
  domain: string,
  before: QuarantineFilter["before"],
): QuarantineFilter {
  const { direction } = typed;
  const outgoing = direction === "outgoing";
  return {
    limit: PAGE_ITEMS + 1,
    ...(typed.recipient === "" ? {} : { recipient: typed.recipient }),
    ...(direction === "" ? {} : { direction }),
    ...(domain === "" ? {} : outgoing ? { senderDomain: domain } : { domain }),
    ...(typed.sender === "" || !outgoing ? {} : { sender: typed.sender }),
    ...(typed.rule === "" ? {} : { rule: typed.rule }),
    ...(isItemState(typed.state) ? { state: typed.state } : {}),
    ...(typed.class === "" ? {} : { class: typed.class }),
    ...(before === undefined ? {} : { before }),
  };
}

export function addressOf(typed: QuarantineAsked, before: QuarantineItem | null): string {
  const query = new URLSearchParams({ state: typed.state });
  for (const name of ["recipient", "domain", "direction", "sender", "rule", "class"] as const) {
    const value = typed[name];
    if (value !== null && value !== "") query.set(name, value);
  }
  if (before !== null) query.set("before", cursorText(before));
  return `/quarantine?${query}`;
}

export function QuarantineFilters({
  typed,
  domains,
}: {
  readonly typed: QuarantineAsked;
  readonly domains: readonly string[] | null;
}) {
  return (
    <FilterForm
      action="/quarantine"
      search={{
        name: "recipient",
        value: typed.recipient,
        placeholder: "Recipient’s address",
        label: "Recipient",
      }}
    >
      {domains !== null && (
        <select name="domain" aria-label="Domain">
          {domains.map((domain) => (
            <option value={domain} selected={domain === typed.domain}>
              {domain}
            </option>
          ))}
        </select>
      )}
      <select name="direction" aria-label="Direction">
        {domains === null && <option value="">Both directions</option>}
        <option value="incoming" selected={typed.direction === "incoming"}>
          Incoming
        </option>
        <option value="outgoing" selected={typed.direction === "outgoing"}>
          Outgoing
        </option>
      </select>
      {typed.direction === "outgoing" && (
        <input name="sender" value={typed.sender} placeholder="Sender" aria-label="Sender" class="short" />
      )}
      <select name="class" aria-label="Why it is here">
        <option value="">All reasons</option>
        {ITEM_CLASSES.map(({ name, label }) => (
          <option value={name} selected={name === typed.class}>
            {label}
          </option>
        ))}
      </select>
      <input name="rule" value={typed.rule} placeholder="Rule" aria-label="Rule" class="short" />
      <select name="state" aria-label="State">
        {Object.entries(ITEM_STATES).map(([state, words]) => (
          <option value={state} selected={state === typed.state}>
            {words.label}
          </option>
        ))}
        <option value="" selected={typed.state === ""}>
          All
        </option>
      </select>
      <button type="submit">Search</button>
    </FilterForm>
  );
}
