// Everything the console may ask of the rest of the gateway. The composition root fills it in; tests pass fakes of single members.

import type { MessageView } from "../checks/message-view.ts";
import type { Dkim } from "../dkim/dkim.ts";
import type { OutgoingNotices } from "../notify/outgoing-notices.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Outgoing } from "../outgoing/outgoing.ts";
import type { Settings } from "../policy/settings.ts";
import type { Queue } from "../queue/queue.ts";
import type { Bans } from "../session/bans.ts";
import type { LoginBook } from "../session/login-book.ts";
import type { Accounts } from "../store/accounts.ts";
import type { MessageLog } from "../store/message-log.ts";
import type { OneTimeLinks } from "../store/one-time-links.ts";
import type { Quarantine } from "../vault/quarantine.ts";

/** A listener as it runs. */
export interface ListenerStatus {
  readonly name: string;
  readonly listen: string;
  readonly state: "listening" | "failed" | "off";
  /** Why it failed and what to do, or "". */
  readonly words: string;
  readonly connections: number;
}

/** Something an administrator must know now: a full disk, a stopped worker, a listener that could not be bound. */
export interface Alarm {
  readonly name: string;
  readonly since: number;
  readonly words: string;
}

/** The alarms but those of listeners, which every page shows by the listener's own state. */
export function alarmsBesideListeners(services: Pick<ConsoleServices, "alarms">): readonly Alarm[] {
  return services.alarms().filter(({ name }) => !name.startsWith("listener "));
}

export interface ConsoleServices {
  readonly hostname: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: Settings;
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly messageLog: MessageLog;
  readonly accounts: Accounts;
  readonly outgoing: Outgoing;
  readonly dkim: Dkim;
  readonly bans: Pick<Bans, "list" | "lift">;
  readonly logins: Pick<LoginBook, "of" | "refused">;
  readonly links: OneTimeLinks;
  readonly notices: Pick<OutgoingNotices, "test" | "passwordLink">;
  /** Where links in mails lead, without a slash at the end: `https://gate.example.test:8443`. */
  consoleUrl(): string;
  listeners(): readonly ListenerStatus[];
  alarms(): readonly Alarm[];
  /** The set-up code printed at start while there is no account, else null. */
  setupCode(): string | null;
  /** Cleaned HTML, text and parts of a message for the viewer; made in a scan worker. */
  view(message: Uint8Array): Promise<MessageView>;
  /** Reply times of the checks and the daemon's own figures for the overview. */
  figures(): { readonly startedAt: number; readonly connections: number; readonly memoryBytes: number };
}

export type { MessageView };
