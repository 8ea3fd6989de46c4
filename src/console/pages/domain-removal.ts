// What the question before the removal of a domain says besides: what waits for it in the queue, and who still sends for it afterwards.
import { domainOf, parseAddress, parseDomain } from "../../message/address.ts";
import type { QueueEntry } from "../../queue/queue.ts";
import type { ConsoleContext } from "../console-env.ts";

/** So many recipients of the queue are looked at, oldest first. */
const LOOKED_AT = 5000;

function isOf(address: string, domain: string): boolean {
  const parsed = parseAddress(address);
  return parsed.ok && domainOf(parsed.value) === domain;
}

async function waiting(c: ConsoleContext): Promise<readonly QueueEntry[]> {
  const { queue } = c.get("services");
  const entries: QueueEntry[] = [];
  for (let more = true; more && entries.length < LOOKED_AT; ) {
    const page = await queue.list({ limit: 1000, offset: entries.length });
    entries.push(...page);
    more = page.length === 1000;
  }
  return entries;
}

/** In sentences. */
export async function removeDetails(c: ConsoleContext, key: string): Promise<readonly string[]> {
  const parsed = parseDomain(key);
  const domain = parsed.ok ? parsed.value : key;
  const entries = await waiting(c);
  const messagesOf = (of: (entry: QueueEntry) => string): number =>
    new Set(entries.filter((entry) => isOf(of(entry), domain)).map(({ messageId }) => messageId)).size;
  const into = messagesOf(({ recipient }) => recipient);
  const from = messagesOf(({ reversePath }) => reversePath);
  const { networks, delivery } = c.get("services").settings.current().policy;
  const atLeast = entries.length >= LOOKED_AT ? "at least " : "";
  const words = [
    `Of the mail in the queue ${atLeast}${into} ${into === 1 ? "message is" : "messages are"} for it and ${atLeast}${from} from it: ` +
      `that is not delivered any more. It stays in the queue with the reason until the domain is added again, or is given up ${delivery.give_up_after} after it came.`,
  ];
  if (networks.trusted.length > 0 && networks.forwards === "allow")
    words.push(
      "What its people send through the trusted networks is still taken, as mail of other authors, because Settings, Networks allows that; it does not stop with the domain.",
    );
  return words;
}
