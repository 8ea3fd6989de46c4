// What waits in the queue for a domain that is to be removed, and from it: said before it goes, by the console, the API and a plan.
import { domainOf, parseAddress } from "../message/address.ts";
import type { PlanResult, PolicyChange } from "../policy/settings.ts";
import type { QueueEntry } from "../queue/queue.ts";
import type { ConsoleServices } from "./services.ts";

/** So many recipients of the queue are looked at, oldest first. */
const LOOKED_AT = 5000;

type Asked = Pick<ConsoleServices, "queue" | "settings">;

function ofDomain(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? domainOf(parsed.value) : "";
}

async function waiting({ queue }: Asked): Promise<readonly QueueEntry[]> {
  const entries: QueueEntry[] = [];
  for (let more = true; more && entries.length < LOOKED_AT; ) {
    const page = await queue.list({ limit: 1000, offset: entries.length });
    entries.push(...page);
    more = page.length === 1000;
  }
  return entries;
}

/** For each domain that the changes remove, a sentence without its full stop. */
export async function waitingWords(
  asked: Asked,
  changes: readonly PolicyChange[],
): Promise<readonly string[]> {
  const gone = changes.flatMap(({ section, kind, key }) =>
    section === "domain" && kind === "remove" ? [key] : [],
  );
  if (gone.length === 0) return [];
  const entries = await waiting(asked);
  const messagesBy = (of: (entry: QueueEntry) => string): ReadonlyMap<string, ReadonlySet<string>> => {
    const found = new Map<string, Set<string>>();
    for (const entry of entries) {
      const domain = ofDomain(of(entry));
      found.set(domain, (found.get(domain) ?? new Set()).add(entry.messageId));
    }
    return found;
  };
  const into = messagesBy(({ recipient }) => recipient);
  const from = messagesBy(({ reversePath }) => reversePath);
  const { give_up_after } = asked.settings.current().policy.delivery;
  const atLeast = entries.length >= LOOKED_AT ? "at least " : "";
  return gone.map((domain) => {
    const [received, sent] = [into.get(domain)?.size ?? 0, from.get(domain)?.size ?? 0];
    if (received + sent === 0)
      return atLeast === ""
        ? `domain ${domain}: nothing in the queue is for it or from it`
        : `domain ${domain}: nothing of the ${LOOKED_AT} oldest recipients in the queue is for it or from it`;
    return (
      `domain ${domain}: of the mail in the queue ${atLeast}${received} ${received === 1 ? "message is" : "messages are"} for it and ${atLeast}${sent} from it: ` +
      `that is not delivered any more; from its next try on it stays with this as the reason until the domain is added again, or is given up ${give_up_after} after it came`
    );
  });
}

/** A plan with what waits for the domains it removes. */
export async function withWaiting(asked: Asked, plan: PlanResult): Promise<PlanResult> {
  if (!plan.ok) return plan;
  return { ...plan, warnings: [...plan.warnings, ...(await waitingWords(asked, plan.changes))] };
}
