// A small outgoing control for tests of the dialogue: it finds identities by login or the first header asked for, locks after
// spam, refuses who is locked, and keeps every question. The real one has tests of its own.
import { eachField, rawValue, readHeaderBlock } from "../../src/message/header-block.ts";
import type { OutgoingMessage, OutgoingResult } from "../../src/outgoing/outgoing.ts";
import { type Reply, reply } from "../../src/policy/reply.ts";
import type { OutgoingParty } from "../../src/policy/snapshot.ts";
import type { GatewayServices } from "../../src/session/services.ts";

export interface TrialOutgoing {
  readonly outgoing: GatewayServices["outgoing"];
  /** `sender` or `sender identity` → what is answered. */
  readonly locked: Map<string, Reply>;
  readonly settled: { readonly message: OutgoingMessage; readonly result: OutgoingResult }[];
  readonly correspondents: string[];
  /** Connections that carried mail, each once. */
  readonly connections: Set<object>;
  /** Recipients one transaction may have. */
  maxRecipients: number;
  reset(): void;
}

const LOCKED = reply(450, "7.1", "This sender is locked, try again later");
const SPAM = 5;

function headersOf(party: OutgoingParty): readonly { readonly header: string; readonly remove: boolean }[] {
  const by = party.sender.identify_by;
  if (typeof by === "string") return [];
  return "header" in by ? [by] : by;
}

/** Makes one that knows nobody yet. */
export function createTrialOutgoing(): TrialOutgoing {
  const locked = new Map<string, Reply>();
  const settled: TrialOutgoing["settled"] = [];
  const correspondents: string[] = [];
  const connections = new Set<object>();
  const spam = new Map<string, number>();
  const state = { maxRecipients: Number.POSITIVE_INFINITY };
  const lockOf = (party: OutgoingParty, identity: string | null): Reply | null =>
    locked.get(party.key) ?? locked.get(`${party.key} ${identity}`) ?? null;
  const outgoing: GatewayServices["outgoing"] = {
    admitTransaction(party, connection) {
      const refusal = lockOf(party, party.key);
      if (refusal === null) connections.add(connection);
      return refusal;
    },
    admitRecipient: (party, _, pending) =>
      lockOf(party, party.key) ??
      (pending < state.maxRecipients
        ? null
        : reply(452, "7.1", "Recipients in 24 hours: the limit is reached, free in 3 hours")),
    identify(party, reversePath, header) {
      const wanted = headersOf(party);
      if (wanted.length === 0)
        return {
          identity: party.sender.identify_by === "envelope-sender" ? reversePath : party.key,
          removeHeaders: [],
        };
      const names = wanted.map((one) => one.header.toLowerCase());
      const { text } = readHeaderBlock(header);
      let identity: string | null = null;
      eachField(text, (field) => {
        if (names.includes(field.name)) identity ??= rawValue(text, field);
        return undefined;
      });
      const removeHeaders = wanted.filter((one) => one.remove).map((one) => one.header.toLowerCase());
      return { identity, removeHeaders };
    },
    admitMessage: ({ party, identity }) =>
      party.domain?.outgoing.barred === true
        ? reply(550, "7.1", `Mail of ${party.domain.name} is not sent at present`)
        : lockOf(party, identity),
    findings: ({ party, identity }) => [
      { check: "identity", fact: "identity.sender", value: party.key },
      ...(identity === null ? [] : [{ check: "identity", fact: "identity.name", value: identity }]),
      { check: "identity", fact: "identity.found", value: identity !== null },
      { check: "bulk", fact: "bulk.level", value: 0 },
    ],
    settle(message, result) {
      settled.push({ message, result });
      if (!result.spam && !result.lock) return null;
      const key = `${message.party.key} ${message.identity}`;
      const count = (spam.get(key) ?? 0) + 1;
      spam.set(key, count);
      if (count <= SPAM && !result.lock) return null;
      locked.set(key, LOCKED);
      return LOCKED;
    },
    takeBack(messageId) {
      const at = settled.findIndex(({ message }) => message.id === messageId);
      if (at >= 0) settled.splice(at, 1);
    },
    noteRefused: () => {},
    locksKept: () => Promise.resolve(),
    noteCorrespondent(outside, ours) {
      correspondents.push(`${outside} ${ours}`);
    },
  };
  return Object.assign(state, {
    outgoing,
    locked,
    settled,
    correspondents,
    connections,
    reset() {
      locked.clear();
      spam.clear();
      settled.length = 0;
      correspondents.length = 0;
      connections.clear();
      state.maxRecipients = Number.POSITIVE_INFINITY;
    },
  });
}
