// Sizes and times so small that a unit was forgotten or mistaken: a plain number is octets, in a file seconds or, where it says so,
// milliseconds. Zeros that switch something off. Said in words with the change that brings them. Pure.
import { bytesInWords, sizeText } from "../observe/size-words.ts";
import { parseDuration } from "./duration.ts";
import type { FoundProblems } from "./found-problems.ts";
import { itemKey } from "./policy-document.ts";
import type { Policy } from "./schema.ts";
import type { PolicySection } from "./settings.ts";

const MB = 1_048_576;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 1440 * MINUTE;

interface Small {
  readonly section: PolicySection;
  readonly path: string;
  readonly unit: "octets" | "time" | "milliseconds" | "octets a second";
  /** Less is taken for a slip; octets or milliseconds. */
  readonly least: number;
  /** What follows from so small a value. */
  readonly result: string;
  /** How it is usually written. */
  readonly usual: string;
  /** What 0 means; left out: it is a small value like others. */
  readonly off?: string;
}

const SMALL: readonly Small[] = [
  {
    section: "settings",
    path: "min_free",
    unit: "octets",
    least: MB,
    result: "less than one message needs",
    usual: "500 MB",
    off: "mail is taken until the disk is full",
  },
  {
    section: "settings",
    path: "quarantine_keep",
    unit: "time",
    least: DAY,
    result: "quarantined mail is deleted so soon",
    usual: "30d",
  },
  {
    section: "settings",
    path: "log_keep",
    unit: "time",
    least: DAY,
    result: "the message log forgets so soon",
    usual: "90d",
  },
  {
    section: "settings",
    path: "check_timeout",
    unit: "time",
    least: SECOND,
    result: "checks fail that take longer",
    usual: "20s",
  },
  {
    section: "delivery",
    path: "give_up_after",
    unit: "time",
    least: 60 * MINUTE,
    result: "mail is given up so soon",
    usual: "5d",
  },
  {
    section: "delivery",
    path: "delay_notice_after",
    unit: "time",
    least: MINUTE,
    result: "senders are told of each short delay",
    usual: "4h",
  },
  {
    section: "delivery",
    path: "connect_timeout",
    unit: "time",
    least: SECOND,
    result: "hardly any server answers so soon",
    usual: "30s",
  },
  {
    section: "delivery",
    path: "cut_through_wait",
    unit: "time",
    least: SECOND,
    result: "hardly any server answers so soon",
    usual: "8s",
    off: "no sender waits for the mail server's own answer",
  },
  {
    section: "delivery",
    path: "retry",
    unit: "time",
    least: SECOND,
    result: "servers are tried without a rest",
    usual: "5m",
  },
  {
    section: "listener",
    path: "max_message_bytes",
    unit: "octets",
    least: MB,
    result: "larger mail is refused, most with an attachment is",
    usual: "50 MB",
  },
  {
    section: "listener",
    path: "idle_timeout",
    unit: "time",
    least: 30 * SECOND,
    result: "clients that think so long are cut off; RFC 5321 asks for 5m",
    usual: "5m",
  },
  {
    section: "listener",
    path: "min_data_rate",
    unit: "octets a second",
    least: 0,
    result: "",
    usual: "500",
    off: "a client may send a message as slowly as it likes",
  },
  {
    section: "listener",
    path: "greeting_delay",
    unit: "milliseconds",
    least: 20,
    result: "no early talker is caught by that",
    usual: "100",
    off: "nobody waits for the greeting",
  },
  {
    section: "sender",
    path: "lock.window",
    unit: "time",
    least: 10 * SECOND,
    result: "hardly any two messages come so close together, so nobody is locked",
    usual: "10m",
  },
  {
    section: "sender",
    path: "lock.timeout",
    unit: "time",
    least: MINUTE,
    result: "a lock ends before anybody notices",
    usual: "1h",
  },
  {
    section: "hook",
    path: "timeout",
    unit: "time",
    least: SECOND,
    result: "no service answers so soon",
    usual: "30s",
  },
  {
    section: "domain",
    path: "recipients.cache",
    unit: "time",
    least: SECOND,
    result: "the answers are asked for again and again",
    usual: "1h",
    off: "every recipient is asked for anew",
  },
  {
    section: "domain",
    path: "outgoing.password_server.cache",
    unit: "time",
    least: SECOND,
    result: "the answers are asked for again and again",
    usual: "5m",
    off: "every log-in asks the server",
  },
];

function at(value: unknown, path: string): unknown {
  if (path === "") return value;
  return path
    .split(".")
    .reduce<unknown>(
      (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
      value,
    );
}

/** Octets, octets a second, or milliseconds; null: it is not set. */
function amountOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? parseDuration(value) : null;
  return parsed?.ok === true ? parsed.value : null;
}

function shown(value: unknown, { unit }: Small): string {
  if (unit === "octets" && typeof value === "number")
    return value < 1024 ? `${value} octet${value === 1 ? "" : "s"}` : bytesInWords(value);
  return unit === "time" ? String(value) : `${String(value)} ${unit}`;
}

/** Why so small a value is doubted, and what it is without a unit; null: it is as large as usual, or switches something off. */
function doubtOf(value: unknown, small: Small): string | null {
  const amount = amountOf(value);
  if (amount === null || amount >= small.least || (amount === 0 && small.off !== undefined)) return null;
  const plain =
    small.unit === "octets"
      ? "; a plain number is octets"
      : small.unit === "time"
        ? "; in a file a plain number is seconds"
        : "";
  return `${shown(value, small)}: ${small.result}${plain}, write it like ${small.usual}`;
}

function itemsOf(
  policy: Policy,
  section: PolicySection,
): readonly { readonly key: string; readonly value: object }[] {
  const part: object | readonly object[] = policy[section];
  if (!Array.isArray(part)) return [{ key: "", value: part }];
  return part.map((value: object) => ({ key: itemKey(section, value), value }));
}

/** Refuses a reserve of disk that is none; warns of other values that look as if their unit had been forgotten. */
export function checkSmall(policy: Policy, findings: FoundProblems): void {
  for (const small of SMALL) {
    for (const { key, value } of itemsOf(policy, small.section)) {
      const set = at(value, small.path);
      for (const one of Array.isArray(set) ? set : [set]) {
        const doubt = doubtOf(one, small);
        if (doubt === null) continue;
        const item = { section: small.section, key };
        if (small.path === "min_free")
          findings.problem(item, ".min_free", `${doubt}, or 0 to switch the reserve off`);
        else findings.warnings.push(`${`${small.section} ${key}`.trim()}: ${small.path} is ${doubt}`);
      }
    }
  }
}

/** The item with its sizes as people write them, and what is off said to be: for the words of a change. */
export function amountsInWords(section: PolicySection, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const worded = structuredClone(value);
  for (const small of SMALL) {
    if (small.section !== section) continue;
    const names = small.path.split(".");
    const last = names.pop() ?? "";
    const holder = at(worded, names.join("."));
    if (typeof holder !== "object" || holder === null) continue;
    const set: unknown = Reflect.get(holder, last);
    if (amountOf(set) === 0 && small.off !== undefined)
      Reflect.set(holder, last, `${String(set)} (switched off: ${small.off})`);
    else if (small.unit === "octets" && typeof set === "number") Reflect.set(holder, last, sizeText(set));
  }
  return worded;
}
