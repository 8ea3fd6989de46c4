// Who may send how much, who is stopped, and who is told: outgoing control with its alerts, links and reports.
import { postWebHook } from "../hooks/post-web-hook.ts";
import type { OutgoingNotices } from "../notify/outgoing-notices.ts";
import { createOutgoingNotices } from "../notify/run-outgoing-notices.ts";
import type { Outgoing } from "../outgoing/outgoing.ts";
import { createOutgoing } from "../outgoing/run-outgoing.ts";
import { durationMs } from "../policy/duration.ts";
import type { Settings } from "../policy/settings.ts";
import type { Queue } from "../queue/queue.ts";
import type { OneTimeLinks } from "../store/one-time-links.ts";
import { createOneTimeLinks } from "../store/run-one-time-links.ts";
import type { Ground } from "./ground.ts";
import type { Stores } from "./open-stores.ts";

export interface OutgoingControl {
  readonly outgoing: Outgoing;
  readonly notices: OutgoingNotices;
  readonly links: OneTimeLinks;
}

/** Opens them. `consoleUrl`: where links in mails lead. */
export async function openOutgoing(
  { config, parts, clock, log, alarms }: Ground,
  { database, reader }: Stores,
  rest: {
    readonly settings: Settings;
    readonly queue: Pick<Queue, "send">;
    readonly consoleUrl: () => string;
  },
): Promise<OutgoingControl> {
  const { settings, consoleUrl, queue } = rest;
  const snapshot = () => settings.current();
  const links = createOneTimeLinks({ db: database, reader, clock });
  const notices = await createOutgoingNotices({
    send: (mail) => queue.send(mail),
    links,
    snapshot,
    clock,
    log,
    hostname: config.hostname,
    consoleUrl,
    postWebHook,
    db: database,
    reader,
    durationMs,
    onAlarm: alarms.set,
  });
  parts.defer(() => notices.close());
  const outgoing = await createOutgoing({
    db: database,
    reader,
    snapshot,
    clock,
    log,
    onLock: (news) => notices.locked(news),
    onAlarm: alarms.set,
  });
  parts.defer(() => outgoing.close());
  return { outgoing, notices, links };
}
