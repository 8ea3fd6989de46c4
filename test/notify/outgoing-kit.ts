// Outgoing notices on a real database with a clock to turn; what is sent and posted is collected.
import type { WebHookAnswer, WebHookRequest } from "../../src/hooks/post-web-hook.ts";
import { parseAddress } from "../../src/message/address.ts";
import type { NoticeDomain, NoticePolicy } from "../../src/notify/notice-policy.ts";
import type { LockNews, OutgoingNotices, StoppedMessage } from "../../src/notify/outgoing-notices.ts";
import type { ComposedMail } from "../../src/notify/own-mail.ts";
import { createOutgoingNotices, type OutgoingNoticesParts } from "../../src/notify/run-outgoing-notices.ts";
import { silentLog } from "../../src/observe/log.ts";
import { durationMs } from "../../src/policy/duration.ts";
import { domainSchema, type TemplateSettings } from "../../src/policy/schema.ts";
import type { Database } from "../../src/store/open-database.ts";
import { createOneTimeLinks } from "../../src/store/run-one-time-links.ts";
import { standingAlarms } from "../observe/standing-alarms.ts";
import { TurnedClock } from "../queue/queue-kit.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const START = Date.UTC(2026, 10, 21, 12);

/** Round trips to the database that a look of all notices takes at the most. */
const MOST_ROUNDS = 100;

/** A domain with these outgoing settings. */
export function domainWith(outgoing: unknown, name = "example.test"): NoticeDomain {
  return domainSchema.parse({ name, outgoing });
}

export interface Gate extends AsyncDisposable {
  readonly clock: TurnedClock;
  readonly notices: OutgoingNotices;
  readonly database: Database;
  readonly links: ReturnType<typeof createOneTimeLinks>;
  readonly mails: (ComposedMail & { readonly text: string })[];
  readonly posts: WebHookRequest[];
  readonly alarms: ReadonlyMap<string, string>;
  /** To set them is a change of the settings. */
  domains: NoticeDomain[];
  /** Names of alarms whose end was told. */
  readonly ended: readonly string[];
  templates: TemplateSettings[];
  /** What the web answers; a throw is not what the real one does. */
  answer: (request: WebHookRequest) => WebHookAnswer;
  /** Set: the queue refuses. */
  queueError: Error | null;
  /** Turns the clock, step by step, and lets what is under way come to rest after each. */
  turn(ms: number): Promise<void>;
  rest(): Promise<void>;
  /** Ends the notices as a crash does and starts them anew on the same database. */
  restart(options?: { readonly graceful?: boolean; readonly afterMs?: number }): Promise<void>;
}

/** The text of a mail without parts, decoded. */
function textOf(message: Uint8Array): string {
  const written = Buffer.from(message).toString("utf8");
  const [head = "", ...rest] = written.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const quoted = /Content-Transfer-Encoding: quoted-printable/.test(head);
  const plain = quoted
    ? Buffer.from(
        body
          .replace(/=\r\n/g, "")
          .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        "latin1",
      ).toString("utf8")
    : body;
  return plain.replaceAll("\r\n", "\n");
}

/** Opens it. */
export async function openGate(
  domains: readonly NoticeDomain[],
  parts: Partial<OutgoingNoticesParts> = {},
): Promise<Gate> {
  const directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const clock = new TurnedClock(START);
  const links = createOneTimeLinks({ db: database, reader: database, clock });
  let life = 0;
  let mailNumber = 0;

  let held: NoticeDomain[] = [...domains];
  const alarms = standingAlarms(() => clock.now());

  const start = (): Promise<OutgoingNotices> => {
    const mine = ++life;
    const policy = (): NoticePolicy => ({
      policy: {
        domain: gate.domains,
        template: gate.templates,
        settings: { postmaster: address("postmaster@gate.example.test") },
      },
      domain: (name) => gate.domains.find((domain) => domain.name === name && domain.enabled) ?? null,
    });
    return createOutgoingNotices({
      send: async (mail) => {
        if (mine !== life) return "of another life";
        if (gate.queueError !== null) throw gate.queueError;
        gate.mails.push({ ...mail, text: textOf(mail.message) });
        return `mail${++mailNumber}`;
      },
      links,
      snapshot: policy,
      clock: {
        now: () => clock.now(),
        after: (ms, wake) => clock.after(ms, () => (mine === life ? wake() : undefined)),
      },
      log: silentLog,
      hostname: "gate.example.test",
      consoleUrl: () => "https://gate.example.test:8443",
      postWebHook: async (request) => {
        gate.posts.push(request);
        return gate.answer(request);
      },
      db: database,
      reader: database,
      durationMs,
      onAlarm: alarms.onAlarm,
      ...parts,
    });
  };

  let notices: OutgoingNotices | null = null;
  const rest = async () => {
    // Everything under way is a hop or two of promises and a round trip to the database's worker, which takes one thing at a time.
    let seen = "";
    for (let quiet = 0, rounds = 0; quiet < 4; quiet++, rounds++) {
      await database.query({ sql: "select 1", params: [] });
      await new Promise<void>((resolve) => setImmediate(resolve));
      const now = `${gate.mails.length} ${gate.posts.length}`;
      // While a look is under way nobody waits for the next one, and the clock would run past it; nor does anybody after the end.
      if (now !== seen || (!clock.isAwaited() && rounds < MOST_ROUNDS)) quiet = 0;
      seen = now;
    }
  };
  const gate: Gate = {
    clock,
    database,
    links,
    mails: [],
    posts: [],
    get alarms() {
      return alarms.standing();
    },
    ended: alarms.ended,
    get domains() {
      return held;
    },
    set domains(next) {
      held = next;
      alarms.review();
    },
    templates: [],
    answer: () => ({ ok: true, status: 200, retry: false, words: "https://hook.example.org answered 200" }),
    queueError: null,
    get notices() {
      if (notices === null) throw new Error("not started");
      return notices;
    },
    rest,
    async turn(ms) {
      const until = clock.now() + ms;
      await rest();
      while (clock.step(until)) await rest();
      await rest();
    },
    async restart({ graceful = false, afterMs = 0 } = {}) {
      if (graceful) await gate.notices.close();
      else life++;
      await rest();
      while (clock.step(clock.now() + afterMs)) await rest();
      notices = await start();
    },
    async [Symbol.asyncDispose]() {
      await gate.notices.close();
      await database.close();
      await directory[Symbol.asyncDispose]();
    },
  };
  notices = await start();
  return gate;
}

function address(text: string) {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

let messageNumber = 0;

/** A stopped message of client-a behind an IP sender, with what a test changes. */
export function stoppedMessage(clock: TurnedClock, changes: Partial<StoppedMessage> = {}): StoppedMessage {
  const n = ++messageNumber;
  return {
    messageId: `m${n}`,
    at: clock.now(),
    domain: "example.test",
    sender: "192.0.2.0/28",
    identity: "client-a",
    kind: "spam",
    quarantined: true,
    rule: "outgoing-spam",
    words: "GTUBE found",
    reversePath: "client-a@example.test",
    recipients: ["bob@example.org"],
    clientIp: "192.0.2.7",
    header: new TextEncoder().encode(`Subject: offer ${n}\r\n\r\n`),
    ...changes,
  };
}

/** The lock of client-a for an hour, with what a test changes. */
export function lockNews(clock: TurnedClock, changes: Partial<LockNews> = {}): LockNews {
  return {
    at: clock.now(),
    domain: "example.test",
    sender: "192.0.2.0/28",
    identity: "client-a",
    until: clock.now() + HOUR,
    words: "5 spam messages within 10 minutes",
    template: "lock-notice",
    user: null,
    ...changes,
  };
}
