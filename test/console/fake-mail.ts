// The message log, the quarantine and the queue in memory, over sample messages.
import type { Queue, QueueEntry } from "../../src/queue/queue.ts";
import { refusedState } from "../../src/store/log-record.ts";
import type { LogFilter, LogLine, LogMessage, MessageLog } from "../../src/store/message-log.ts";
import type { QuarantineItem } from "../../src/store/quarantine-item.ts";
import type { Quarantine } from "../../src/vault/quarantine.ts";
import { NOW } from "./sample-mail.ts";

function lineOf(message: LogMessage, domain?: string): LogLine {
  const { record, states } = message;
  const sent = domain !== undefined && (record.envelope.reversePath ?? "").endsWith(`@${domain}`);
  const recipients = record.recipients
    .filter(
      ({ address, direction }) =>
        domain === undefined || (sent && direction !== "inbound") || address.endsWith(`@${domain}`),
    )
    .map((recipient) => ({
      address: recipient.address,
      state: states.find((state) => state.n === recipient.n)?.state ?? recipient.state,
      rule: recipient.verdict?.rule ?? null,
    }));
  const whole = record.recipients.length > 0 ? [] : [refusedState(Number.parseInt(record.reply, 10))];
  return {
    id: record.id,
    receivedAt: record.envelope.receivedAt,
    clientIp: record.envelope.client.ip,
    reversePath: record.envelope.reversePath ?? "",
    headerFrom: record.headerFrom,
    subject: record.subject,
    size: record.size,
    refusal: /^[45]/.test(record.reply) ? record.reply : null,
    states: [...new Set([...whole, ...recipients.map(({ state }) => state)])],
    recipients,
  };
}

/** For the domain, or sent by people of it; an outsider’s envelope proves nothing. */
function concerns({ record }: LogMessage, domain: string): boolean {
  const sent = record.recipients[0]?.direction !== "inbound";
  return (
    record.recipients.some(({ address }) => address.endsWith(`@${domain}`)) ||
    (sent && (record.envelope.reversePath ?? "").endsWith(`@${domain}`))
  );
}

function fits(message: LogMessage, filter: LogFilter): boolean {
  const line = lineOf(message, filter.domain);
  const text = filter.text?.toLowerCase() ?? "";
  const all = [line.id, line.subject, line.reversePath, ...line.recipients.map((one) => one.address)]
    .join(" ")
    .toLowerCase();
  return (
    all.includes(text) &&
    line.reversePath.includes(filter.sender ?? "") &&
    line.recipients.some((one) => one.address.includes(filter.recipient ?? "")) &&
    (filter.domain === undefined || concerns(message, filter.domain)) &&
    (filter.state === undefined || line.states.includes(filter.state)) &&
    (filter.rule === undefined || line.recipients.some((one) => one.rule === filter.rule)) &&
    line.receivedAt >= (filter.since ?? 0) &&
    line.receivedAt <= (filter.until ?? Number.MAX_SAFE_INTEGER) &&
    (filter.before === undefined || line.id < filter.before)
  );
}

export function fakeMessageLog(messages: readonly LogMessage[]): MessageLog {
  const search: MessageLog["search"] = async (filter) =>
    messages
      .filter((message) => fits(message, filter))
      .map((message) => lineOf(message, filter.domain))
      .slice(0, filter.limit);
  return {
    search,
    find: async (filter) => ({ lines: await search(filter), cutAt: null }),
    get: async (id) => messages.find((message) => message.record.id === id) ?? null,
    volume: async ({ sinceMs, bucketMs }) => {
      const first = Math.ceil(sinceMs / bucketMs);
      return Array.from({ length: Math.floor(NOW / bucketMs) - first + 1 }, (_, i) => {
        const at = (first + i) * bucketMs;
        const day = 1 + Math.sin((((at / 3_600_000) % 24) - 8) / 3.9) * 0.8;
        const scale = (bucketMs / 3_600_000) * Math.max(0.12, day) * (1 + ((i * 7919) % 13) / 40);
        return [
          { at, state: "delivered" as const, count: Math.round(148 * scale) },
          { at, state: "quarantined" as const, count: Math.round(13 * scale) },
          { at, state: "refused" as const, count: Math.round((i === 6 ? 190 : 44) * scale) },
          { at, state: "queued" as const, count: i > 20 ? 4 : 0 },
        ];
      }).flat();
    },
  };
}

function senderOf({ envelope }: LogMessage["record"], direction: QuarantineItem["direction"]) {
  const path = (envelope.reversePath ?? "").toLowerCase();
  if (direction === "inbound") return { sender: "", identity: "", senderDomain: "" };
  return { sender: envelope.client.login ?? path, identity: path, senderDomain: path.split("@")[1] ?? "" };
}

const DIRECTIONS = { incoming: ["inbound", "internal"], outgoing: ["outbound", "internal"] };

export function quarantineItems(messages: readonly LogMessage[]): QuarantineItem[] {
  return messages.flatMap(({ record, states }) =>
    record.recipients
      .filter((recipient) => {
        const state = states.find((one) => one.n === recipient.n)?.state;
        return state === "quarantined" || state === "released";
      })
      .map(
        (recipient): QuarantineItem => ({
          id: `${record.id}-${recipient.n}`,
          messageId: record.id,
          n: recipient.n,
          recipient: recipient.address,
          reversePath: record.envelope.reversePath ?? "",
          headerFrom: record.headerFrom,
          subject: record.subject,
          direction: recipient.direction,
          ...senderOf(record, recipient.direction),
          rule: recipient.verdict?.rule ?? "virus",
          words: recipient.verdict?.words ?? "",
          size: record.size,
          receivedAt: record.envelope.receivedAt,
          expiresAt: record.envelope.receivedAt + 30 * 86_400_000,
          state: states.find((one) => one.n === recipient.n)?.state === "released" ? "released" : "kept",
          class: "rule",
          server: "",
          answer: "",
          failedAt: null,
          seenAt: null,
        }),
      ),
  );
}

export function fakeQuarantine(
  items: QuarantineItem[],
  gateway: { readonly released: string[]; readonly deleted: string[] },
): Quarantine {
  const setState = (id: string, state: QuarantineItem["state"]) => {
    const i = items.findIndex((item) => item.id === id);
    const item = items[i];
    if (item !== undefined) items[i] = { ...item, state };
  };
  return {
    list: async (filter) =>
      items
        .filter(
          (item) =>
            item.recipient.includes(filter.recipient ?? "") &&
            (filter.domain === undefined || item.recipient.endsWith(`@${filter.domain}`)) &&
            (filter.direction === undefined || DIRECTIONS[filter.direction].includes(item.direction)) &&
            (filter.sender === undefined || item.sender === filter.sender) &&
            (filter.senderDomain === undefined || item.senderDomain === filter.senderDomain) &&
            (filter.rule === undefined || item.rule === filter.rule) &&
            (filter.state === undefined || item.state === filter.state) &&
            (filter.class === undefined || item.class === filter.class) &&
            (filter.before === undefined || item.receivedAt < filter.before.receivedAt),
        )
        .slice(0, filter.limit),
    senders: async ({ senderDomain, limit }) => {
      const kept = items.filter(
        (item) =>
          item.sender !== "" &&
          item.state === "kept" &&
          (senderDomain === undefined || item.senderDomain === senderDomain),
      );
      return [...Map.groupBy(kept, (item) => item.sender)].slice(0, limit).map(([sender, found]) => ({
        sender,
        items: found.length,
        latestAt: Math.max(...found.map((item) => item.receivedAt)),
      }));
    },
    releaseOf: async (id) =>
      items.some((item) => item.id === id && item.state === "released")
        ? { by: "admin@example.test", at: 1_795_270_000_000 }
        : null,
    get: async (id) => items.find((item) => item.id === id) ?? null,
    source: async (id) =>
      items.some((item) => item.id === id)
        ? (async function* () {
            yield new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n");
          })()
        : null,
    body: async (id) =>
      items.some((item) => item.id === id) ? new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n") : null,
    release: async (id) => {
      const item = items.find((one) => one.id === id);
      if (item === undefined || item.state === "deleted" || item.state === "expired") return "gone";
      if (item.state === "released") return "already";
      setState(id, "released");
      gateway.released.push(id);
      return "released";
    },
    remove: async (id) => {
      if (items.find((one) => one.id === id)?.state !== "kept") return false;
      setState(id, "deleted");
      gateway.deleted.push(id);
      return true;
    },
    expire: async () => 0,
    see: async (id) => {
      const i = items.findIndex((item) => item.id === id);
      const item = items[i];
      if (item !== undefined) items[i] = { ...item, seenAt: NOW };
    },
    undeliverable: async () => {
      const kept = items.filter((item) => item.class === "undeliverable" && item.state === "kept");
      const unseen = kept.filter((item) => item.seenAt === null);
      const [first] = unseen;
      return {
        kept: kept.length,
        items: unseen.length,
        first: first === undefined ? null : { ...first, failedAt: first.failedAt ?? NOW },
      };
    },
    newer: async () => null,
  };
}

export function queueEntries(messages: readonly LogMessage[]): readonly QueueEntry[] {
  return messages.flatMap(({ record, states, attempts }) =>
    states
      .filter((state) => state.state === "queued" || state.state === "held")
      .map(
        (state): QueueEntry => ({
          messageId: record.id,
          n: state.n,
          reversePath: record.envelope.reversePath ?? "",
          recipient: record.recipients[state.n]?.address ?? "",
          destination: record.recipients[state.n]?.address.split("@")[1] ?? "",
          state: state.state === "held" ? "held" : "queued",
          tries: attempts.length,
          size: record.size,
          receivedAt: record.envelope.receivedAt,
          nextAttemptAt: state.nextAttemptAt ?? NOW,
          expiresAt: record.envelope.receivedAt + 5 * 86_400_000,
          lastReply: attempts.at(-1)?.outcomes[0]?.text ?? null,
        }),
      ),
  );
}

export function fakeQueue(entries: readonly QueueEntry[], actions: string[]): Queue {
  const act = (action: string) => async (id: string | null) => {
    const n = id === null ? entries.length : entries.filter((entry) => entry.messageId === id).length;
    if (n > 0) actions.push(`${action} ${id ?? "everything"}`);
    return n;
  };
  return {
    accept: () => Promise.reject(new Error("the console accepts no mail")),
    handOver: () => Promise.reject(new Error("the console accepts no mail")),
    async send({ to, subject }) {
      actions.push(`send ${to} ${subject}`);
      return "00000000000000000001";
    },
    record: () => undefined,
    list: async ({ limit, offset }) => entries.slice(offset, offset + limit),
    counts: async () => ({
      queued: entries.filter((entry) => entry.state === "queued").length,
      held: entries.filter((entry) => entry.state === "held").length,
      oldestReceivedAt: entries.length === 0 ? null : Math.min(...entries.map((entry) => entry.receivedAt)),
    }),
    retry: act("retry"),
    hold: act("hold"),
    drop: act("drop"),
    close: async () => undefined,
  };
}
